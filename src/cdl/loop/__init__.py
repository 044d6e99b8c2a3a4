"""Look, decide, act, report: the order of effects, the same in every mode."""

from .controller import Controller, Engines
from .reconciler import FINALIZER, Reconciler
from .runner import Runner

__all__ = ["FINALIZER", "Controller", "Engines", "Reconciler", "Runner"]
