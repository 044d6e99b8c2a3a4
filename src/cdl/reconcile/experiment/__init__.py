"""Experiment: from a dataset version and code to an approved Release."""

from .adopt import substance, wish, wish_behind
from .decide import asks, decide, evaluation_key, train_key, wants_adoptable
from .found import Point, TrialFound
from .members import content_digest, release_members
from .review import needs_shown
from .seen import (
    Action,
    AdoptableSeen,
    AdoptRelease,
    AgreementSeen,
    ApproveRelease,
    CheckpointSeen,
    ForgetRuns,
    Measurement,
    ReleaseSeen,
    ReviewSeen,
    RunPhase,
    RunSeen,
    Seen,
    StartRun,
    StopRun,
    TrainWish,
    WriteRelease,
)
from .status import count_trials

__all__ = [
    "Action",
    "AdoptRelease",
    "AdoptableSeen",
    "AgreementSeen",
    "ApproveRelease",
    "CheckpointSeen",
    "ForgetRuns",
    "Measurement",
    "Point",
    "ReleaseSeen",
    "ReviewSeen",
    "RunPhase",
    "RunSeen",
    "Seen",
    "StartRun",
    "StopRun",
    "TrainWish",
    "TrialFound",
    "WriteRelease",
    "asks",
    "content_digest",
    "count_trials",
    "decide",
    "evaluation_key",
    "needs_shown",
    "release_members",
    "substance",
    "train_key",
    "wants_adoptable",
    "wish",
    "wish_behind",
]
