"""A home folder in one file, taken while everything runs, and put back on an empty machine."""

from .reading import restore
from .writing import Summary, write

__all__ = ["Summary", "restore", "write"]
