"""DataPipeline: where data comes from, how it is split, cleaned, checked, labelled and versioned."""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, model_validator

from cdl.api.duration import Duration
from cdl.api.interfaces import interface
from cdl.api.meta import Digest, Frozen, Name, Sha256
from cdl.api.raw import MisplacedError, PipelineStatus, RawPipeline, in_order, name_of, project_of
from cdl.api.rules import (
    CHECK_RULES,
    CHECK_SAYS_SOMETHING,
    ITEMS_ARE_CHECKED,
    LABELS_ARE_ASKED,
    LABELS_FROM_COLUMN,
    LABELS_FROM_LABEL_STUDIO,
    SIDES_ARE_KNOWN,
    STEP_PROGRAM,
)
from cdl.api.schedule import Schedule
from cdl.checks import checks_in

from .resource import Resource, Spec, Status


class Side(StrEnum):
    """Which half of a dataset: what trials see, and what only the evaluator sees."""

    TRAIN = "train"
    TEST = "test"


DATABASE = "postgresql://"
"""How the address of a source begins that is asked a query."""


class Source(Frozen):
    """One file or archive to collect."""

    name: Name = Field(description="What messages call this source.")
    uri: str = Field(
        pattern=r"^(https?|file|git\+https|git\+file|s3|postgresql)://.+",
        description="Where it is: http(s), file, git+https, s3://bucket/key (all below it with a slash at the end), or "
        "postgresql://reader@host/database.",
    )
    query: str = Field(
        "", max_length=10_000, description="What to ask a database: a SELECT with ORDER BY; its rows become a CSV file."
    )
    sha256: Sha256 | None = Field(None, description="Checksum of the file as fetched; hexadecimal.")
    unpack: Literal["none", "tar", "zip", "gz"] = Field(
        "none", description="How to take it apart; tar may be packed with gzip, bzip2 or xz, gz is a single file."
    )
    strip: int = Field(0, ge=0, le=10, description="Leading path components to drop when unpacking.")
    side: Side | None = Field(None, description="Put it on this side as it is; absent: spec.split decides.")
    mirrors: tuple[str, ...] = Field((), description="Other places of the same files, tried in order.")

    @property
    def may_change(self) -> bool:
        """Nothing says what it holds: neither a checksum nor a git commit, which is its own."""
        return self.sha256 is None and not self.uri.startswith("git+")

    @model_validator(mode="after")
    def _asked_rightly(self) -> Self:
        if self.uri.startswith(DATABASE) is not bool(self.query.strip()):
            message = f"query goes with an address that begins with {DATABASE}, and such an address needs a query"
            raise ValueError(message)
        if any(_has_password(address) for address in (self.uri, *self.mirrors)):
            message = "the address of a database holds a password; leave it out, PGPASSWORD or PGPASSFILE give it"
            raise ValueError(message)
        return self


def _has_password(address: str) -> bool:
    rest = address.removeprefix(DATABASE)
    return rest != address and (":" in rest.partition("/")[0].rpartition("@")[0] or "password=" in rest)


class Split(Frozen):
    """A reproducible division into train and test; equal contents always fall on the same side."""

    test: float = Field(0.2, gt=0, lt=1, description="Share of documents for the test side.")
    seed: int = Field(42, ge=0, description="Same seed, same files, same sides.")
    by: Literal["content"] = Field("content", description="What decides the side: the bytes of a file, never its name.")
    stratify: Literal["parent", "none"] = Field("parent", description="Keep the share within each parent directory.")
    near: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Texts fall on one side too when at least this share of their runs of three words agrees.",
    )


class Resources(Frozen):
    """What one worker or replica may use, in Kubernetes' units."""

    cpu: float | None = Field(None, gt=0, description="Cores.")
    memory: str | None = Field(None, pattern=r"^[0-9]+(\.[0-9]+)?(Ki|Mi|Gi|K|M|G)?$", description="Bytes, as in 512Mi.")
    gpu: int | None = Field(None, ge=0, description="Whole GPUs.")


class Step(Frozen):
    """One transformation, run alike on both sides."""

    name: Name = Field(description="Names the step, and its pipelines at the data engine.")
    uses: str | None = Field(
        None, pattern=r"^[a-z0-9]+(/[a-z0-9-]+)?$", max_length=80, description="A built-in program of pipelines/."
    )
    image: str | None = Field(None, description="A container image of your own.")
    cmd: tuple[str, ...] = Field((), description="The command in that image.")
    env: dict[str, str] = Field(default_factory=dict, description="Environment of the command.")
    glob: str = Field("/[!_]*", description="What one datum is, in Pachyderm's glob dialect.")
    resources: Resources = Field(Resources(), description="What each worker may use.")
    parallelism: int = Field(1, ge=1, le=64, description="Workers at once.")

    @model_validator(mode="after")
    def _one_program(self) -> Self:
        if (self.uses is None) == (not self.cmd):
            raise STEP_PROGRAM.refusal()
        return self


