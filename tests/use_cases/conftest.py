"""Run the steps as programs, and load one customer's folder at a time: both have a `network`, a `serve`, a `train`."""

import gzip
import importlib
import json
import os
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
USE_CASES = ROOT / "use_cases"


@dataclass(frozen=True)
class Outcome:
    """What a step left behind."""

    status: int
    stderr: str
    out: Path

    @property
    def files(self) -> dict[str, bytes]:
        found = {path.relative_to(self.out).as_posix(): path for path in sorted(self.out.rglob("*")) if path.is_file()}
        return {name: path.read_bytes() for name, path in found.items() if not name.startswith("_reports/")}

    @property
    def report(self) -> dict[str, object]:
        (path,) = (self.out / "_reports").glob("*.json")
        document: dict[str, object] = json.loads(path.read_text())
        return document


@pytest.fixture
def run_step(tmp_path: Path) -> Callable[..., Outcome]:
    """Run a step of `pipelines/` on some files, mounted the way Pachyderm mounts them: as a symlink."""

    def run(step: str, files: dict[str, bytes], **env: str) -> Outcome:
        root, scratch = tmp_path / "pfs", tmp_path / "scratch"
        scratch.mkdir()
        for name, content in files.items():
            path = scratch / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        (root / "out").mkdir(parents=True)
        (root / "in").symlink_to(scratch)
        world = {"PATH": os.environ["PATH"], "CDL_PFS_ROOT": str(root), "PACH_DATUM_ID": "d1", **env}
        program = [sys.executable, str(ROOT / "pipelines" / step / "step.py")]
        done = subprocess.run(program, env=world, capture_output=True, text=True, timeout=60, check=False)
        return Outcome(done.returncode, done.stderr, root / "out")

    return run


def idx_images(rows: int, side: int = 28, value: int = 7) -> bytes:
    """Pack a gzip of that many grey squares."""
    return gzip.compress(struct.pack(">4I", 0x803, rows, side, side) + bytes([value]) * rows * side * side, mtime=0)


def idx_labels(labels: list[int]) -> bytes:
    """Pack a gzip of these labels."""
    return gzip.compress(struct.pack(">2I", 0x801, len(labels)) + bytes(labels), mtime=0)


class Case:
    """One customer's folder, importable while the test runs."""

    def __init__(self, name: str) -> None:
        self.folder = USE_CASES / name

    def module(self, name: str) -> ModuleType:
        module = importlib.import_module(name)
        assert module.__file__ is not None
        assert Path(module.__file__).is_relative_to(self.folder)
        return module


@pytest.fixture
def open_case() -> Iterator[Callable[[str], Case]]:
    """Put a use case's model/ and serve/ on the path, as trial and server do, and take them off again."""
    path_before = list(sys.path)
    namesakes: dict[str, ModuleType] = {}

    def opened(name: str) -> Case:
        case = Case(name)
        folders = (case.folder, case.folder / "model", case.folder / "serve")
        sys.path[:0] = map(str, folders)
        for its_own in (path.stem for folder in folders for path in folder.glob("*.py")):
            if its_own in sys.modules:  # of the built-in steps, say, which another test has loaded
                namesakes[its_own] = sys.modules.pop(its_own)
        return case

    yield opened
    sys.path[:] = path_before
    for name, module in list(sys.modules.items()):
        place = getattr(module, "__file__", None)
        if place and Path(place).is_relative_to(USE_CASES):
            del sys.modules[name]
    sys.modules.update(namesakes)


@pytest.fixture(scope="session")
def look_alike(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Generate a use case's synthetic data once, as a folder of raw files."""
    made: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            program = [sys.executable, str(USE_CASES / name / "synthetic.py"), str(folder)]
            subprocess.run(program, check=True, capture_output=True, timeout=120)
            made[name] = folder
        return made[name]

    return make
