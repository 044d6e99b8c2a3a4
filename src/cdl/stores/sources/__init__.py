"""Data from outside: fetched once, checked, taken apart and divided."""

from .collector import Sources

__all__ = ["Sources"]
