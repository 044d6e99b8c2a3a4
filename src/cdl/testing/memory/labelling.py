"""A labelling engine in memory: projects of tasks, and people who answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from cdl.ports.errors import Conflict, Rejected
from cdl.ports.labelling import Annotation, Task
from cdl.testing.weather import Weather

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cdl.api.meta import Key


@dataclass(slots=True)
class Answer:
    """What somebody said."""

    task: str
    choices: tuple[str, ...]
    who: str
    at: datetime
    skipped: bool = False


@dataclass(slots=True)
class Project:
    """A project."""

    owner: Key | None
    title: str
    config: str
    tasks: dict[str, Task] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)


class MemoryLabelling:
    """A LabellingEngine."""

    def __init__(self, weather: Weather | None = None) -> None:
        """Start with no project."""
        self.weather = weather or Weather()
        self.projects: dict[str, Project] = {}
        self._numbers = count(1)
        self._now = datetime(2026, 1, 1, tzinfo=UTC)

    # --- what people do ---

    def found(self, title: str, config: str) -> str:
        """Have somebody make a project of their own."""
        name = str(next(self._numbers))
        self.projects[name] = Project(None, title, config)
        return name

    def answer(self, project: str, item: str, *choices: str, who: str, skipped: bool = False) -> str:
        """Have somebody say something of an item's newest task."""
        kept = self.projects[project]
        task = [name for name, one in kept.tasks.items() if one.item == item][-1]
        name = str(next(self._numbers))
        kept.answers[name] = Answer(task, choices, who, self._later(), skipped)
        return name

    def change(self, project: str, answer: str, *choices: str) -> None:
        """Have somebody think better of it."""
        kept = self.projects[project].answers[answer]
        kept.choices, kept.at = choices, self._later()

    def _later(self) -> datetime:
        self._now += timedelta(seconds=1)
        return self._now

    # --- the port ---

    def ensure_project(self, owner: Key, title: str, config: str) -> str:
        """Have there be exactly one project of the owner."""
        with self.weather.call(f"have a project of {owner}"):
            choices = self._choices(config)
            for name, kept in self.projects.items():
                if kept.owner == owner:
                    used = {choice for answer in kept.answers.values() for choice in answer.choices}
                    if config != kept.config and used - choices:
                        raise Rejected(f"labels {sorted(used - choices)} are in use")
                    kept.title, kept.config = title, config
                    return name
            name = str(next(self._numbers))
            self.projects[name] = Project(owner, title, config)
            return name

    def add_tasks(self, project: str, tasks: Iterable[Task]) -> int:
        """Have there be a task for each of these."""
        with self.weather.call(f"add tasks to {project}"):
            kept = self._project(project)
            there = {(one.item, one.sha256) for one in kept.tasks.values()}
            missing = {(one.item, one.sha256): one for one in tasks if (one.item, one.sha256) not in there}
            kept.tasks |= {str(next(self._numbers)): one for one in missing.values()}
            return len(missing)

    def annotations(self, project: str) -> tuple[Annotation, ...]:
        """Give everything that people said."""
        with self.weather.call(f"look at annotations of {project}"):
            kept = self._project(project)
            found = [
                Annotation(
                    item=kept.tasks[one.task].item,
                    sha256=kept.tasks[one.task].sha256,
                    label=";".join(sorted(one.choices)),
                    annotator=one.who,
                    at=one.at,
                    task=one.task,
                    id=name,
                )
                for name, one in kept.answers.items()
                if not self._fault(kept, one)
            ]
            return tuple(sorted(found, key=lambda one: (one.item, one.at, one.id)))

    def unusable(self, project: str) -> tuple[str, ...]:
        """Say of all that people said and that is no annotation why."""
        with self.weather.call(f"look at what is unusable in {project}"):
            kept = self._project(project)
            faults = ((one, self._fault(kept, one)) for one in kept.answers.values())
            return tuple(sorted(f"{kept.tasks[one.task].item}: {fault}" for one, fault in faults if fault))

    def forget(self, owner: Key) -> None:
        """Remove the owner's project."""
        with self.weather.call(f"forget the project of {owner}"):
            self.projects = {name: one for name, one in self.projects.items() if one.owner != owner}

    def _project(self, name: str) -> Project:
        if name not in self.projects:
            raise Conflict(f"there is no project {name}")
        return self.projects[name]

    def _fault(self, kept: Project, one: Answer) -> str:
        if one.skipped:
            return "was skipped"
        strange = sorted({*one.choices} - self._choices(kept.config))
        return f"chooses {strange[0]!r}, which is not among the project's choices" if strange else ""

    def _choices(self, config: str) -> set[str]:
        try:
            tree = ET.fromstring(config)  # noqa: S314 - a test wrote it
        except ET.ParseError as error:
            raise Rejected(f"label_config: {error}") from error
        return {one.get("value", "") for one in tree.iter("Choice")}
