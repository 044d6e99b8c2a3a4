"""The stories of a Pulse that are the same for every engine of a kind: what it does first, then, and last."""

from __future__ import annotations

from cdl.reconcile.modeldeployment import ServingPhase
from cdl.testing.builders import owner
from cdl.testing.pulse_contract import PulseContract


class TrainingPulse(PulseContract):
    """A subclass has the wishes of a TrainingEngineContract."""

    def owner(self):
        return owner("Experiment", "pulse")

    def begin(self, engine, key, place):
        engine.start(key, "a", self.short_wish())

    def change(self, engine, key, place):
        engine.start(key, "b", self.failing_wish())

    def forget(self, engine, key):
        engine.forget(key)


class ServingPulse(PulseContract):
    """A subclass has the wishes of a ServingEngineContract."""

    def owner(self):
        return owner("ModelDeployment", "pulse")

    def begin(self, engine, key, place):
        engine.serve(key, self.wish(1))

    def change(self, engine, key, place):
        engine.serve(key, self.wish(2))

    def forget(self, engine, key):
        engine.remove(key)

    def look(self, engine, key):
        return engine.look(key)

    def settled(self, seen):
        return seen.phase is ServingPhase.AVAILABLE