class Bounds(Frozen):
    """Bounds on a number; both are allowed themselves."""

    min: float | None = Field(None, description="The smallest one allowed.")
    max: float | None = Field(None, description="The largest one allowed.")


class Picture(Frozen):
    """What a picture must be, by its header."""

    mode: tuple[str, ...] = Field((), description="Modes allowed, in Pillow's words: 1, L, LA, P, RGB, RGBA, CMYK.")
    width: Bounds | None = Field(None, description="Columns of pixels.")
    height: Bounds | None = Field(None, description="Rows of pixels.")


class Duplicates(Frozen):
    """A bound on what the test side has in common with the train side."""

    max_fraction: float = Field(0.0, ge=0, le=1, description="Test items that are on the train side too, of all.")
    near: float | None = Field(
        None, gt=0, le=1, description="Texts count too when at least this share of their runs of three words agrees."
    )


class Check(Frozen):
    """One rule about the data; the same words at ingest, transform, training and serving."""

    name: Name = Field(description="What the status counts rejected items under.")
    field: str | None = Field(
        None, description="What is looked at: text, label, file, bytes, image; columns.NAME in each row of a table."
    )
    on_fail: Literal["reject", "fail", "warn"] = Field("reject", description="Drop the item, stop, or only count it.")
    type: Literal["integer", "number", "boolean", "text", "date", "datetime"] | None = Field(
        None, description="What the value, or its text, can be read as."
    )
    range: Bounds | None = Field(None, description="The numbers allowed.")
    min_length: int | None = Field(None, ge=0, description="Fewest characters.")
    max_length: int | None = Field(None, ge=1, description="Most characters.")
    one_of: tuple[str, ...] | None = Field(None, description="The values allowed.")
    not_null: tuple[str, ...] | None = Field(None, description="Fields that must be there and not be blank.")
    regex: str | None = Field(None, description="A pattern the whole value must match.")
    encoding: Literal["utf-8", "ascii", "utf-16", "latin-1", "cp1252"] | None = Field(
        None, description="What the bytes of a file can be read in."
    )
    extension: tuple[str, ...] | None = Field(None, description="File name endings allowed, dot included.")
    image: Picture | None = Field(None, description="The file is a picture, of these modes and this size.")
    unique: bool | None = Field(None, description="No two items of a datum have the same value.")
    rows: Rows | None = Field(None, description="How many items the dataset must have.")
    rejected: Rejected | None = Field(None, description="How much may have been rejected.")
    duplicates: Duplicates | None = Field(None, description="How much of the test side may lie on the train side too.")
    schema_: Literal["same", "compatible"] | None = Field(
        None,
        alias="schema",
        description="Fields and their kinds, against the last version: the same, or with new ones beside.",
    )

    @property
    def spoken(self) -> dict[str, object]:
        """The check as it was written, without what it does not ask for."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        spoken = self.spoken
        if not any(rule in spoken for rule in CHECK_RULES):
            raise CHECK_SAYS_SOMETHING.refusal()
        checks_in([spoken])
        return self


class Rows(Frozen):
    """Bounds on the number of items of both sides together."""

    min: int | None = Field(None, ge=0, description="Fewest items.")
    max: int | None = Field(None, ge=0, description="Most items.")


class Rejected(Frozen):
    """A bound on what was rejected."""

    max_fraction: float = Field(ge=0, le=1, description="Rejected items of all items.")


class Column(Frozen):
    """Which column of which tables holds the labels."""

    files: str = Field(
        "*.csv",
        min_length=1,
        max_length=200,
        description="Tables with labels, .csv, .tsv, .jsonl or .ndjson: a pattern.",
    )
    id: str = Field("id", min_length=1, max_length=200, description="The column that says which item a row is about.")
    label: str = Field("label", min_length=1, max_length=200, description="The column with that item's label.")


class LabelStudio(Frozen):
    """What people are asked in Label Studio, and when their answers count."""

    template: Literal["text-classification", "image-classification"] | None = Field(
        None, description="What an item is, and how it is shown; goes with choices."
    )
    choices: tuple[str, ...] = Field((), max_length=500, description="The labels to choose from, two or more.")
    config: str | None = Field(
        None,
        min_length=1,
        max_length=100_000,
        description="An interface of your own in Label Studio's XML; $text, $image and $item are an item's text, "
        'picture and path, and of several questions the one with name="label" counts.',
    )
    title: str = Field("", max_length=50, description="What people see; empty: the DataPipeline's name.")
    sides: tuple[Side, ...] = Field(
        (Side.TRAIN,),
        min_length=1,
        max_length=2,
        description="Whose items are labelled; a side that is not named has its parent directories as labels.",
    )
    min_labels: int | None = Field(
        None, ge=1, description="How many items must be labelled before there is a dataset; absent: all of them."
    )
    votes: int = Field(1, ge=1, le=20, description="How many people must have labelled an item before it counts.")
    settle: Duration = Field("30s", description="How long nobody must have said anything before labels are committed.")
    mask: tuple[str, ...] = Field(
        (),
        max_length=50,
        description="Patterns; what they match in a text is not shown to people, as names or numbers.",
    )

    @property
    def interface(self) -> str:
        """What is asked, in Label Studio's XML."""
        return self.config if self.config is not None else interface(self.template or "", self.choices)

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if (self.config is None) is not bool(self.template or self.choices) or (not self.template) is bool(
            self.choices
        ):
            raise LABELS_ARE_ASKED.refusal()
        _ = self.interface
        if len(set(self.sides)) < len(self.sides):
            message = "sides: found one side twice"
            raise ValueError(message)
        for pattern in self.mask:
            try:
                re.compile(pattern)
            except re.error as error:
                message = f"mask: found {pattern!r}, which is no pattern: {error}"
                raise ValueError(message) from error
        return self


