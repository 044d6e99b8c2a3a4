"""What every ServingEngine must keep; subclass it, give it an engine and wishes, and run it with pytest."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from cdl.api.conditions import Reason
from cdl.ports.errors import Rejected
from cdl.reconcile.modeldeployment import ServingPhase

from .builders import owner

if TYPE_CHECKING:
    from cdl.api.meta import Key
    from cdl.ports.serving import ServingEngine
    from cdl.reconcile.modeldeployment import ServingSeen, ServingWish


class ServingEngineContract:
    """One test a promise of `cdl.ports.serving`."""

    @pytest.fixture
    def engine(self) -> ServingEngine:
        """Give the engine under test; a subclass knows which."""
        raise NotImplementedError

    def wish(self, version: int) -> ServingWish:
        """Give the wish to serve one of at least two good releases, counted from 1."""
        raise NotImplementedError

    def broken_wish(self) -> ServingWish:
        """Give the wish to serve a release that no server can load."""
        raise NotImplementedError

    def settle(self, engine: ServingEngine, key: Key) -> ServingSeen:
        """Wait until the engine brought up what was asked for, or gave up, and look."""
        raise NotImplementedError

    def answering(self, engine: ServingEngine, key: Key) -> str:
        """Ask for a prediction and name the release that answered; empty: nobody did."""
        raise NotImplementedError

    def born(self, engine: ServingEngine, key: Key) -> str:
        """Have there be a resource of that key, if the engine can know of any, and give its uid."""
        return f"uid of {key}"

    def bury(self, engine: ServingEngine, key: Key) -> None:
        """Let the engine learn that the resource is gone; one that never learns does nothing."""

    def served(self, engine: ServingEngine, key: Key, version: int = 1) -> ServingSeen:
        """Serve a good release until it answers."""
        engine.serve(key, self.wish(version))
        return self.settle(engine, key)

    def test_nothing_runs_for_an_unknown_owner(self, engine: ServingEngine) -> None:
        """Which is said with None."""
        assert engine.look(owner("ModelDeployment")) is None

    def test_what_is_served_is_called_by_its_wish_and_answers(self, engine: ServingEngine) -> None:
        """With a URL, replicas, and the release that was asked for."""
        key, wish = owner("ModelDeployment"), self.wish(1)
        engine.serve(key, wish)
        seen = self.settle(engine, key)
        assert (seen.key, seen.release, seen.phase) == (wish.key, wish.release.name, ServingPhase.AVAILABLE)
        assert (seen.desired, seen.ready) == (1, 1)
        assert seen.url
        assert self.answering(engine, key) == wish.release.name
        engine.remove(key)

    def test_a_second_equal_wish_changes_nothing(self, engine: ServingEngine) -> None:
        """What is available stays available all the time."""
        key = owner("ModelDeployment")
        before = self.served(engine, key)
        engine.serve(key, self.wish(1))
        assert engine.look(key) == before
        engine.remove(key)

    def test_what_nobody_has_approved_is_refused(self, engine: ServingEngine) -> None:
        """Neither approved nor attested, or only one of the two: nothing runs, and what answered goes on answering."""
        key, wish = owner("ModelDeployment"), self.wish(2)
        self.served(engine, key)
        for change in ({"approved": False}, {"attestation": ""}, {"approved": False, "attestation": ""}):
            with pytest.raises(Rejected, match=wish.release.name) as caught:
                engine.serve(key, replace(wish, release=replace(wish.release, **change)))
            assert caught.value.reason is Reason.NOT_APPROVED
        seen = engine.look(key)
        assert seen is not None
        assert (seen.release, seen.phase) == (self.wish(1).release.name, ServingPhase.AVAILABLE)
        assert self.answering(engine, key) == self.wish(1).release.name
        engine.remove(key)

    def test_looking_changes_nothing(self, engine: ServingEngine) -> None:
        """Neither where nothing runs nor where something does."""
        key, other = owner("ModelDeployment"), owner("ModelDeployment")
        assert engine.look(other) is None
        before = self.served(engine, key)
        assert engine.look(key) == before
        assert engine.look(other) is None
        engine.remove(key)

    def test_the_old_release_answers_until_the_new_one_does(self, engine: ServingEngine) -> None:
        """There is no moment without an answer."""
        key = owner("ModelDeployment")
        self.served(engine, key)
        engine.serve(key, self.wish(2))
        assert self.answering(engine, key)
        assert self.settle(engine, key).phase is ServingPhase.AVAILABLE
        assert self.answering(engine, key) == self.wish(2).release.name
        engine.remove(key)

    def test_available_is_said_only_of_the_wish_last_served(self, engine: ServingEngine) -> None:
        """A release that cannot be loaded is never available, and what answered before goes on answering."""
        key, broken = owner("ModelDeployment"), self.broken_wish()
        self.served(engine, key)
        engine.serve(key, broken)
        at_once = engine.look(key)
        assert at_once is not None
        assert (at_once.key, at_once.phase is ServingPhase.AVAILABLE) == (broken.key, False)
        seen = self.settle(engine, key)
        assert (seen.key, seen.phase) == (broken.key, ServingPhase.FAILED)
        assert seen.message
        assert self.answering(engine, key) == self.wish(1).release.name
        engine.remove(key)

    def test_a_failed_release_is_left_for_a_good_one(self, engine: ServingEngine) -> None:
        """A failure belongs to the wish that failed."""
        key = owner("ModelDeployment")
        engine.serve(key, self.broken_wish())
        assert self.settle(engine, key).phase is ServingPhase.FAILED
        assert self.served(engine, key).phase is ServingPhase.AVAILABLE
        engine.remove(key)

    def test_remove_stops_the_owners_servers_alone(self, engine: ServingEngine) -> None:
        """Somebody else's go on answering."""
        key, other = owner("ModelDeployment"), owner("ModelDeployment")
        self.served(engine, key)
        self.served(engine, other)
        engine.remove(key)
        assert engine.look(key) is None
        assert not self.answering(engine, key)
        assert self.answering(engine, other) == self.wish(1).release.name
        engine.remove(other)

    def test_what_is_let_go_goes_on(self, engine: ServingEngine) -> None:
        """It answers as before, its owner's end is not its end, and it can be served anew."""
        key = owner("ModelDeployment")
        engine.serve(key, replace(self.wish(1), owner=self.born(engine, key)))
        self.settle(engine, key)
        engine.let_go(key)
        engine.let_go(key)
        self.bury(engine, key)
        seen = engine.look(key)
        assert seen is not None
        assert seen.phase is ServingPhase.AVAILABLE
        assert self.answering(engine, key) == self.wish(1).release.name
        assert self.served(engine, key, 2).phase is ServingPhase.AVAILABLE
        engine.remove(key)

    def test_letting_go_of_what_is_not_there_is_a_success(self, engine: ServingEngine) -> None:
        """And brings nothing into being."""
        key = owner("ModelDeployment")
        engine.let_go(key)
        assert engine.look(key) is None

    def test_removing_what_is_not_there_is_a_success(self, engine: ServingEngine) -> None:
        """The first time and every time after."""
        key = owner("ModelDeployment")
        engine.remove(key)
        engine.serve(key, self.wish(1))
        engine.remove(key)
        engine.remove(key)
        assert engine.look(key) is None
