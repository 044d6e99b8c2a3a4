"""Look, decide, act, report: the order of effects, the same in every mode."""

from .controller import Controller, Engines
from .reconciler import FINALIZER, Reconciler
from .runner import Feed, Runner, Stamp

__all__ = ["FINALIZER", "Controller", "Engines", "Feed", "Reconciler", "Runner", "Stamp"]
