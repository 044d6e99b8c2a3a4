"""Resource stores that break one promise each."""

from __future__ import annotations

from datetime import UTC, datetime

from cdl.api.v1alpha1.datapipeline import DataPipelineStatus
from cdl.ports.errors import Rejected
from cdl.testing.builders import pipeline
from cdl.testing.memory import MemoryResources


class InventsResources(MemoryResources):
    def get(self, kind, namespace, name):
        return super().get(kind, namespace, name) or (None if self._stored else pipeline())


class IgnoresNamespaces(MemoryResources):
    def list(self, kind, namespace=None):
        return super().list(kind)


class IgnoresKinds(MemoryResources):
    def get(self, kind, namespace, name):
        return next((r for k, r in self._stored.items() if (k.namespace, k.name) == (namespace, name)), None)


class TakesTheStatusAlong(MemoryResources):
    def create(self, resource):
        made = super().create(resource)
        if made.status == resource.status or resource.status == type(resource.status)():
            return made
        return self._store(made, made.metadata, status=resource.status)


class SharesUids(MemoryResources):
    def _insert(self, resource):
        made = super()._insert(resource)
        if resource.kind != "Release":
            return made
        return self._store(made, made.metadata.model_copy(update={"uid": "uid-0"}))


class CreatesOver(MemoryResources):
    def create(self, resource):
        return self.put(resource)


class CountsLabels(MemoryResources):
    def put(self, resource):
        before = self._stored.get(resource.key)
        labels = before.metadata.labels if before else {}
        made = super().put(resource)
        if made.metadata.labels == labels or before is None:
            return made
        return self._store(made, made.metadata.model_copy(update={"generation": made.metadata.generation + 1}))


class WritesEqualSpecs(MemoryResources):
    def put(self, resource):
        made = super().put(resource)
        return self._store(made, made.metadata)


class CountsStatuses(MemoryResources):
    def write_status(self, key, status, resource_version):
        before = self.writes
        super().write_status(key, status, resource_version)
        if self.writes > before:
            made = self._stored[key]
            self._store(made, made.metadata.model_copy(update={"generation": made.metadata.generation + 1}))


class LosesTheStatusOnApply(MemoryResources):
    def put(self, resource):
        before = self.writes
        made = super().put(resource)
        return made if self.writes == before else self._store(made, made.metadata, status=DataPipelineStatus())


class WritesEqualStatuses(MemoryResources):
    def write_status(self, key, status, resource_version):
        equal = key in self._stored and self._stored[key].status == status
        super().write_status(key, status, resource_version)
        if equal:
            self._store(self._stored[key], self._stored[key].metadata)


class OverwritesStatuses(MemoryResources):
    def write_status(self, key, status, resource_version):
        there = self._stored.get(key)
        super().write_status(key, status, there.metadata.resource_version if there else resource_version)


class WantsThemAlive(MemoryResources):
    def write_status(self, key, status, resource_version):
        if key not in self._stored:
            message = f"{key}: is gone"
            raise Rejected(message)
        super().write_status(key, status, resource_version)


class KeepsTheDeleted(MemoryResources):
    def delete(self, key):
        there = self._stored.get(key)
        if there is not None and not there.metadata.finalizers:
            self._store(there, there.metadata.model_copy(update={"deletion_timestamp": datetime.now(UTC)}))
            return
        super().delete(key)

    def write_status(self, key, status, resource_version):
        there = self._stored.get(key)
        if there is not None and there.metadata.deleting:
            del self._stored[key]
        super().write_status(key, status, resource_version)


class IgnoresFinalizers(MemoryResources):
    def delete(self, key):
        self._stored.pop(key, None)


class KeepsTheFinished(MemoryResources):
    def write_finalizers(self, key, finalizers, resource_version):
        there = self._stored.get(key)
        if there is not None and there.metadata.deleting and not finalizers:
            return
        super().write_finalizers(key, finalizers, resource_version)


class RemovesTheLiving(MemoryResources):
    def write_finalizers(self, key, finalizers, resource_version):
        super().write_finalizers(key, finalizers, resource_version)
        if not finalizers:
            self._stored.pop(key, None)


class WritesEqualFinalizers(MemoryResources):
    def write_finalizers(self, key, finalizers, resource_version):
        super().write_finalizers(key, finalizers, resource_version)
        there = self._stored.get(key)
        if there is not None and not there.metadata.deleting:
            self._store(there, there.metadata)


class OverwritesFinalizers(MemoryResources):
    def write_finalizers(self, key, finalizers, resource_version):
        there = self._stored.get(key)
        super().write_finalizers(key, finalizers, there.metadata.resource_version if there else resource_version)


APART = "test_a_kind_and_a_namespace_are_told_apart"
IDENTITY = "test_create_gives_identity"
BESIDE = "test_a_status_is_written_beside_the_spec"
KEPT = "test_finalizers_keep_a_deleted_resource_until_they_are_gone"
ONLY = "test_finalizers_of_a_resource_that_stays_are_only_that"
LIARS = {
    InventsResources: {
        "test_what_is_not_there_is_none",
        "test_a_status_for_what_is_gone_is_a_success",
        KEPT,
    },
    IgnoresNamespaces: {APART},
    IgnoresKinds: {APART},
    TakesTheStatusAlong: {IDENTITY},
    SharesUids: {IDENTITY},
    CreatesOver: {"test_create_leaves_what_is_there"},
    CountsLabels: {"test_generation_rises_with_the_spec_alone"},
    WritesEqualSpecs: {"test_applying_the_same_again_writes_nothing"},
    CountsStatuses: {BESIDE},
    LosesTheStatusOnApply: {BESIDE},
    WritesEqualStatuses: {"test_an_equal_status_writes_nothing"},
    OverwritesStatuses: {"test_a_status_for_an_older_version_is_a_conflict"},
    WantsThemAlive: {"test_a_status_for_what_is_gone_is_a_success"},
    KeepsTheDeleted: {"test_a_deleted_resource_without_finalizers_is_gone"},
    IgnoresFinalizers: {KEPT},
    KeepsTheFinished: {KEPT},
    RemovesTheLiving: {ONLY},
    WritesEqualFinalizers: {ONLY},
    OverwritesFinalizers: {"test_finalizers_for_an_older_version_are_a_conflict"},
}
