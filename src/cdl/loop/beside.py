"""The pipelines that people wrote themselves, beside the steps of a DataPipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.api.conditions import Reason
from cdl.ports.errors import Rejected
from cdl.reconcile import datapipeline as pure

if TYPE_CHECKING:
    from cdl.api.meta import Key
    from cdl.api.v1alpha1 import DataPipeline
    from cdl.ports.raw import RawPipelines


class Beside:
    """Looks at them and acts upon them, where there is an engine for them; who has none asks nobody."""

    def __init__(self, engine: RawPipelines | None) -> None:
        """Drive an engine, or none."""
        self._engine = engine

    def look(self, resource: DataPipeline) -> tuple[pure.RawSeen, ...]:
        """Report those of a resource that has some, or had."""
        return self._driven().look(resource.key) if pure.is_asked(resource) else ()

    def act(self, resource: DataPipeline, action: pure.EnsureRaw | pure.RemoveRaw) -> None:
        """Make one be as it was written, or remove it."""
        if isinstance(action, pure.EnsureRaw):
            self._driven().ensure(resource.key, action.wish)
        else:
            self._driven().remove(resource.key, action.name)

    def let_go(self, resource: DataPipeline) -> None:
        """Remove those of a resource that has some, or had."""
        if pure.is_asked(resource):
            self.forget(resource.key)

    def forget(self, key: Key) -> None:
        """Remove those of a resource, which read what the steps made."""
        if self._engine is not None:
            self._engine.forget(key)

    def _driven(self) -> RawPipelines:
        if self._engine is None:
            raise Rejected("spec.pachyderm: there is no Pachyderm here that could run it", Reason.INVALID_SPEC)
        return self._engine
