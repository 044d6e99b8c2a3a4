"""One run of a scenario: create, edit, delete, with whatever goes wrong on the way; then what must hold."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.chaos import invariants, materials
from tests.chaos.invariants import GONE_SECONDS, SETTLE_SECONDS, Acknowledged
from tests.chaos.kube import brief, is_ready, is_settled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.chaos.kube import Document
    from tests.chaos.rig import Rig
    from tests.chaos.sweep import Sweep

DATA = "prepared"
"""The DataPipeline that every Experiment trains on."""
DOORS = {
    "DataPipeline": frozenset({"api", "pachd", "sources"}),
    "Experiment": frozenset({"api", "determined"}),
    "ModelDeployment": frozenset({"api", "seldon"}),
}
ENGINE = {"DataPipeline": "pachd", "Experiment": "determined", "ModelDeployment": "seldon"}


class ViolationError(AssertionError):
    """An invariant does not hold; the message has every sentence."""


@dataclass(slots=True)
class Scenario:
    """A kind's own way from nothing to nothing."""

    rig: Rig
    kind: str
    namespace: str
    name: str
    edits: int = 0
    told: Acknowledged = field(default_factory=Acknowledged)

    @property
    def token(self) -> str:
        """What stands for the name in signatures."""
        return f"{{{self.kind.lower()}}}"

    def document(self) -> Document:
        """The resource as it is created."""
        match self.kind:
            case "DataPipeline":
                return materials.pipeline(self.namespace, self.name, self.rig.source(self.name))
            case "Experiment":
                return self.rig.shelf.experiment(self.namespace, self.name, DATA)
            case _:
                return materials.deployment(self.namespace, self.name, 1)

    def edited(self) -> Document:
        """What a person changes in its spec: always something that makes the engine work."""
        self.edits += 1
        odd = self.edits % 2 == 1
        match self.kind:
            case "DataPipeline":
                step = "again" if odd else "copy"
                source = self.rig.source(self.name)
                changed = materials.pipeline(self.namespace, self.name, source, seed=1 + self.edits, step=step)
                return {"spec": {key: changed["spec"][key] for key in ("split", "steps")}}
            case "Experiment":
                skill = round(0.8 + 0.01 * self.edits, 3)
                return {"spec": {"config": {"hyperparameters": {"skill": skill}}}}
            case _:
                return {"spec": {"model": {"version": 2 if odd else 1}}}

    def prepare(self) -> None:
        """Make what must be there before: releases a person has approved."""
        if self.kind == "ModelDeployment":
            for version in (1, 2):
                release = self.rig.kube.create(self.rig.shelf.release(self.namespace, self.name, version))
                name = release["metadata"]["name"]
                self.rig.kube.patch("Release", self.namespace, name, self.rig.shelf.approval(release), "/status")

    def tidy(self) -> None:
        """Remove what the deletion of the resource leaves on purpose."""
        for release in self.rig.kube.list("Release", self.namespace):
            if release["spec"]["model"] == self.name:
                self.rig.kube.delete("Release", self.namespace, release["metadata"]["name"])

    def get(self) -> Document | None:
        """The resource as it is."""
        return self.rig.kube.get(self.kind, self.namespace, self.name)


