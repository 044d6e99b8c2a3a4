"""What a merge request is told: a status for each resource of its commit, and one note. Pure."""

from .facts import Candidate, Ending, Part, View, part_of, parts
from .figures import of_release
from .headline import settled
from .picture import picture, picture_key
from .sections import is_released
from .standing import Standing, Told, standing, status, statuses
from .text import ended, note, rest

__all__ = [
    "Candidate",
    "Ending",
    "Part",
    "Standing",
    "Told",
    "View",
    "ended",
    "is_released",
    "note",
    "of_release",
    "part_of",
    "parts",
    "picture",
    "picture_key",
    "rest",
    "settled",
    "standing",
    "status",
    "statuses",
]