class Labels(Frozen):
    """Where labels come from."""

    source: Literal["parent", "file", "column", "labelStudio"] = Field(
        "parent",
        alias="from",
        description="The parent directory's name, files of labels, a column of tables, or people in Label Studio.",
    )
    path: str = Field("*labels*", description="With from: file, which files hold labels (shell pattern).")
    column: Column | None = Field(None, description="With from: column, where in tables the labels stand.")
    label_studio: LabelStudio | None = Field(None, description="With from: labelStudio, what people are asked.")

    @model_validator(mode="after")
    def _says_where(self) -> Self:
        if (self.source == "column") is not (self.column is not None):
            raise LABELS_FROM_COLUMN.refusal()
        if (self.source == "labelStudio") is not (self.label_studio is not None):
            raise LABELS_FROM_LABEL_STUDIO.refusal()
        return self


class DataPipelineSpec(Spec):
    """What the dataset should be."""

    sources: tuple[Source, ...] = Field(
        (), max_length=500, description="May be empty when people push into the input repositories."
    )
    schedule: Schedule = Field(
        "",
        max_length=100,
        description="When to fetch sources without sha256 again, in UTC: a cron expression of five fields, @hourly, "
        "@daily, @weekly, @monthly, @yearly, or @every with a time as in 90s or 1h30m.",
    )
    split: Split | None = Field(None, description="How to divide sources that name no side.")
    steps: tuple[Step, ...] = Field((), max_length=100, description="Transformations in order, alike on both sides.")
    pachyderm: tuple[RawPipeline, ...] = Field(
        (),
        max_length=100,
        description="Pachyderm pipeline specs, of 1.x or 2, run as they are beside the steps: they may read the "
        "repositories NAME-train, NAME-test and NAME-STEP-train; no dataset version depends on them.",
    )
    checks: tuple[Check, ...] = Field((), max_length=200, description="Rules the data must keep.")
    labels: Labels = Field(default_factory=Labels, description="Where labels come from.")

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        for what, things in (("sources", self.sources), ("steps", self.steps), ("checks", self.checks)):
            names = [thing.name for thing in things]
            if len(names) != len(set(names)):
                message = f"{what}: names must differ from one another"
                raise ValueError(message)
        in_order(self.pachyderm)
        if self.split is None and any(s.side is None for s in self.sources):
            raise SIDES_ARE_KNOWN.refusal()
        if self._items_are_checked() and not any(s.uses == "checks" for s in self.steps):
            raise ITEMS_ARE_CHECKED.refusal()
        return self

    def _items_are_checked(self) -> bool:
        return any(c.rows is None and c.rejected is None for c in self.checks)


class RepoStatus(Frozen):
    """One versioned repository of this pipeline."""

    name: str = Field(description="Repository at the data engine.")
    branch: str = Field(description="Branch that is read.")
    head: str = Field(description="Its newest finished commit.")
    files: int = Field(0, description="Files in that commit.")
    bytes: int = Field(0, description="Their size together.")


class JobStatus(Frozen):
    """One run of one step over one side."""

    step: str = Field(description="Name of the step.")
    side: Side = Field(description="Half of the dataset it ran over.")
    id: str = Field(description="The engine's name of the job.")
    state: str = Field(description="What it is doing, in the engine's words.")
    processed: int = Field(0, description="Datums processed.")
    skipped: int = Field(0, description="Datums that had not changed.")
    failed: int = Field(0, description="Datums that failed.")
    recovered: int = Field(0, description="Datums whose failure was handled by the step's error command.")
    total: int = Field(0, description="All datums.")
    started_at: datetime | None = Field(None, description="When it began.")
    finished_at: datetime | None = Field(None, description="When it ended.")


