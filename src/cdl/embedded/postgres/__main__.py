"""`python -m cdl.embedded.postgres --data DIR --port N`: an embedded PostgreSQL on this machine."""

import argparse
import sys
from pathlib import Path

from cdl.embedded.postgres.folder import Folder, PostgresError
from cdl.embedded.postgres.server import serve


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="postgres", description="An embedded PostgreSQL, kept in one folder.")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of the durable state")
    parser.add_argument("--port", type=int, required=True, help="port to listen on, on loopback")
    return parser


def main() -> int:
    """Serve, or say in one sentence why not."""
    given = _parser().parse_args()
    try:
        return serve(Folder(given.data.absolute()), given.port)
    except PostgresError as error:
        print(f"postgres: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"postgres: stopped, because {given.data} cannot be used: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
