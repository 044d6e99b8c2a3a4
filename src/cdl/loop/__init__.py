"""Look, decide, act, report: the order of effects, the same in every mode."""

from .controller import Controller, Engines
from .polled import PolledFeed
from .reconciler import FINALIZER, Reconciler
from .runner import Feed, Runner
from .stamp import Stamp, key_of, stamp_of

__all__ = [
    "FINALIZER",
    "Controller",
    "Engines",
    "Feed",
    "PolledFeed",
    "Reconciler",
    "Runner",
    "Stamp",
    "key_of",
    "stamp_of",
]
