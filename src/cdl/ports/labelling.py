"""The labelling engine: where people say what an item is (Label Studio)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from cdl.api.meta import Key


@dataclass(frozen=True, slots=True)
class Task:
    """One item for somebody to look at; item and content together say which, so neither is ever a second task."""

    item: str
    """The path of its file, beginning with a slash, or its id in a table."""
    sha256: str
    """Of its content, in hexadecimal: an item that changed is another task."""
    fields: Mapping[str, str]
    """What the project's interface shows, by the name it uses there: text as it is, or the address of a picture."""
    predicted: str = ""
    """What a model takes it for, shown as a proposal; empty: nobody asked one."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """What one person said of one task; drafts and what was cancelled are none."""

    item: str
    """As the task calls it."""
    sha256: str
    """The content that was looked at, as the task calls it."""
    label: str
    """One class; several chosen at once stand in order of the alphabet, parted by semicolons."""
    annotator: str
    """The person, by mail address where there is one."""
    at: datetime
    """When it was last changed, with its zone."""
    task: str
    """The engine's own name of the task."""
    id: str
    """The engine's own name of the annotation; a changed one keeps it."""


class LabellingEngine(Protocol):
    """Projects of tasks; owner is the key of the DataPipeline."""

    def ensure_project(self, owner: Key, title: str, config: str) -> str:
        """Have there be exactly one project of the owner, with this title and interface; give the engine's name of it.

        A second equal call changes nothing. A project of somebody else with this title is never taken for ours.

        Raises:
            Rejected: the interface is none (`config`, in the engine's XML), or contradicts labels that are there.
        """

    def add_tasks(self, project: str, tasks: Iterable[Task]) -> int:
        """Have there be a task for each of these, and say how many were new; none is ever there twice.

        A caller may die in the middle and call again with the same. Tasks that are not named stay as they are.

        Raises:
            Conflict: there is no such project.
        """

    def annotations(self, project: str) -> tuple[Annotation, ...]:
        """Give everything that people said, ordered by item, moment and id; changes nothing.

        Raises:
            Conflict: there is no such project.
        """

    def unusable(self, project: str) -> tuple[str, ...]:
        """Say of all that people said and that is no annotation why, one sentence each; changes nothing.

        Raises:
            Conflict: there is no such project.
        """

    def forget(self, owner: Key) -> None:
        """Remove the owner's project with all that is in it. Removing what is not there is a success."""
