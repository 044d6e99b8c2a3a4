"""Experiment: from a dataset version and code to an approved Release."""

from .adopt import measured, substance, wish, wish_behind
from .decide import asks, current_key, decide, evaluation_key, wants_adoptable, wants_production, wants_report
from .found import Point, TrialFound
from .members import content_digest, release_members
from .retraining import due_time, in_words, train_key
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
    ProductionSeen,
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
    "ProductionSeen",
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
    "current_key",
    "decide",
    "due_time",
    "evaluation_key",
    "in_words",
    "measured",
    "needs_shown",
    "release_members",
    "substance",
    "train_key",
    "wants_adoptable",
    "wants_production",
    "wants_report",
    "wish",
    "wish_behind",
]
