"""What a decision about a DataPipeline is made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cdl.api.v1alpha1.datapipeline import JobStatus, Side

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from cdl.checks.prints import Overlap

    from .answers import Item, Opinion
    from .raw import RawSeen


@dataclass(frozen=True, slots=True)
class SourceSeen:
    """A source as it is now."""

    name: str
    digest: str | None
    """sha256 of the bytes at hand; None while they are not."""
    collected_for: datetime | None = None
    """The newest due time they were fetched for; None: they were not fetched for any."""


@dataclass(frozen=True, slots=True)
class SideSeen:
    """The input repository of one side."""

    side: Side
    repo: str
    head: str | None = None
    """Newest finished commit that is not errored; None: nothing has arrived."""
    ingest: str | None = None
    """Key of the ingest that made the head; None: somebody else pushed it."""
    files: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class Report:
    """What a step says of its output."""

    accepted: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    label_rows: int = 0
    warned: Mapping[str, int] = field(default_factory=dict)
    items: int = 0
    """Rows of tables, and other files, that went on; 0: the step does not look into tables, an item is a file."""
    examples: tuple[Mapping[str, object], ...] = ()
    """Some of the items that broke a check."""
    fields: Mapping[str, object] = field(default_factory=dict)
    """What the values look like, as `cdl.checks.profile` writes it down; empty: the step does not say."""


@dataclass(frozen=True, slots=True)
class StepSeen:
    """One step over one side at the data engine."""

    step: str
    side: Side
    wish: str | None
    """Digest of the wish its pipeline was made from; None: no such pipeline."""
    input: str = ""
    """The commit of the repository before it that its newest output is made from."""
    head: str = ""
    """Its newest output commit, finished or not."""
    job: JobStatus | None = None
    done: bool = False
    failure: str = ""
    """One sentence when its newest job failed."""
    report: Report = Report()
    taken: str = ""
    """Whose equal output it is, as namespace/repository@commit, where it was not computed here."""


@dataclass(frozen=True, slots=True)
class ManifestSeen:
    """The files of a side as training will read them."""

    side: Side
    repo: str
    commit: str
    digest: str
    files: int
    label_digest: str
    label_rows: int
    label_fault: str = ""
    """One sentence when its tables do not say one label for each item; then the digest stands for nothing."""


@dataclass(frozen=True, slots=True)
class ArrangedSeen:
    """The files of a side that people labelled, each in a folder called as its label."""

    key: str
    """What they were made from."""
    manifest: ManifestSeen


@dataclass(frozen=True, slots=True)
class KeptSeen:
    """What the data engine has of labels that people gave."""

    repo: str
    commit: str = ""
    key: str = ""
    """What the newest commit was made from; both empty: there is none."""
    arranged: tuple[ArrangedSeen, ...] = ()


@dataclass(frozen=True, slots=True)
class LabellingSeen:
    """What there is of labels that people give."""

    absent: str = ""
    """One sentence where nobody can be asked."""
    project: str = ""
    """The labelling engine's name of the project; empty: none is known to ask what is wished."""
    tasks_for: str = ""
    """What tasks were made for last."""
    items: tuple[Item, ...] = ()
    opinions: tuple[Opinion, ...] = ()
    unusable: tuple[str, ...] = ()
    """Why answers and files are passed over, a sentence each."""
    kept: KeptSeen = field(default_factory=lambda: KeptSeen(""))
    borrowed: bool = False
    """People are asked by another DataPipeline, whose copy this one is."""


@dataclass(frozen=True, slots=True)
class StraySeen:
    """A pipeline of this resource that no step of its spec asks for."""

    name: str
    """In the engine's own words; its output repository has the same name."""
    reads: str = ""
    """The repository it reads."""


@dataclass(frozen=True, slots=True)
class DataSeen:
    """What the data engine has of a DataPipeline."""

    sides: tuple[SideSeen, ...] = ()
    programs: Mapping[str, str] = field(default_factory=dict)
    """Digest of the code of every built-in program there is."""
    steps: tuple[StepSeen, ...] = ()
    manifests: tuple[ManifestSeen, ...] = ()
    strays: tuple[StraySeen, ...] = ()
    """Each before those it reads."""
    overlap: Overlap | None = None
    """What the test side has in common with the train side; None: no check asks, or it is not known yet."""


@dataclass(frozen=True, slots=True)
class LabelsSeen:
    """What the label store has of a DataPipeline."""

    newest: str = ""
    """The dataset version that was stored last; empty: none was."""
    trouble: str = ""
    """One sentence when it did not answer, or did not take what it was given last."""


@dataclass(frozen=True, slots=True)
class Seen(DataSeen):
    """Everything a decision about a DataPipeline may depend on."""

    at: datetime = field(kw_only=True)
    sources: tuple[SourceSeen, ...] = ()
    pinned: frozenset[str] = frozenset()
    """Repositories that a Release, or an Experiment on its way to one, names a commit of."""
    shelf: str = ""
    """What the address of everything in the artifact store begins with; empty: nothing is kept there."""
    raws: tuple[RawSeen, ...] = ()
    """Pipelines of this resource that people wrote themselves, each before those it reads."""
    kept: frozenset[str] = frozenset()
    """Addresses on that shelf where something lies, of those the status names."""
    labels: LabelsSeen | None = None
    """None: there is no label store."""
    labelling: LabellingSeen | None = None
    """None: labels do not come from people, or the steps are not done, and nobody was asked."""
    pinned_by: tuple[str, ...] = ()
    """Releases made from this pipeline's commits; only asked for when it is to go."""
