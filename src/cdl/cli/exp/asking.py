"""Find the Experiment that somebody means, and read its trials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl import compose
from cdl.api.v1alpha1 import Experiment
from cdl.cli.context import settings_of
from cdl.cli.platform import answering
from cdl.cli.refusal import Refusal
from cdl.loop.trials import Sources, search

if TYPE_CHECKING:
    from cdl.compose import Shelf
    from cdl.reconcile.trials import SearchFacts


def experiments(namespace: str) -> tuple[Experiment, ...]:
    """Give all of a namespace, by name."""
    found = compose.store(settings_of()).list(Experiment, namespace)
    return tuple(sorted(found, key=lambda experiment: experiment.metadata.name))


def meant(store: Shelf, name: str, namespace: str) -> Experiment:
    """Give one.

    Raises:
        Refusal: there is none of that name.
    """
    found = store.get(Experiment, namespace, name)
    if found is None:
        known = ", ".join(sorted(e.metadata.name for e in store.list(Experiment, namespace))) or "none"
        message = f"Experiment {name}: not found in namespace {namespace}, there are: {known}"
        raise Refusal(message)
    return found


def asked(name: str, namespace: str) -> SearchFacts:
    """Read everything about one; what does not answer is noted."""
    settings = settings_of()
    store = compose.store(settings)
    experiment = meant(store, name, namespace)
    at, silent = answering(settings)
    return search(Sources(store, compose.artifacts(settings), compose.trained(at, silent)), experiment)
