"""DataPipeline: from sources to one dataset version."""

from .actions import Action, CollectSource, EnsureStep, ForgetData, Ingest, RemoveStray
from .decide import decide
from .seen import (
    DataSeen,
    ManifestSeen,
    Report,
    Seen,
    SideSeen,
    SourceSeen,
    StepSeen,
    StraySeen,
)
from .wishes import StepWish, files_digest, ingest_key, transform_digest, wishes

__all__ = [
    "Action",
    "CollectSource",
    "DataSeen",
    "EnsureStep",
    "ForgetData",
    "Ingest",
    "ManifestSeen",
    "RemoveStray",
    "Report",
    "Seen",
    "SideSeen",
    "SourceSeen",
    "StepSeen",
    "StepWish",
    "StraySeen",
    "decide",
    "files_digest",
    "ingest_key",
    "transform_digest",
    "wishes",
]
