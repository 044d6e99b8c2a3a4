"""The data engine on Pachyderm: the real SDK, whether pachd runs in a cluster or on this machine."""

from .engine import PachydermEngine

__all__ = ["PachydermEngine"]
