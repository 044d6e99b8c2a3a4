"""Runs of Experiments and versions of models at Determined."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import yaml
from determined.common import api
from determined.common.api import bindings
from determined.common.api import errors as sdk

from cdl.api.conditions import Reason
from cdl.ports.errors import Conflict, Rejected, Unavailable
from cdl.reconcile.release import VersionFound

from .code import model_definition
from .config import NOBODY, Identities, experiment_config, key_label, owner_label, registered_name
from .door import there
from .master import Master
from .pulse import Pulse
from .reading import Reader
from .reports import found_trials
from .translate import PHASE_OF, checkpoint_found

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from determined.experimental.client import Determined

    from cdl.api.meta import Key
    from cdl.reconcile.experiment import RunPhase, RunSeen, TrainWish, TrialFound
    from cdl.reconcile.release import CheckpointFound, RunFound

DIGEST = "cdl.dev/digest"
PACHD_PORT = 30650
ENDS_WITHIN = 20.0
"""How long a killed run may take to be gone before somebody looks again."""


class DeterminedEngine:
    """Drives one master. Runs are found again by their labels, `cdl-owner` and `cdl-key`."""

    def __init__(
        self,
        url: str,
        *,
        fetch: Callable[[str, str], Path],
        pachd: str,
        user: str = "determined",
        password: str = "",
        environment: Mapping[str, str] | None = None,
        identities: Identities = NOBODY,
    ) -> None:
        """Talk to the master at `url`; nothing is asked yet.

        `fetch` gives a checked local file for the URI and sha256 of a code archive. `pachd` is the address that trials
        read their data from, and `environment` is added to what trials see. `identities` are what runs show there.
        """
        self._master = Master(url, user, password)
        self._fetch = fetch
        parts = urlsplit(pachd if "://" in pachd else f"grpc://{pachd}")
        self._pachd = (parts.hostname or "localhost", parts.port or PACHD_PORT)
        self._environment = dict(environment or {})
        self._identities = identities
        self._reader = Reader()
        self._pulse = Pulse(self._reader)
        self._starting = threading.Lock()

    def look(self, owner: Key) -> tuple[RunSeen, ...]:
        """Report every run of the owner, archived ones left out; changes nothing; an unknown owner is an empty report.

        A run that ended has its trials, its best checkpoint (by the searcher's metric) and, if it evaluated, its
        measurement.
        """

        def ask(_: Determined, session: api.Session) -> tuple[RunSeen, ...]:
            seen: dict[str, RunSeen] = {}
            for run in self._reader.runs(session, [owner_label(owner)]):
                found = self._reader.seen(session, run)
                seen.setdefault(found.key, found)  # a second of the same key is about to be stopped by who made it
            return tuple(seen.values())

        return self._master.ask(f"looking at Experiment {owner.name}", ask)

    def start(self, owner: Key, key: str, wish: TrainWish) -> None:
        """Make sure a run called key exists and is active unless it ended.

        A second call changes nothing, even after a lost reply; an ended run is never revived.
        """
        labels = [owner_label(owner), key_label(key)]

        def ask(_: Determined, session: api.Session) -> None:
            if not self._reader.runs(session, labels):
                self._create(session, owner, key, wish)
            # Determined has no key of its own: two who asked at the same moment both made one, and agree on the first.
            first, *rest = self._reader.runs(session, labels)
            _end(session, rest)
            if first.state is bindings.experimentv1State.PAUSED:
                bindings.post_ActivateExperiment(session, id=first.id)

        with self._starting:
            self._master.ask(f"starting run {key}", ask)

    def stop(self, owner: Key, key: str) -> None:
        """Make sure no run called key goes on. Stopping what is not there or has ended is a success."""
        labels = [owner_label(owner), key_label(key)]

        def ask(_: Determined, session: api.Session) -> None:
            for run in self._reader.runs(session, labels):
                if not PHASE_OF[run.state].over:
                    bindings.post_KillExperiment(session, id=run.id)

        self._master.ask(f"stopping run {key}", ask)

    def register(self, namespace: str, model: str, checkpoint: str, digest: str) -> int:
        """Make sure the registry has a version of the model for this digest and give its number, counted from 1.

        A second call with the same digest gives the same number; a new digest a higher one. A model of another
        namespace is another model, whatever it is called.
        """
        model = registered_name(namespace, model)

        def ask(client: Determined, session: api.Session) -> int:
            if there(lambda: client.get_model(model)) is None:
                _create_model(client, model)
            number = _version(client, model, digest)
            if number is None:
                body = bindings.v1PostModelVersionRequest(
                    checkpointUuid=checkpoint,
                    modelName=model,
                    name=digest.removeprefix("sha256:")[:12],
                    metadata={DIGEST: digest},
                    notes=f"{DIGEST}: {digest}",
                )
                bindings.post_PostModelVersion(session, body=body, modelName=model)
                number = _version(client, model, digest)
            if number is None:
                message = f"model {model}: the version for {digest[:19]} is not there although it was registered"
                raise Conflict(message)
            return number

        return self._master.ask(f"registering a version of model {model}", ask)

    def run(self, run: str) -> RunFound | None:
        """Say what a run was asked for and, if it evaluated, what it reported; one being deleted is not there."""
        return self._master.ask(f"reading run {run}", lambda _, session: self._reader.run(session, run))

    def trials(self, run: str) -> tuple[TrialFound, ...] | None:
        """Give every trial of a run with all it reported, the first one first; of a run being deleted there is None."""

        def ask(_: Determined, session: api.Session) -> tuple[TrialFound, ...] | None:
            return found_trials(self._reader, session, run)

        return self._master.ask(f"reading the trials of run {run}", ask)

    def checkpoint(self, uuid: str) -> CheckpointFound | None:
        """Say whose a checkpoint is and where its files belong; one that was deleted is not there."""

        def ask(_: Determined, session: api.Session) -> CheckpointFound | None:
            answer = there(lambda: bindings.get_GetCheckpoint(session, checkpointUuid=uuid))
            return checkpoint_found(answer.checkpoint) if answer is not None else None

        return self._master.ask(f"reading checkpoint {uuid}", ask)

    def version(self, namespace: str, model: str, number: int) -> VersionFound | None:
        """Say what a version of a namespace's model stands for by now."""
        model = registered_name(namespace, model)

        def ask(_: Determined, session: api.Session) -> VersionFound | None:
            answer = there(lambda: bindings.get_GetModelVersion(session, modelName=model, modelVersionNum=number))
            if answer is None:
                return None
            noted = (answer.modelVersion.metadata or {}).get(DIGEST, "")
            return VersionFound(str(answer.modelVersion.checkpoint.uuid), str(noted))

        return self._master.ask(f"reading version {number} of model {model}", ask)

    def forget(self, owner: Key) -> None:
        """Stop and archive every run of the owner. Forgetting an unknown owner is a success."""

        def ask(_: Determined, session: api.Session) -> None:
            _end(session, self._reader.runs(session, [owner_label(owner)]))

        self._master.ask(f"removing the runs of Experiment {owner.name}", ask)

    def beat(self) -> Mapping[Key, str]:
        """Give, for every Experiment that the master holds runs of, a text that stands for all of them.

        The text changes whenever a look would see something else, but for how far the trials of a run have come
        between two reports of its progress. Changes nothing itself.

        Raises:
            Unavailable: nobody answered.
        """
        return self._master.ask("asking for what changed", lambda _, session: self._pulse.beat(session))

    def _create(self, session: api.Session, owner: Key, key: str, wish: TrainWish) -> None:
        if wish.code.sha256 is None:
            message = f"code archive {wish.code.uri}: its sha256 is not known, so its content cannot be checked"
            raise Rejected(message, Reason.INVALID_SPEC)
        archive = self._fetch(wish.code.uri, wish.code.sha256)
        config = experiment_config(owner, key, wish, self._pachd, self._environment, self._identities)
        body = bindings.v1CreateExperimentRequest(
            activate=True,
            config=yaml.safe_dump(config),
            modelDefinition=model_definition(archive, wish.code.uri),
        )
        bindings.post_CreateExperiment(session, body=body)


def _end(session: api.Session, runs: Iterable[bindings.v1Experiment]) -> None:
    """Kill runs and put them away; only what has ended can be put away."""
    ending = list(runs)
    for run in ending:
        if not PHASE_OF[run.state].over:
            bindings.post_KillExperiment(session, id=run.id)
    deadline = time.monotonic() + ENDS_WITHIN
    for run in ending:
        while not _phase(session, run.id).over:
            if time.monotonic() > deadline:
                message = f"run {run.id} is still stopping"
                raise Unavailable(message)
            time.sleep(0.1)
        bindings.post_ArchiveExperiment(session, id=run.id)


def _phase(session: api.Session, run: int) -> RunPhase:
    return PHASE_OF[bindings.get_GetExperiment(session, experimentId=run).experiment.state]


def _create_model(client: Determined, model: str) -> None:
    try:
        client.create_model(model, description="Releases of cdl")
    except sdk.APIException as error:
        if error.status_code != 409:  # 409: somebody was faster, and that is as good
            raise


def _version(client: Determined, model: str, digest: str) -> int | None:
    """Find the version of a digest; of two that a lost reply made, the first."""
    versions = client.get_model(model).list_versions()
    found = [v.model_version for v in versions if (v.metadata or {}).get(DIGEST) == digest]
    return min(found, default=None)
