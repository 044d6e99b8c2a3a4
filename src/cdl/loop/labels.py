"""The labels of each dataset version go into the label store; its troubles are told, and nothing waits for it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from cdl.api.v1alpha1.datapipeline import Side
from cdl.ports.errors import PortError, Unavailable
from cdl.reconcile.datapipeline import KeepLabels, LabelsSeen

if TYPE_CHECKING:
    from cdl.api.meta import Key
    from cdl.api.v1alpha1 import DataPipeline
    from cdl.ports.data import DataEngine
    from cdl.ports.labels import LabelStore

log = logging.getLogger(__name__)


class Labelling:
    """What one controller knows of the label store; without one it does nothing."""

    def __init__(self, data: DataEngine, store: LabelStore | None) -> None:
        """Read labels where the data is."""
        self._data, self._store = data, store
        self._troubles: dict[Key, str] = {}

    def look(self, resource: DataPipeline) -> LabelsSeen | None:
        """Say what is stored; the store is only asked while the status does not say that it has the dataset."""
        if self._store is None:
            return None
        known, made = resource.status.label_store, resource.status.dataset
        newest = (known.version if known is not None else None) or ""
        if made is None or newest == made.version:
            return LabelsSeen(newest)
        try:
            newest = self._store.newest(resource.key)
        except PortError as error:
            return LabelsSeen(newest, str(error))
        if newest == made.version:
            self._troubles.pop(resource.key, None)
        return LabelsSeen(newest, self._troubles.get(resource.key, ""))

    def keep(self, owner: Key, action: KeepLabels) -> None:
        """Store the labels of a dataset; where that fails it is noted, and tried again at a later look."""
        if self._store is None:
            return
        made = action.dataset
        rows = {}
        for side, place in ((Side.TRAIN, made.train), (Side.TEST, made.test)):
            found = self._data.labels(place.repo, place.commit, action.labels, owner.namespace)
            if found is None:
                raise Unavailable(f"commit {place.commit} of {place.repo}: is not there any more")
            rows[side] = found
        try:
            self._store.store(owner, made, action.labels.source, rows, action.at)
        except PortError as error:
            self._troubles[owner] = str(error)
            log.warning("%s: the labels of %s are not stored: %s", owner, made.version, error)