class RejectedStatus(Frozen):
    """What the steps refused, by the check's name."""

    total: int = Field(0, description="Items rejected.")
    by_reason: dict[str, int] = Field(default_factory=dict, description="Items rejected, by the name of the check.")


class SideStatus(Frozen):
    """One side of the dataset, pinned."""

    repo: str = Field(description="Repository at the data engine.")
    commit: str = Field(description="The commit that training or evaluation reads.")
    files: int = Field(0, description="Files in that commit.")


class LabelStatus(Frozen):
    """The labels, pinned."""

    snapshot: Digest = Field(description="Digest of all labels.")
    rows: int = Field(0, description="Labelled items.")


class Dataset(Frozen):
    """One version of the data: everything training may depend on."""

    version: Digest = Field(description="Digest of files, labels and steps: names this dataset.")
    train: SideStatus
    test: SideStatus
    labels: LabelStatus
    transform: Digest = Field(description="The one digest of the steps both sides went through.")


class CheckedStatus(Frozen):
    """The report of the checks over one version of the data, whether it became the dataset or not."""

    version: Digest = Field(description="The version that was looked at.")
    page: str = Field(description="Where the report lies as a page for people.")
    document: str = Field(description="Where the report lies as JSON.")


class LabelStoreStatus(Frozen):
    """What the database has of the labels."""

    version: Digest | None = Field(None, description="The dataset version whose labels were stored last.")
    trouble: str = Field("", description="Why it is not the one of today, where it should be; it is tried again.")


class LabellingStatus(Frozen):
    """What people have said in Label Studio."""

    project: str = Field("", description="Label Studio's own name of the project.")
    asks: str = Field("", description="Stands for the title and the interface that the project was given last.")
    tasks_for: str = Field("", description="Stands for the data whose items are tasks there.")
    items: int = Field(0, description="Items that people can look at.")
    labelled: int = Field(0, description="Items with enough votes for one label.")
    needed: int = Field(0, description="How many must be labelled before there is a dataset.")
    undecided: int = Field(0, description="Items that people call differently, as many one way as another.")
    annotators: int = Field(0, description="People who said something that counts.")
    agreement: float | None = Field(
        None, description="Krippendorff's alpha over items that several people labelled; 1 is complete agreement."
    )
    passed_over: int = Field(0, description="Answers and files that could not be used.")
    reasons: tuple[str, ...] = Field((), description="Why not, of the first of these.")
    repo: str = Field("", description="Repository of the labels at the data engine.")
    commit: str = Field("", description="Its newest commit.")


class DataPipelineStatus(Status):
    """What the dataset is."""

    repos: tuple[RepoStatus, ...] = Field((), description="Input repositories, one a side.")
    jobs: tuple[JobStatus, ...] = Field((), description="The newest job of each step on each side.")
    rejected: RejectedStatus = RejectedStatus()
    checked: CheckedStatus | None = None
    fields: dict[str, str] = Field(
        default_factory=dict, description="What kind of values each field of the dataset has; `schema` compares it."
    )
    fields_before: dict[str, str] = Field(default_factory=dict, description="The same of the dataset before it.")
    dataset: Dataset | None = None
    label_store: LabelStoreStatus | None = Field(None, description="Absent: no database keeps labels.")
    labelling: LabellingStatus | None = Field(None, description="Absent: labels do not come from Label Studio.")
    pipelines: tuple[PipelineStatus, ...] = Field((), description="The pipelines of spec.pachyderm.")
    collected_for: datetime | None = Field(
        None, description="The newest due time of spec.schedule that sources were fetched for; counted from at first."
    )
    next_fetch_at: datetime | None = Field(None, description="When spec.schedule is due next.")


class DataPipeline(Resource):
    """A versioned dataset, kept true to its sources and steps."""

    kind: Literal["DataPipeline"] = "DataPipeline"
    spec: DataPipelineSpec
    status: DataPipelineStatus = DataPipelineStatus()

    @model_validator(mode="after")
    def _raw_ones_are_apart(self) -> Self:
        name, project = self.metadata.name, self.metadata.namespace
        ours = {f"{name}-{side}" for side in Side} | {
            f"{name}-{s.name}-{side}" for s in self.spec.steps for side in Side
        }
        for number, each in enumerate(self.spec.pachyderm):
            where = f"spec.pachyderm[{number}].pipeline"
            if name_of(each) in ours:
                message = f"found {name_of(each)!r}, a repository or step of this DataPipeline"
                raise MisplacedError(f"{where}.name", message)
            if project_of(each) not in {"", project}:
                message = f"found {project_of(each)!r}, allowed: the namespace of the DataPipeline, {project}"
                raise MisplacedError(f"{where}.project", message)
        return self
