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

# What a library does while it is being imported (urllib3 binds a socket to learn about IPv6) is the library's affair:
# an event counts when, going outwards from where it happened, one of our files comes before any installed one.
ALL = """
import importlib, json, sys
seen = []
WATCHED = {"socket.connect", "socket.bind", "socket.getaddrinfo", "subprocess.Popen", "os.mkdir", "os.remove"}
def ours():
    frame = sys._getframe(2)
    while frame is not None:
        if "site-packages" in frame.f_code.co_filename:
            return False
        if "/cdl/" in frame.f_code.co_filename:
            return True
        frame = frame.f_back
    return False
def watch(event, arguments):
    written = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if (event in WATCHED or written) and ours():
        seen.append([current, event, repr(arguments)[:120]])
sys.addaudithook(watch)
for current in json.loads(sys.argv[1]):
    importlib.import_module(current)
print(json.dumps(seen))
"""


def run(program, *arguments):
    done = subprocess.run(
        [sys.executable, "-B", "-W", "ignore", "-c", program, *arguments],
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
        if path.name != "__main__.py"
        and "site" not in path.parts  # programs, and what a trial's interpreter starts with
    ]
    assert run(ALL, json.dumps(names)) == []


def test_a_module_that_touches_the_world_is_found(tmp_path, monkeypatch):
    package = tmp_path / "cdl"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "eager.py").write_text(
        "import socket\nsocket.socket().bind(('127.0.0.1', 0))\nopen(__file__ + '.x', 'w').close()"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert [event for _, event, _ in run(ALL, json.dumps(["cdl.eager"]))] == ["socket.bind", "open"]
