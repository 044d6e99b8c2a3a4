"""What a container's entrypoint does, in one interpreter: prepare, then launch.

Both are the harness's own modules, run as they are; one process instead of two saves each
trial an interpreter start and an import of the library.
"""

import os
import runpy
import sys
from pathlib import Path

PREPARE = "determined.exec.prep_container"
LAUNCH = "determined.exec.launch"
HOOK = "startup-hook.sh"


def run(module: str, *arguments: str) -> None:
    """Run a module of the harness as ``python -m`` would."""
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


run(PREPARE, "--download_context_directory", "--resources", "--rendezvous")
if Path(HOOK).is_file():
    # The hook may change the environment, so it and what follows share a shell.
    os.execvp("sh", ["sh", "-c", f". ./{HOOK}; exec python3 -m {LAUNCH}"])  # noqa: S606 - the user's own hook
run(LAUNCH)
