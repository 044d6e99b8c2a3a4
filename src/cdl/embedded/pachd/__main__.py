"""`python -m cdl.embedded.pachd --data DIR --port N`: an embedded pachd on this machine."""

import argparse
import asyncio
import os
import sqlite3
import sys
from pathlib import Path

from cdl.embedded.pachd.engine import Options
from cdl.embedded.pachd.server import check_address, serve
from cdl.embedded.pachd.store import FolderError
from cdl.embedded.pachd.vault import opened


def _mapping(text: str) -> tuple[str, str]:
    """Read `PREFIX=FOLDER`."""
    image, sign, local = text.partition("=")
    if not sign or not image.startswith("/") or not local:
        raise argparse.ArgumentTypeError(f"{text!r} is not PREFIX=FOLDER with a PREFIX that starts with a slash")
    return image, str(Path(local).absolute())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pachd", description="An embedded pachd, kept in one folder.")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="folder of the durable state")
    parser.add_argument("--port", type=int, default=30650, help="port to listen on (default 30650; 0 chooses one)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument(
        "--allow-file-root",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="folder from which file:// URLs may be fetched; repeatable",
    )
    parser.add_argument(
        "--allow-egress-root",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="folder below which pipelines may write with egress to file:// URLs; repeatable",
    )
    parser.add_argument(
        "--map",
        type=_mapping,
        action="append",
        default=[],
        metavar="PREFIX=DIR",
        help="a path of the pipelines' image that lies in DIR on this machine; repeatable",
    )
    parser.add_argument(
        "--no-mounts",
        action="store_true",
        help="give user code no /pfs of its own, but rewrite its command to where the files are",
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="how many datums run at once (default: the number of cores)",
    )
    parser.add_argument(
        "--vault",
        type=Path,
        metavar="FILE",
        help="JSON that names repositories whose files only a token reads, and the sha256 of each token; "
        "everybody else may then look and read other files, and nothing more",
    )
    return parser


def main() -> int:
    """Serve, or say in one sentence why not."""
    given = _parser().parse_args()
    if given.workers < 1:
        print(f"pachd: --workers is {given.workers}; at least 1 is needed", file=sys.stderr)
        return 2
    try:
        vault = opened(given.vault) if given.vault is not None else None
    except FolderError as error:
        print(f"pachd: {error}", file=sys.stderr)
        return 2
    options = Options(
        given.data.absolute(),
        given.host,
        given.port,
        given.workers,
        tuple(root.resolve() for root in given.allow_file_root),
        tuple(given.map),
        tuple(root.resolve() for root in given.allow_egress_root),
        not given.no_mounts,
        vault,
    )
    try:
        check_address(given.host, given.port)
        asyncio.run(serve(options))
    except FolderError as error:
        print(f"pachd: {error}", file=sys.stderr)
        return 2
    except (sqlite3.OperationalError, OSError) as error:
        print(f"pachd: stopped, because {given.data} cannot be written: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
