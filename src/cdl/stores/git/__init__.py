"""Git repositories, asked through the git that is installed."""

from .history import GitHistory

__all__ = ["GitHistory"]
