"""How people are asked for labels, and their answers kept."""

from __future__ import annotations

import base64
import hashlib
import re
import tempfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cdl.api.v1alpha1.datapipeline import Side
from cdl.ports.errors import Conflict
from cdl.ports.labelling import Task
from cdl.reconcile import datapipeline as pure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from cdl.api.meta import Key
    from cdl.api.v1alpha1 import DataPipeline
    from cdl.api.v1alpha1.datapipeline import LabelStudio
    from cdl.ports.data import DataEngine
    from cdl.ports.labelled import LabelledData
    from cdl.ports.labelling import LabellingEngine

ABSENT = (
    "spec.labels.from: labelStudio: CDL_LABEL_STUDIO names no Label Studio; `cdl labelstudio up` starts one on this "
    "machine"
)
PICTURES = {
    b"\x89PNG\r\n\x1a\n": "png",
    b"\xff\xd8\xff": "jpeg",
    b"GIF87a": "gif",
    b"GIF89a": "gif",
    b"BM": "bmp",
}
"""How a file begins that a browser shows as a picture."""
LARGEST = 6 << 20
"""Bytes of an item that is shown: it travels inside its task."""
REMEMBERED = 16
MASK = "█"


@dataclass(frozen=True, slots=True)
class _Content:
    """What a commit holds, for people to look at."""

    items: tuple[pure.Item, ...]
    unusable: tuple[str, ...]


