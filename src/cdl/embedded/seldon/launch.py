"""Become another program that dies with its parent: `python -I -S launch.py PARENT COMMAND...`.

The kernel sends the signal when the parent ends, however it ends, kill -9 included. This file is run by its path
and imports nothing of ours.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main() -> None:
    """Ask for the signal, make sure the parent is still there, then become the command."""
    parent, command = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the signal was asked for
        sys.exit(1)
    try:
        os.execvp(command[0], command)  # noqa: S606 - becoming the command without a shell is the point
    except OSError as error:
        sys.stderr.write(f"cannot start {command[0]}: {error.strerror}\n")
        sys.exit(127)


if __name__ == "__main__":
    main()
