"""What every ResourceStore must keep; subclass it, give it a store, and run it with pytest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cdl.api.v1alpha1 import DataPipeline, Experiment, Release
from cdl.api.v1alpha1.datapipeline import DataPipelineStatus
from cdl.api.v1alpha1.resource import Event
from cdl.ports.errors import Conflict

from .builders import EPOCH, pipeline, release

if TYPE_CHECKING:
    from cdl.api.meta import Key
    from cdl.ports.resources import ResourceStore

STATUS = DataPipelineStatus(
    observed_generation=1, progress="1/4", history=(Event(at=EPOCH, what="dataset", digest="sha256:1"),)
)


def there(store: ResourceStore, name: str = "news") -> DataPipeline:
    """Get a pipeline that must be there."""
    found = store.get(DataPipeline, "default", name)
    assert found is not None
    return found


def version(resource: DataPipeline) -> str:
    """Give the version that a write names."""
    return resource.metadata.resource_version


class ResourceStoreContract:
    """One test a promise of `cdl.ports.resources`."""

    @pytest.fixture
    def engine(self) -> ResourceStore:
        """Give the store under test; a subclass knows which."""
        raise NotImplementedError

    def apply(self, engine: ResourceStore, resource: DataPipeline) -> None:
        """Create or change a resource as a person would."""
        raise NotImplementedError

    def delete(self, engine: ResourceStore, key: Key) -> None:
        """Ask for a resource to go as a person would."""
        raise NotImplementedError

    def test_what_is_not_there_is_none(self, engine: ResourceStore) -> None:
        """And no list has it."""
        assert engine.get(DataPipeline, "default", "news") is None
        assert engine.list(DataPipeline) == ()

    def test_a_kind_and_a_namespace_are_told_apart(self, engine: ResourceStore) -> None:
        """The same name in another one is another resource."""
        self.apply(engine, pipeline())
        assert engine.get(Experiment, "default", "news") is None
        assert engine.get(DataPipeline, "other", "news") is None
        assert engine.list(Experiment) == ()
        assert engine.list(DataPipeline, "other") == ()
        assert [r.metadata.name for r in engine.list(DataPipeline, "default")] == ["news"]
        assert [r.metadata.name for r in engine.list(DataPipeline)] == ["news"]

    def test_create_gives_identity(self, engine: ResourceStore) -> None:
        """A uid of its own, generation 1, and a spec as it was asked for; a status is not taken over."""
        asked = release().model_copy(update={"status": release().status.model_copy(update={"progress": "9/9"})})
        made = engine.create(asked)
        other = engine.create(release("news", 2))
        assert made.spec == asked.spec
        assert made.metadata.generation == 1
        assert made.metadata.uid
        assert made.metadata.uid != other.metadata.uid
        assert made.metadata.creation_timestamp is not None
        assert made.status.progress == ""
        assert engine.get(Release, "default", "news-1") == made

    def test_create_leaves_what_is_there(self, engine: ResourceStore) -> None:
        """The second gives the first's resource, unchanged."""
        made = engine.create(release(git={"commit": "a"}))
        again = engine.create(release(git={"commit": "b"}))
        assert again == made
        assert engine.list(Release) == (made,)

    def test_generation_rises_with_the_spec_alone(self, engine: ResourceStore) -> None:
        """Labels, status and finalizers are no change of the spec; every write is a new version."""
        self.apply(engine, pipeline())
        made = there(engine)
        named = made.metadata.model_copy(update={"labels": {"team": "news"}})
        self.apply(engine, pipeline().model_copy(update={"metadata": named}))
        labelled = there(engine)
        assert (labelled.metadata.labels, labelled.metadata.generation) == ({"team": "news"}, 1)
        self.apply(engine, pipeline(interval="5m"))
        changed = there(engine)
        assert (changed.spec.interval, changed.metadata.generation) == ("5m", 2)
        assert changed.metadata.uid == made.metadata.uid
        assert len({version(r) for r in (made, labelled, changed)}) == 3

    def test_applying_the_same_again_writes_nothing(self, engine: ResourceStore) -> None:
        """The version stays."""
        self.apply(engine, pipeline())
        before = there(engine)
        self.apply(engine, pipeline())
        assert there(engine) == before

    def test_a_status_is_written_beside_the_spec(self, engine: ResourceStore) -> None:
        """It can be read again; spec and generation stay; applying keeps it."""
        self.apply(engine, pipeline())
        made = there(engine)
        engine.write_status(made.key, STATUS, version(made))
        told = there(engine)
        assert (told.status, told.spec, told.metadata.generation) == (STATUS, made.spec, 1)
        assert version(told) != version(made)
        self.apply(engine, pipeline(interval="5m"))
        assert there(engine).status == STATUS

    def test_an_equal_status_writes_nothing(self, engine: ResourceStore) -> None:
        """The version stays, so nobody is woken."""
        self.apply(engine, pipeline())
        engine.write_status(there(engine).key, STATUS, version(there(engine)))
        before = there(engine)
        engine.write_status(before.key, STATUS, version(before))
        assert there(engine) == before

    def test_a_status_for_an_older_version_is_a_conflict(self, engine: ResourceStore) -> None:
        """What was decided about the old spec is not said of the new one."""
        self.apply(engine, pipeline())
        old = there(engine)
        self.apply(engine, pipeline(interval="5m"))
        with pytest.raises(Conflict):
            engine.write_status(old.key, STATUS, version(old))
        assert there(engine).status.progress == ""

    def test_a_status_for_what_is_gone_is_a_success(self, engine: ResourceStore) -> None:
        """And does not bring it back."""
        self.apply(engine, pipeline())
        old = there(engine)
        self.delete(engine, old.key)
        engine.write_status(old.key, STATUS, version(old))
        assert engine.get(DataPipeline, "default", "news") is None

    def test_a_deleted_resource_without_finalizers_is_gone(self, engine: ResourceStore) -> None:
        """At once; the next of its name is another one."""
        self.apply(engine, pipeline())
        old = there(engine)
        self.delete(engine, old.key)
        assert engine.list(DataPipeline) == ()
        self.apply(engine, pipeline())
        assert there(engine).metadata.uid != old.metadata.uid

    def test_finalizers_keep_a_deleted_resource_until_they_are_gone(self, engine: ResourceStore) -> None:
        """It is marked as being deleted, and goes with the last of them."""
        self.apply(engine, pipeline())
        made = there(engine)
        engine.write_finalizers(made.key, ("cdl.dev/engines", "other"), version(made))
        self.delete(engine, made.key)
        leaving = there(engine)
        assert leaving.metadata.deleting
        engine.write_finalizers(made.key, ("other",), version(leaving))
        assert there(engine).metadata.finalizers == ("other",)
        engine.write_finalizers(made.key, (), version(there(engine)))
        assert engine.get(DataPipeline, "default", "news") is None

    def test_finalizers_of_a_resource_that_stays_are_only_that(self, engine: ResourceStore) -> None:
        """Removing the last one removes nothing else; equal ones write nothing."""
        self.apply(engine, pipeline())
        made = there(engine)
        engine.write_finalizers(made.key, ("cdl.dev/engines",), version(made))
        held = there(engine)
        assert held.metadata.finalizers == ("cdl.dev/engines",)
        engine.write_finalizers(made.key, ("cdl.dev/engines",), version(held))
        assert there(engine) == held
        engine.write_finalizers(made.key, (), version(held))
        assert there(engine).metadata.finalizers == ()

    def test_finalizers_for_an_older_version_are_a_conflict(self, engine: ResourceStore) -> None:
        """A deletion in between must not be overlooked."""
        self.apply(engine, pipeline())
        old = there(engine)
        self.apply(engine, pipeline(interval="5m"))
        with pytest.raises(Conflict):
            engine.write_finalizers(old.key, ("cdl.dev/engines",), version(old))
        assert there(engine).metadata.finalizers == ()
