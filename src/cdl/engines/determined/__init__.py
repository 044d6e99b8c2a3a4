"""The training engine on Determined: the real SDK, whether the master runs in a cluster or on this machine."""

from .config import Identities
from .engine import DeterminedEngine

__all__ = ["DeterminedEngine", "Identities"]
