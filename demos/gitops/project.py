"""What the team works on: a use case, taken out into a repository of its own, and the changes that are tried."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SKIPPED = shutil.ignore_patterns("__pycache__", "cnn", "*.pyc")
EXPERIMENT = "resources/experiment.yaml"
DATA = "resources/datapipeline.yaml"


@dataclass(frozen=True)
class Edit:
    """A change of one file."""

    file: str
    before: str
    after: str

    def make(self, folder: Path) -> None:
        """Change the file.

        Raises:
            ValueError: it does not say what is to be changed.
        """
        path = folder / self.file
        text = path.read_text()
        if self.before not in text:
            message = f"{path}: found no {self.before!r} to change"
            raise ValueError(message)
        path.write_text(text.replace(self.before, self.after))


@dataclass(frozen=True)
class Project:
    """A project as it begins, and what becomes of it."""

    name: str
    source: Path
    better: tuple[str, tuple[Edit, ...]]
    """A change that may be merged, and what it is."""
    worse: tuple[str, tuple[Edit, ...]]
    """A change that does not learn."""

    @property
    def path(self) -> str:
        """Where it is on the forge."""
        return f"team/{self.name}"

    @property
    def samples(self) -> list[Path]:
        """Things to ask the served model about."""
        return sorted((self.source / "samples").iterdir())


REVIEWED = Edit(EXPERIMENT, "approval: {policy: Automatic}", "approval: {policy: MergeRequest, role: validator}")
"""What makes a use case of the demo one of a team: who approves the merge request approves the Release."""

USE_CASES = (
    Project(
        "bbc-news",
        ROOT / "use_cases" / "bbc_news",
        (
            "Drop out more: the network sees few articles",
            (Edit(EXPERIMENT, "dropout: {type: double, minval: 0.1,", "dropout: {type: double, minval: 0.2,"),),
        ),
        (
            "Learn very slowly, once through the articles",
            (
                Edit(
                    EXPERIMENT,
                    "learning_rate: {type: log, base: 10.0, minval: -3.3, maxval: -2.5}",
                    "learning_rate: 0.0000001",
                ),
                Edit(EXPERIMENT, "max_trials: 4", "max_trials: 1"),
                Edit(EXPERIMENT, "epochs: 4", "epochs: 1"),
                Edit(EXPERIMENT, "max_time: 4", "max_time: 1"),
            ),
        ),
    ),
    Project(
        "fashion-mnist",
        ROOT / "use_cases" / "fashion_mnist",
        (
            "Let no layer be narrower than 64",
            (Edit(EXPERIMENT, "dense1: {type: int, minval: 32,", "dense1: {type: int, minval: 64,"),),
        ),
        (
            "Learn very slowly, once through the pictures",
            (
                Edit(
                    EXPERIMENT,
                    "learning_rate: {type: log, base: 10.0, minval: -3.0, maxval: -2.6}",
                    "learning_rate: 0.0000001",
                ),
                Edit(EXPERIMENT, "max_trials: 4", "max_trials: 1"),
                Edit(EXPERIMENT, "epochs: 5", "epochs: 1"),
                Edit(EXPERIMENT, "max_time: 5", "max_time: 1"),
            ),
        ),
    ),
)


def write(source: Path, folder: Path, *parts: str) -> None:
    """Copy parts of a project into a clone; what is there is replaced."""
    for part in parts:
        found = source / part
        if found.is_dir():
            shutil.copytree(found, folder / part, ignore=SKIPPED, dirs_exist_ok=True)
        else:
            (folder / part).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(found, folder / part)


def look_alike(project: Project, place: Path) -> tuple[Edit, ...]:
    """Make generated data of a use case below a folder that stands for the data sets; give what its data says then.

    Each file keeps its name; only the checksums in the DataPipeline are others.
    """
    made = place / project.name
    subprocess.run([sys.executable, str(project.source / "synthetic.py"), str(made)], capture_output=True, check=True)
    text = (project.source / DATA).read_text()
    edits = [Edit(DATA, "annotations: {", 'annotations: {cdl.dev/synthetic: "true", ')]
    for line in text.splitlines():
        word, _, told = line.strip().removeprefix("- ").partition(": ")
        if word == "uri":
            file = made / told.rpartition("/")[2]
        elif word == "sha256":
            edits.append(Edit(DATA, told, hashlib.sha256(file.read_bytes()).hexdigest()))
    return tuple(edits)
