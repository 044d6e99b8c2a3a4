"""Fetch or build the control plane's programs now, with progress: `python -m cdl.embedded.controlplane`."""

from __future__ import annotations

import sys

from cdl.embedded.stack import StackError

from .binaries import ControlPlaneError
from .find import find


def main() -> int:
    """Make sure that there are programs that work."""
    try:
        find(lambda line: print(line, flush=True))
    except (ControlPlaneError, StackError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
