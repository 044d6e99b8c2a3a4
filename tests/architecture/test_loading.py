"""What importing costs and does: `cdl --help` loads no engine; no module touches the world by being imported."""

import json
import subprocess
import sys

from tests.architecture.tree import ROOT, SOURCE, modules

HEAVY = {"torch", "tensorflow", "keras", "determined", "pachyderm_sdk", "kubernetes", "grpc", "pandas", "numpy"}

HELP = """
import json, sys
sys.argv = ["cdl", "--help"]
from cdl.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""

# Making a socket is no event here: libraries look that way whether IPv6 exists. Using one is another matter.
ALL = """
import importlib, json, sys
seen = []
current = ""
SOCKETS = {"socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto"}
WATCHED = SOCKETS | {"subprocess.Popen", "os.mkdir", "os.remove"}
def watch(event, arguments):
    if event in WATCHED and current:
        seen.append([current, event, repr(arguments)[:120]])
    elif event == "open" and current and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        if not str(arguments[0]).startswith(("/dev/", "/proc/")) and "__pycache__" not in str(arguments[0]):
            seen.append([current, event, repr(arguments)[:120]])
sys.addaudithook(watch)
for current in json.loads(sys.argv[1]):
    importlib.import_module(current)
current = ""
print(json.dumps(seen))
"""


def run(program, *arguments):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_help_loads_no_engine():
    assert not HEAVY & set(run(HELP))


def test_importing_any_module_touches_nothing():
    names = [
        ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in modules("src/cdl")
        if path.name not in {"__main__.py", "sitecustomize.py"}
    ]
    touched = [entry for entry in run(ALL, json.dumps(names)) if entry[0].startswith("cdl")]
    assert touched == []
