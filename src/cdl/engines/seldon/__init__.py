"""The serving engine on Seldon Core 1: SeldonDeployment objects, at an API server or at its stand-in."""

from .engine import SeldonEngine

__all__ = ["SeldonEngine"]
