"""Read the articles of a dataset version: one text a file, in a folder named after its class."""

from dataclasses import dataclass
from pathlib import Path

from transform import held_out

VALIDATION_SHARE = 0.2
SPLIT_SEED = 42


@dataclass(frozen=True)
class Articles:
    """Texts and, in step with them, the numbers of their classes."""

    texts: list[str]
    labels: list[int]
    classes: list[str]

    def split(self) -> tuple["Articles", "Articles"]:
        """Hold a fifth back for validation; an article printed twice never lies on both sides."""
        held = [held_out(text, VALIDATION_SHARE, SPLIT_SEED) for text in self.texts]
        return self._where(held, value=False), self._where(held, value=True)

    def _where(self, marks: list[bool], *, value: bool) -> "Articles":
        rows = [row for row, mark in enumerate(marks) if mark is value]
        return Articles([self.texts[row] for row in rows], [self.labels[row] for row in rows], self.classes)


def read(folder: Path, classes: list[str] | None = None) -> Articles:
    """Read every `<class>/<name>.txt` below the folder; the classes are the folders' names unless they are given."""
    files = sorted(folder.rglob("*.txt"))
    if not files:
        raise FileNotFoundError(f"{folder} holds no <class>/<name>.txt")
    names = classes or sorted({path.parent.name for path in files})
    labels = []
    for path in files:
        if path.parent.name not in names:
            raise ValueError(
                f"{path.relative_to(folder)}: class {path.parent.name} is unknown, allowed are {', '.join(names)}"
            )
        labels.append(names.index(path.parent.name))
    return Articles([path.read_text(encoding="utf-8", errors="replace") for path in files], labels, names)
