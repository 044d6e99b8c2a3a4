"""The resources on one machine: an SQLite file with Kubernetes' rules."""

from .store import LocalStore, Outcome

__all__ = ["LocalStore", "Outcome"]
