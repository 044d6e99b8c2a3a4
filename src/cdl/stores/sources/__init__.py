"""Data from outside: fetched once, checked, taken apart and divided."""

from .buckets import Buckets
from .collector import Sources

__all__ = ["Buckets", "Sources"]
