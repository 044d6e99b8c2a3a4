"""Experiment: from a dataset version and code to an approved Release."""

from .decide import decide, evaluation_key, train_key
from .members import content_digest, release_members
from .seen import (
    Action,
    ApproveRelease,
    CheckpointSeen,
    ForgetRuns,
    Measurement,
    ReleaseSeen,
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
    "ApproveRelease",
    "CheckpointSeen",
    "ForgetRuns",
    "Measurement",
    "ReleaseSeen",
    "RunPhase",
    "RunSeen",
    "Seen",
    "StartRun",
    "StopRun",
    "TrainWish",
    "WriteRelease",
    "content_digest",
    "count_trials",
    "decide",
    "evaluation_key",
    "release_members",
    "train_key",
]
