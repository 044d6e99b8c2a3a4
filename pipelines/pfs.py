"""The world of a step inside a Pachyderm worker: what comes in, what goes out, what is reported.

Every step of this folder is a plain program of the standard library. It reads each file below
`$CDL_PFS_ROOT/<input>` (default `/pfs`), writes what it lets through below `$CDL_PFS_ROOT/out`, and leaves
one report a datum in `out/_reports`. A step that cannot go on says one sentence on stderr and ends with 1.
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

REPORTS = "_reports"
SHOWN = 20
"""How many rejected files a report describes one by one; the counts are always complete."""


class StepError(Exception):
    """Data that the step may not let through; its text is the one sentence people read."""


def root() -> Path:
    """Tell where Pachyderm mounted this datum."""
    return Path(os.environ.get("CDL_PFS_ROOT", "/pfs"))


def _inputs() -> list[Path]:
    folder = root()
    if not folder.is_dir():
        raise StepError(f"{folder}: no such folder; a step runs inside a Pachyderm worker, or with CDL_PFS_ROOT set")
    # A mounted input is a symlink into the worker's scratch space: resolve it, or a walk stops at the link.
    return [
        path.resolve()
        for path in sorted(folder.iterdir())
        if path.is_dir() and path.name != "out" and not path.name.startswith(".")
    ]


def incoming() -> Iterator[tuple[str, Path]]:
    """Yield every input file as its path in the repository and its place on disk, in a fixed order."""
    seen: set[str] = set()
    for folder in _inputs():
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if not path.is_file() or name.startswith("_"):
                continue
            if name in seen:
                raise StepError(f"{name}: two inputs hold a file of this name; give each input its own folder")
            seen.add(name)
            yield name, path


def deliver(name: str, content: bytes) -> None:
    """Write one output file."""
    target = root() / "out" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


def leave(ending: str, content: bytes) -> None:
    """Write something about this datum beside the output; nobody downstream reads it as data."""
    deliver(f"{REPORTS}/{os.environ.get('PACH_DATUM_ID', 'datum')}.{ending}", content)


def label_of(name: str) -> str:
    """Read a file's label: the name of the folder it lies in, empty at the top."""
    folders = name.split("/")[:-1]
    return folders[-1] if folders else ""


class Report:
    """What one datum's run let through, refused and warned about."""

    def __init__(self, step: str) -> None:
        """Start an empty report of the step."""
        self.step = os.environ.get("CDL_STEP", step)
        self.accepted = 0
        self.rows = 0
        self._rejected: Counter[str] = Counter()
        self._warned: Counter[str] = Counter()
        self._examples: list[dict[str, str]] = []
        self.more: dict[str, object] = {}
        """What else this step has to say, by the name it is written under."""

    def accept(self, rows: int = 0, items: int = 1) -> None:
        """Count one file that went on, the items it is made of, and the labelled rows it holds."""
        self.accepted += items
        self.rows += rows

    def reject(self, name: str, reason: str, found: str) -> None:
        """Count one file that stays behind."""
        self._rejected[reason] += 1
        self._show(name, reason, found)

    def warn(self, name: str, reason: str, found: str) -> None:
        """Count one file that went on although something about it is odd."""
        self._warned[reason] += 1
        self._show(name, reason, found)

    def document(self) -> dict[str, object]:
        """Give what is written down."""
        return {
            "step": self.step,
            "accepted": self.accepted,
            "rejected": dict(sorted(self._rejected.items())),
            "warned": dict(sorted(self._warned.items())),
            "examples": self._examples,
            "labels": {"rows": self.rows},
            **self.more,
        }

    def write(self) -> None:
        """Leave the report beside the output, under the datum's own name."""
        leave("json", json.dumps(self.document(), sort_keys=True).encode())

    def _show(self, name: str, reason: str, found: str) -> None:
        if len(self._examples) < SHOWN:
            self._examples.append({"path": f"/{name}", "reason": reason, "found": found})


def run(step: str, work: Callable[[Report], None]) -> None:
    """Run a step's work over this datum: the report on success, one sentence and exit 1 otherwise."""
    report = Report(step)
    try:
        work(report)
        report.write()
    except StepError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
    except OSError as error:
        sys.stderr.write(f"{report.step}: cannot read or write {error.filename}: {error.strerror}\n")
        sys.exit(1)