class Annotating:
    """What one controller knows of labels that people give."""

    def __init__(self, data: DataEngine, kept: LabelledData | None, people: LabellingEngine | None) -> None:
        """Read items where the data is; without `kept` nobody is asked, and nothing is said about it."""
        self._data, self._kept, self._people = data, kept, people
        self._contents: OrderedDict[tuple[str, str, str], _Content] = OrderedDict()
        self._projects: dict[Key, tuple[str, str]] = {}
        """What was asked last of whom, and the project that asks it."""
        self._tasks: dict[Key, str] = {}

    def look(
        self, resource: DataPipeline, manifests: tuple[pure.ManifestSeen, ...], like: str = ""
    ) -> pure.LabellingSeen | None:
        """Say what people said; they are asked nothing before all steps are done. `like` is the project of another."""
        wanted = resource.spec.labels.label_studio
        if wanted is None or self._kept is None or len(manifests) < len(Side):
            return None
        if self._people is None:
            return pure.LabellingSeen(absent=ABSENT)
        borrowed = bool(resource.metadata.like)
        project = like if borrowed else self._project(resource, wanted)
        seen = pure.LabellingSeen(borrowed=borrowed, kept=self._kept.look(resource.key))
        if not project:
            return seen
        try:
            said, unusable = self._people.annotations(project), self._people.unusable(project)
        except Conflict:  # somebody removed it
            self._projects.pop(resource.key, None)
            self._tasks.pop(resource.key, None)
            return seen
        found = [self._content(resource.key, m) for m in manifests if m.side in wanted.sides]
        known = resource.status.labelling
        same = known is not None and known.project == project
        return pure.LabellingSeen(
            project=project,
            tasks_for=self._tasks.get(resource.key) or (known.tasks_for if known is not None and same else ""),
            items=tuple(item for content in found for item in content.items),
            opinions=tuple(pure.Opinion(a.item, a.sha256, a.label, a.annotator, a.at) for a in said),
            unusable=(*(reason for content in found for reason in content.unusable), *unusable),
            kept=seen.kept,
            borrowed=borrowed,
        )

    def act(self, resource: DataPipeline, action: pure.AskingAction) -> None:
        """Ask, or keep what was answered."""
        if self._people is None or self._kept is None:
            return
        match action:
            case pure.EnsureProject(title, config, asks):
                self._projects[resource.key] = (asks, self._people.ensure_project(resource.key, title, config))
            case pure.AddTasks(project, sides, key):
                self._add(resource, project, sides)
                self._tasks[resource.key] = key
            case pure.KeepAnswers(key, table):
                self._kept.keep(resource.key, key, table)
            case pure.Arrange():
                self._kept.arrange(resource.key, action)

    def let_go(self, resource: DataPipeline) -> None:
        """Remove the project of a resource that has one, or had."""
        if pure.is_asking(resource) or resource.status.labelling is not None:
            self.forget(resource.key)

    def forget(self, owner: Key) -> None:
        """Remove the project of an owner."""
        if self._people is not None:
            self._people.forget(owner)
            self._projects.pop(owner, None)
            self._tasks.pop(owner, None)

    def _project(self, resource: DataPipeline, wanted: LabelStudio) -> str:
        """Name the project that asks what is wished; nothing where none is known to."""
        asks, known = pure.asks(resource, wanted).asks, resource.status.labelling
        last = self._projects.get(resource.key, ("", ""))
        if last[0] == asks:
            return last[1]
        return known.project if known is not None and known.asks == asks and not last[0] else ""

    def _content(self, owner: Key, side: pure.ManifestSeen) -> _Content:
        """Read what a commit holds; it never changes, so it is read once."""
        place = (owner.namespace, side.repo, side.commit)
        if place not in self._contents:
            self._contents[place] = self._read(owner, side)
        self._contents.move_to_end(place)
        while len(self._contents) > REMEMBERED:
            self._contents.popitem(last=False)
        return self._contents[place]

    def _read(self, owner: Key, side: pure.ManifestSeen) -> _Content:
        items, unusable = list[pure.Item](), list[str]()
        for path, content in self._files(owner, side):
            fault = _fault(content)
            if fault:
                unusable.append(f"{path}: {fault}")
            else:
                items.append(pure.Item(side.side, path, hashlib.sha256(content).hexdigest()))
        return _Content(tuple(items), tuple(unusable))

    def _add(self, resource: DataPipeline, project: str, sides: Iterable[pure.ManifestSeen]) -> None:
        wanted = resource.spec.labels.label_studio
        people, masks = self._people, wanted.mask if wanted is not None else ()
        if people is not None:
            found = ((path, raw) for side in sides for path, raw in self._files(resource.key, side))
            people.add_tasks(project, (_task(path, raw, masks) for path, raw in found if not _fault(raw)))

    def _files(self, owner: Key, side: pure.ManifestSeen) -> Iterator[tuple[str, bytes]]:
        """Give the files of a commit, ordered by path."""
        with tempfile.TemporaryDirectory(prefix="cdl-items-") as made:
            folder = Path(made)
            self._data.export(side.repo, side.commit, folder, owner.namespace)
            for path in sorted(p for p in folder.rglob("*") if p.is_file()):
                yield f"/{path.relative_to(folder).as_posix()}", path.read_bytes()


def _fault(content: bytes) -> str:
    """Say why nobody can look at a file; nothing when people can."""
    if len(content) > LARGEST:
        return f"has more than {LARGEST >> 20} MiB, which nobody is shown"
    return "" if _picture(content) or _text(content) is not None else "is neither a text in UTF-8 nor a picture"


def _task(path: str, content: bytes, masks: Iterable[str]) -> Task:
    fields = _shown(content) if _picture(content) else {"text": _masked(_text(content) or "", masks)}
    return Task(path, hashlib.sha256(content).hexdigest(), {"item": path, **fields})


def _shown(content: bytes) -> Mapping[str, str]:
    """Show a picture inside its task: nobody has to reach the data for it, from wherever they look."""
    return {"image": f"data:image/{_picture(content)};base64,{base64.b64encode(content).decode()}"}


def _picture(content: bytes) -> str:
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "webp"
    return next((kind for begin, kind in PICTURES.items() if content.startswith(begin)), "")


def _text(content: bytes) -> str | None:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    return text if "\0" not in text else None


def _masked(text: str, masks: Iterable[str]) -> str:
    for mask in masks:
        text = re.sub(mask, lambda found: MASK * len(found[0]), text)
    return text
