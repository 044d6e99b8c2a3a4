"""Say what a changed resource leads to, before it is done: one line a change, from the decision's own facts."""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cdl.api.v1alpha1 import DataPipeline, Experiment, ModelDeployment
from cdl.reconcile import plan as pure

if TYPE_CHECKING:
    from collections.abc import Callable

    from cdl.api.meta import Key
    from cdl.api.v1alpha1.resource import Resource
    from cdl.reconcile.decision import Decision
    from cdl.reconcile.plan import Stage

    from .controller import Action, Controller, R, S, Seen

PLANNED = "Planned"
"""The reason of the event."""
REMEMBERED = 20_000
"""Resources whose spec is remembered, to say what changed in it."""

log = logging.getLogger(__name__)


def nobody(_: Resource, __: str) -> None:
    """Tell no one but the log."""


def announced(
    controller: Controller[R, Seen, S, Action], told: Callable[[Resource, str], None] = nobody
) -> Controller[R, Seen, S, Action]:
    """Let a controller say what it plans when the spec of a resource it knows was changed, if something will run.

    Looks at nothing by itself: what the decision stands on is enough. What changed in the spec is known to a process
    that has seen it before; one that has just begun says only what follows.
    """
    memory = _Memory()

    def decide(resource: R, seen: Seen) -> Decision[S, Action]:
        meta, observed = resource.metadata, controller.status(resource).observed_generation
        if meta.deleting:
            memory.forget(resource.key)
        elif memory.is_news(resource, observed):
            stages = _stages(resource, memory.before(resource), seen)
            line = pure.in_a_line(stages)
            log.info("%s: planned: %s", resource.key, line)
            if any(stage.verdict in pure.BUSY for stage in stages):  # what changes nothing is no news
                told(resource, line)
        if not meta.deleting:
            memory.keep(resource)
        return controller.decide(resource, seen)

    return replace(controller, decide=decide)


class _Memory:
    """The spec of each resource as it was last seen; the longest-unseen is forgotten first."""

    def __init__(self) -> None:
        self._seen: OrderedDict[Key, tuple[int, Any]] = OrderedDict()

    def is_news(self, resource: Resource, observed: int) -> bool:
        """It was worked on before, and since then its spec was changed, which nobody here has seen yet."""
        generation, _ = self._seen.get(resource.key, (0, None))
        return 0 < observed < resource.metadata.generation and generation < resource.metadata.generation

    def before(self, resource: R) -> R:
        """The resource as it was; as it is, where nobody remembers."""
        _, spec = self._seen.get(resource.key, (0, None))
        return resource if spec is None else resource.model_copy(update={"spec": spec})

    def keep(self, resource: Resource) -> None:
        self._seen[resource.key] = (resource.metadata.generation, getattr(resource, "spec", None))
        self._seen.move_to_end(resource.key)
        while len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)

    def forget(self, key: Key) -> None:
        self._seen.pop(key, None)


def _stages(resource: Resource, before: Resource, seen: Any) -> tuple[Stage, ...]:  # noqa: ANN401 - what its kind's decision stands on
    match resource, before:
        case DataPipeline(), DataPipeline():
            return pure.plan_data(pure.DataFacts(resource, before, seen))[0]
        case Experiment(), Experiment():
            data = pure.DataAhead(seen.dataset, because=seen.waiting_for)
            return pure.plan_experiment(pure.ExperimentFacts(resource, before, seen, data))[0]
        case ModelDeployment(), ModelDeployment():
            return pure.plan_deployment(pure.DeploymentFacts(resource, before, seen))
        case _:
            return ()
