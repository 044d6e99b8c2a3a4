"""The flow chart as a table: three pipelines, their steps in order, who answers for each, and how the ledger shows it.

The steps, their order and the roles are those of the thesis "Continuous Deep Learning" (chapter 4, figures 4.1-4.4).
Where cdl goes another way the row says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from cdl.reconcile.record import Verb

PIPELINE, EXPERIMENT, DEPLOYMENT, RELEASE = "DataPipeline", "Experiment", "ModelDeployment", "Release"


class Role(StrEnum):
    """Who does what in a data science team (chapter 2.2)."""

    DATA_ENGINEER = "data engineer"
    DATA_LABELER = "data labeler"
    DEVOPS_ENGINEER = "DevOps engineer"
    DATA_SCIENTIST = "data scientist"
    SOFTWARE_ENGINEER = "software engineer"
    MODEL_VALIDATOR = "model validator"


@dataclass(frozen=True, slots=True)
class Sign:
    """An entry by which one sees that a step was taken."""

    kind: str
    verb: Verb
    what: tuple[str, ...] = ()
    """What the entry may say; nothing: whatever it says."""
    wished: str = ""
    """The place in the spec then in force that has to say something."""
    other_than: str = ""
    """What it must not say there."""
    where: tuple[tuple[str, str], ...] = ()
    """Places in the entry's details, and what must be there; `{release}` is the Release's name, `*` anything."""
    revision: bool = False
    """It has to name a git commit."""
    then: tuple[str, ...] = ()
    """What the resource has to become afterwards; that is when the step was done."""


@dataclass(frozen=True, slots=True)
class Step:
    """One box of the chart."""

    name: str
    title: str
    pipeline: str
    role: Role
    signs: tuple[Sign, ...] = ()
    """Any of them will do."""
    after: tuple[str, ...] = ()
    """The steps that have to be over."""
    optional: bool = False
    unseen: str = ""
    """Why the ledger cannot know of it."""
    note: str = ""
    """Where cdl goes another way than the chart."""
    by_hand: bool = False
    """A person has to do it, not a policy, and none who worked on what is judged."""


_APPROVED = Sign(RELEASE, Verb.DECIDED, ("Approved",))
_TRAINS = Sign(EXPERIMENT, Verb.ASKED, ("StartRun",), where=(("wish.evaluates", ""),))
_EVALUATES = Sign(EXPERIMENT, Verb.ASKED, ("StartRun",), where=(("wish.evaluates", "*"),))
_CHECKED = Sign(PIPELINE, Verb.BECAME, ("DataReady True", "Ready True"))
_SEARCHES = Sign(
    EXPERIMENT, Verb.ASKED, ("StartRun",), wished="config.searcher.name", other_than="single", where=_TRAINS.where
)
_SERVES = Sign(
    DEPLOYMENT, Verb.ASKED, ("Serve",), where=(("wish.release.name", "{release}"),), then=("Serving True", "Ready True")
)

_DATA = (
    Step(
        "data-collection",
        "Data Collection",
        "data",
        Role.DATA_ENGINEER,
        (Sign(PIPELINE, Verb.APPLIED, wished="sources"),),
    ),
    Step(
        "data-splitting",
        "Data Splitting",
        "data",
        Role.DATA_ENGINEER,
        (Sign(PIPELINE, Verb.APPLIED, wished="split"),),
        after=("data-collection",),
        optional=True,
    ),
    Step(
        "data-ingestion",
        "Data Ingestion",
        "data",
        Role.DATA_ENGINEER,
        (Sign(PIPELINE, Verb.ASKED, ("Ingest",)),),
        after=("data-collection", "data-splitting"),
    ),
    Step(
        "data-versioning",
        "Data Versioning",
        "data",
        Role.DATA_ENGINEER,
        (Sign(PIPELINE, Verb.ASKED, ("Ingest",), where=(("key", "*"),)),),
        after=("data-collection",),
        note="each ingestion is a commit",
    ),
    Step(
        "data-cleaning",
        "Data Cleaning",
        "data",
        Role.DATA_ENGINEER,
        (Sign(PIPELINE, Verb.ASKED, ("EnsureStep",)),),
        after=("data-collection",),
        note="a step is there before the data and runs on what is committed",
    ),
    Step(
        "data-validation",
        "Data Validation",
        "data",
        Role.DATA_ENGINEER,
        (Sign(PIPELINE, Verb.BECAME, _CHECKED.what, wished="checks"),),
        after=("data-ingestion", "data-cleaning"),
    ),
    Step(
        "data-approval",
        "Data Approval",
        "data",
        Role.DATA_ENGINEER,
        (_CHECKED,),
        after=("data-validation",),
        note="the checks with `onFail: fail` decide",
    ),
    Step(
        "data-labeling",
        "Data Labeling",
        "data",
        Role.DATA_LABELER,
        (Sign(PIPELINE, Verb.BECAME, _CHECKED.what, wished="labels"),),
        after=("data-ingestion",),
        note="labels come with the data, and are checked with it",
    ),
)
_IN_CODE = "happens inside the training code, whose digest the Release holds"
_MODEL = (
    Step(
        "experiment-creation",
        "Experiment Creation",
        "model",
        Role.DATA_SCIENTIST,
        (Sign(EXPERIMENT, Verb.APPLIED),),
    ),
    Step(
        "data-analysis",
        "Data Analysis",
        "model",
        Role.DATA_SCIENTIST,
        unseen="happens in notebooks and heads",
    ),
    Step("data-preprocessing", "Data Preprocessing", "model", Role.DATA_SCIENTIST, optional=True, unseen=_IN_CODE),
    Step("validation-split", "Data Splitting (train and validation)", "model", Role.DATA_SCIENTIST, unseen=_IN_CODE),
    Step(
        "model-building",
        "Model Building",
        "model",
        Role.DATA_SCIENTIST,
        (Sign(EXPERIMENT, Verb.APPLIED, wished="code.archive"),),
        after=("experiment-creation",),
    ),
    Step(
        "hp-optimization",
        "Hyperparameter Optimization",
        "model",
        Role.DATA_SCIENTIST,
        (_SEARCHES,),
        after=("model-building",),
        optional=True,
    ),
    Step(
        "model-training",
        "Model Training",
        "model",
        Role.DATA_SCIENTIST,
        (_TRAINS,),
        after=("model-building", "data-approval", "data-labeling"),
    ),
    Step(
        "experiment-evaluation",
        "Experiment Evaluation",
        "model",
        Role.DATA_SCIENTIST,
        (Sign(EXPERIMENT, Verb.BECAME, ("Trained True",)), _EVALUATES),
        after=("model-training",),
        note="the searcher's metric chooses the checkpoint",
    ),
    Step(
        "model-evaluation",
        "Model Evaluation",
        "model",
        Role.DATA_SCIENTIST,
        (_EVALUATES,),
        after=("model-training",),
    ),
    Step(
        "model-registration",
        "Model Registration",
        "model",
        Role.DATA_SCIENTIST,
        (Sign(EXPERIMENT, Verb.ASKED, ("WriteRelease",)),),
        after=("experiment-evaluation", "model-evaluation"),
        note="the chart registers first and evaluates then; cdl registers what has met its gates",
    ),
    Step(
        "model-submission",
        "Model Submission",
        "model",
        Role.DATA_SCIENTIST,
        (Sign(EXPERIMENT, Verb.APPLIED, revision=True),),
        note="the commit comes first: what is not committed names no revision",
    ),
    Step(
        "model-review",
        "Model Review",
        "model",
        Role.MODEL_VALIDATOR,
        (Sign(RELEASE, Verb.DECIDED, ("Approved", "Rejected")),),
        after=("model-evaluation", "model-registration"),
        by_hand=True,
    ),
    Step(
        "model-promotion",
        "Model Promotion",
        "model",
        Role.MODEL_VALIDATOR,
        (_APPROVED,),
        after=("model-registration",),
        by_hand=True,
    ),
)
_DEPLOYMENT = (
    Step(
        "model-implementation",
        "Model Implementation",
        "deployment",
        Role.SOFTWARE_ENGINEER,
        (Sign(EXPERIMENT, Verb.APPLIED, wished="code.serve"),),
        note="the serving code is part of the Release, so it is there before the review",
    ),
    Step(
        "implementation-review",
        "Implementation Review",
        "deployment",
        Role.MODEL_VALIDATOR,
        (_APPROVED,),
        after=("model-implementation",),
        note="the same decision: the Release holds the serving code's digest",
        by_hand=True,
    ),
    Step("model-compression", "Model Compression", "deployment", Role.SOFTWARE_ENGINEER, optional=True),
    Step(
        "model-revision",
        "Model Revision",
        "deployment",
        Role.SOFTWARE_ENGINEER,
        after=("model-compression",),
        optional=True,
    ),
    Step(
        "model-packaging",
        "Model Packaging",
        "deployment",
        Role.DEVOPS_ENGINEER,
        (Sign(EXPERIMENT, Verb.ASKED, ("WriteRelease",), wished="code.serve"),),
        after=("model-implementation",),
    ),
    Step(
        "deployment-manifest",
        "Deployment Manifest",
        "deployment",
        Role.DEVOPS_ENGINEER,
        (Sign(DEPLOYMENT, Verb.APPLIED),),
    ),
    Step(
        "model-deployment",
        "Model Deployment",
        "deployment",
        Role.DEVOPS_ENGINEER,
        (_SERVES,),
        after=("model-promotion", "model-packaging", "deployment-manifest"),
    ),
    Step(
        "model-monitoring",
        "Model Monitoring",
        "deployment",
        Role.DATA_SCIENTIST,
        (Sign(DEPLOYMENT, Verb.APPLIED, wished="monitoring.log"),),
    ),
    Step(
        "model-maintenance",
        "Model Maintenance",
        "deployment",
        Role.DATA_SCIENTIST,
        (
            Sign(EXPERIMENT, Verb.APPLIED, wished="retrain.onData"),
            Sign(EXPERIMENT, Verb.APPLIED, wished="retrain.schedule"),
            Sign(EXPERIMENT, Verb.APPLIED, wished="retrain.onDrift"),
        ),
        note="what leads back into the workflow is declared: new data, a schedule, drift",
    ),
)
CHART = (*_DATA, *_MODEL, *_DEPLOYMENT)
"""All of it, in the order of the chart."""