@dataclass(slots=True)
class Course:
    """Drives one scenario through its phases under a sweep."""

    scenario: Scenario
    sweep: Sweep
    quiet_seconds: float = 1.0
    stir: bool = False
    """Ask for a look after each fault that is no death: the loop's patience is not what is tested here."""
    load: Callable[[str], None] | None = None

    def run(self) -> None:
        """Go through all phases.

        Raises:
            ViolationError: something that must hold does not.
        """
        rig, it = self.scenario.rig, self.scenario
        rig.gate.subjects.add(it.name)
        rig.gate.names[it.name] = it.token
        rig.gate.names[it.namespace] = "{ns}"
        it.prepare()
        self.sweep.begin()
        document: Any = self._phase("create", lambda: rig.kube.create(it.document()))
        if self.load is not None:
            self.load(document["status"]["url"])
        self._phase("edit", lambda: rig.kube.patch(it.kind, it.namespace, it.name, it.edited()))
        self._deleted()
        it.tidy()
        rig.gate.subjects.discard(it.name)

    def _phase(self, name: str, act: Callable[[], Document]) -> Document:
        rig, it = self.scenario.rig, self.scenario
        self.sweep.enter(name)
        self.sweep.last_fault = time.monotonic()
        document = act()
        generation = document["metadata"]["generation"]
        document = self._await(name, lambda found: _reached(found, generation))
        self.sweep.phase = ""  # from here on nothing goes wrong
        problems = [
            *invariants.settled(document),
            *([] if is_ready(document) else [f"I4: {it.kind} {it.name} did not become ready: {document['status']}"]),
            *invariants.at_most_one(rig.eyes, document),
            *invariants.nothing_lost(rig.eyes, it.told, self._still_there()),
        ]
        invariants.acknowledge(rig.eyes, rig.kube, document, it.told)
        self._judge(problems, name)
        self._judge(invariants.quiet(rig.gate, rig.kube, document, self.quiet_seconds), name)
        return document

    def _deleted(self) -> None:
        rig, it = self.scenario.rig, self.scenario
        document: Any = it.get()
        self.sweep.enter("delete")
        self.sweep.last_fault = time.monotonic()
        rig.kube.delete(it.kind, it.namespace, it.name)
        self._await("delete", lambda found: found is None or found["metadata"]["uid"] != document["metadata"]["uid"])
        self.sweep.phase = ""
        survivors = set() if it.kind == "DataPipeline" else None
        problems = [
            *invariants.nothing_left(rig.eyes, rig.kube, document),
            *invariants.nothing_lost(rig.eyes, it.told, survivors),
            *invariants.forward(rig.recorder, document["metadata"]["uid"], lives=rig.gate.life, calm=not self.stir),
        ]
        self._judge(problems, "delete")

    def _await(self, phase: str, holds: Callable[[Document | None], object]) -> Any:
        """Wait until it is calm: as long as faults fall, and then 60 s (30 s for a deletion) at most."""
        it, begun = self.scenario, time.monotonic()
        allowed = GONE_SECONDS if phase == "delete" else SETTLE_SECONDS
        stirred = self.sweep.last_fault
        while not holds(found := it.get()):
            if time.monotonic() - self.sweep.last_fault > allowed:
                late = (
                    f"I4: {it.kind} {it.name} not through {phase} {allowed:.0f} s after the last fault: {brief(found)}"
                )
                raise ViolationError(invariants.shown([late], it.rig.operator.last_words()))
            if self.stir and found is not None and self.sweep.last_fault > stirred:
                stirred = self.sweep.last_fault
                self._ask_for_a_look()
            time.sleep(0.03)
        since = self.sweep.last_fault if self.sweep.open_lines else begun
        for line in self.sweep.open_lines:
            line["phase_took_s"] = round(time.monotonic() - begun, 3)
        if self.sweep.open_lines:
            self.sweep.open_lines[-1]["converged_s"] = round(time.monotonic() - since, 3)
        return found

    def _ask_for_a_look(self) -> None:
        it = self.scenario
        body = {"metadata": {"annotations": {"cdl.dev/requestedAt": str(time.time())}}}
        it.rig.kube.patch_if_there(it.kind, it.namespace, it.name, body)

    def _still_there(self) -> set[str] | None:
        """After an edit a step's old output may go; what was put in stays."""
        it = self.scenario
        return set(it.rig.eyes.repos(it.namespace, it.name)) if it.kind == "DataPipeline" else None

    def _judge(self, problems: Iterable[str], phase: str) -> None:
        found = list(problems)
        journal = self.sweep.journal
        for line in self.sweep.open_lines:
            line["invariants"] = found or "ok"
        journal.write(self.sweep.open_lines)
        self.sweep.open_lines = []
        if found:
            journal.violations += found
            words = [f"{self.scenario.kind} {self.scenario.name}, {phase}:", *found]
            raise ViolationError(invariants.shown(words, self.scenario.rig.operator.last_words()))


def _reached(found: Document | None, generation: int) -> bool:
    """Settled, about this generation, and about every look that was asked for."""
    if found is None or not is_settled(found) or found["metadata"]["generation"] < generation:
        return False
    asked = found["metadata"].get("annotations", {}).get("cdl.dev/requestedAt", "")
    return bool(found["status"].get("lastHandledRequestedAt", "") == asked)
