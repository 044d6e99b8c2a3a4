"""DataPipeline: from sources to one dataset version."""

from .actions import Action, CollectSource, EnsureStep, ForgetData, Ingest, KeepLabels, KeepReport, RemoveStray
from .decide import decide
from .labelled import LabelRow, UnusableLabelsError, in_folders, in_tables, matching
from .raw import EnsureRaw, RawSeen, RawWish, RemoveRaw, is_asked, raw_wishes
from .reported import DOCUMENT, PAGE
from .seen import (
    DataSeen,
    LabelsSeen,
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
    "DOCUMENT",
    "PAGE",
    "Action",
    "CollectSource",
    "DataSeen",
    "EnsureRaw",
    "EnsureStep",
    "ForgetData",
    "Ingest",
    "KeepLabels",
    "KeepReport",
    "LabelRow",
    "LabelsSeen",
    "ManifestSeen",
    "RawSeen",
    "RawWish",
    "RemoveRaw",
    "RemoveStray",
    "Report",
    "Seen",
    "SideSeen",
    "SourceSeen",
    "StepSeen",
    "StepWish",
    "StraySeen",
    "UnusableLabelsError",
    "decide",
    "files_digest",
    "in_folders",
    "in_tables",
    "ingest_key",
    "is_asked",
    "matching",
    "raw_wishes",
    "transform_digest",
    "wishes",
]
