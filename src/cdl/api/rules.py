"""What must hold between fields, and what may never change: each rule once, for everybody who asks.

A rule has one sentence. The models raise it, `cdl validate` prints it, the admission server answers with it, and a
current API server says it by itself, because the custom resource definitions carry the expression (in CEL, the
Common Expression Language, as API servers from 1.25 on evaluate it). A test holds the models and the expressions
to the same verdicts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

STAYS = "self == oldSelf"
"""The one expression about updates; what it means is written out below for stores without CEL."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule about the value at one place of one kind."""

    kind: str
    place: str
    """Where the value is: `spec.steps[]` is each step."""
    expression: str
    """CEL: `self` is the value, `oldSelf` the value before; a rule that names `oldSelf` is about updates only.

    A field that is null is not there: an API server has dropped it before.
    """
    message: str

    @property
    def about_updates(self) -> bool:
        """It compares two versions of a resource, so one document alone cannot break it."""
        return "oldSelf" in self.expression

    def refusal(self) -> ValueError:
        """Give what a model raises when the rule is broken."""
        return ValueError(self.message)


STEP_PROGRAM = Rule(
    "DataPipeline",
    "spec.steps[]",
    "has(self.uses) != (has(self.cmd) && size(self.cmd) > 0)",
    "give either uses (a built-in program) or cmd (with image), not both and not neither",
)
CHECK_RULES = (
    "type",
    "range",
    "minLength",
    "maxLength",
    "oneOf",
    "notNull",
    "regex",
    "encoding",
    "extension",
    "image",
    "unique",
    "rows",
    "rejected",
    "duplicates",
    "schema",
)
CHECK_SAYS_SOMETHING = Rule(
    "DataPipeline",
    "spec.checks[]",
    " || ".join(f"has(self.{rule})" for rule in CHECK_RULES),
    f"a check needs a rule: {', '.join(CHECK_RULES[:-1])} or {CHECK_RULES[-1]}",
)
LABELS_FROM_COLUMN = Rule(
    "DataPipeline",
    "spec.labels",
    "(has(self.from) && self.from == 'column') == has(self.column)",
    "column goes with from: column, and from: column needs column: {files, id, label}",
)
LABELS_FROM_LABEL_STUDIO = Rule(
    "DataPipeline",
    "spec.labels",
    "(has(self.from) && self.from == 'labelStudio') == has(self.labelStudio)",
    "labelStudio goes with from: labelStudio, and from: labelStudio needs labelStudio: {template, choices} or {config}",
)
LABELS_ARE_ASKED = Rule(
    "DataPipeline",
    "spec.labels.labelStudio",
    "has(self.config) != has(self.template) && has(self.template) == (has(self.choices) && size(self.choices) > 0)",
    "labelStudio needs either template and choices, or config",
)
SIDES_ARE_KNOWN = Rule(
    "DataPipeline",
    "spec",
    "has(self.split) || !has(self.sources) || self.sources.all(s, has(s.side))",
    "sources without a side need spec.split",
)
ITEMS_ARE_CHECKED = Rule(
    "DataPipeline",
    "spec",
    "!has(self.checks) || self.checks.all(c, has(c.rows) || has(c.rejected))"
    " || (has(self.steps) && self.steps.exists(s, has(s.uses) && s.uses == 'checks'))",
    "checks on items need a step with `uses: checks`",
)
DATA_FROM_PIPELINE = Rule(
    "Experiment",
    "spec.data",
    "has(self.pipeline)",
    "data.pipeline is required: the name of a DataPipeline in the same namespace",
)
CODE_FROM_ARCHIVE = Rule(
    "Experiment",
    "spec.code",
    "has(self.archive)",
    "code.archive is required: the folder or archive that holds the training code",
)
START_IS_NAMED = Rule(
    "Experiment",
    "spec.warmStart",
    "(has(self.policy) && self.policy != 'none') == has(self.from)",
    "from goes with policy: weights or freeze, and both need it",
)
LAYERS_STAY = Rule(
    "Experiment",
    "spec.warmStart",
    "(has(self.policy) && self.policy == 'freeze') == (has(self.freeze) && size(self.freeze) > 0)",
    "freeze goes with policy: freeze, which needs the names of the layers that stay as they are",
)
ONE_START = Rule(
    "Experiment",
    "spec.warmStart.from",
    "has(self.release) != has(self.checkpoint)",
    "give either release (NAME@N, or NAME for the newest approved one) or checkpoint, not both and not neither",
)
GATE_IS_BOUNDED = Rule(
    "Experiment",
    "spec.evaluation.gates[]",
    "(has(self.min) || has(self.max)) != has(self.against)",
    "a gate needs min or max, or against: production",
)
DROP_IS_AGAINST = Rule(
    "Experiment",
    "spec.evaluation.gates[]",
    "!has(self.maxDrop) || has(self.against)",
    "maxDrop goes with against: production",
)
GATE_IS_OF_ONE = Rule(
    "Experiment",
    "spec.evaluation.gates[]",
    "!has(self.group) || size(self.group) == 0 || !has(self.class) || size(self.class) == 0",
    "a gate is about a class or a group, not both",
)
MODEL_NAME_STAYS = Rule(
    "Experiment",
    "spec.model.name",
    STAYS,
    "cannot change: Releases carry it; make another Experiment for another model",
)
VERSION_IS_PINNED = Rule(
    "ModelDeployment",
    "spec.model",
    "(has(self.policy) && self.policy == 'Pinned') == has(self.version)",
    "version goes with policy: Pinned, and policy: Pinned needs a version",
)
RELEASE_STAYS = Rule(
    "Release",
    "spec",
    STAYS,
    "a Release never changes: what is different is another Release",
)

RULES = (
    STEP_PROGRAM,
    CHECK_SAYS_SOMETHING,
    LABELS_FROM_COLUMN,
    LABELS_FROM_LABEL_STUDIO,
    LABELS_ARE_ASKED,
    SIDES_ARE_KNOWN,
    ITEMS_ARE_CHECKED,
    DATA_FROM_PIPELINE,
    CODE_FROM_ARCHIVE,
    START_IS_NAMED,
    LAYERS_STAY,
    ONE_START,
    GATE_IS_BOUNDED,
    DROP_IS_AGAINST,
    GATE_IS_OF_ONE,
    MODEL_NAME_STAYS,
    VERSION_IS_PINNED,
    RELEASE_STAYS,
)


def changed(kind: str, new: Mapping[str, object], old: Mapping[str, object]) -> tuple[str, ...]:
    """Give a sentence for each part of a resource that may never change and did: for every store and for admission."""
    after, before = without_nulls(new), without_nulls(old)
    return tuple(
        f"{rule.place}: {rule.message}"
        for rule in RULES
        if rule.kind == kind and rule.about_updates and _at(after, rule.place) != _at(before, rule.place)
    )


def without_nulls(value: object) -> object:
    """A field that is null is as good as left out, to a model and to an API server."""
    if isinstance(value, Mapping):
        return {name: without_nulls(part) for name, part in value.items() if part is not None}
    return [without_nulls(part) for part in value] if isinstance(value, list) else value


def _at(document: object, place: str) -> object:
    for name in place.split("."):
        document = document.get(name) if isinstance(document, dict) else None
    return document
