"""A resource as it begins: with its pin, chosen now if it was not chosen before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.api.conditions import Condition

from . import warm
from .retraining import dataset, wish_key

if TYPE_CHECKING:
    from cdl.api.v1alpha1.experiment import Experiment

    from .seen import Seen


def begins(resource: Experiment, seen: Seen) -> Experiment:
    """Give the resource with what its run begins with pinned; as it is where nothing is asked for or there yet."""
    data = dataset(resource, seen)
    if data is None:
        return resource
    wish = wish_key(resource, data.version)
    start = warm.begun(resource, seen, wish)
    if start is None or isinstance(start, Condition):
        return resource
    status = resource.status.model_copy(update={"warm_start": warm.pinned(start, wish)})
    return resource.model_copy(update={"status": status})


def held_up(resource: Experiment, seen: Seen) -> Condition | None:
    """Say why a run cannot begin for want of weights; None: it can."""
    data = dataset(resource, seen)
    start = warm.begun(resource, seen, wish_key(resource, data.version)) if data is not None else None
    return start if isinstance(start, Condition) else None
