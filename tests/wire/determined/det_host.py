"""The unmodified ``det`` in a process of its own for each command, its imports made once.

Reads one JSON line per command, forks, calls what the console script ``det`` calls, and answers one JSON line.
"""

import json
import os
import sys
import tempfile
import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)
    from determined.cli.cli import main


def child(wish: dict, typed: int, out: int, err: int) -> None:
    os.setsid()  # without a terminal, passwords are read from what is typed
    for number, file in enumerate((typed, out, err)):
        os.dup2(file, number)
    os.chdir(wish["cwd"])
    os.environ.update(wish["env"])
    sys.argv = ["det", *wish["words"]]
    code: object = 1
    try:
        code = main(wish["words"])
    except SystemExit as leaving:
        code = leaving.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def run(wish: dict) -> dict:
    with tempfile.TemporaryFile() as typed, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        typed.write(wish["typed"].encode())
        typed.seek(0)
        pid = os.fork()
        if pid == 0:
            child(wish, typed.fileno(), out.fileno(), err.fileno())
        _, status = os.waitpid(pid, 0)
        out.seek(0)
        err.seek(0)
        texts = {"out": out.read().decode(), "err": err.read().decode()}
    return texts | {"code": os.waitstatus_to_exitcode(status)}


for line in sys.stdin:
    print(json.dumps(run(json.loads(line))), flush=True)
