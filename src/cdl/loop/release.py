"""Decisions about Releases: a note of a person becomes the platform's word."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from cdl.api.conditions import ConditionType
from cdl.api.duration import length
from cdl.api.v1alpha1 import ModelDeployment, Release
from cdl.api.v1alpha1.release import ApprovalState, ApprovalStatus, Voided
from cdl.ports.errors import Conflict, PortError, Rejected
from cdl.reconcile import record
from cdl.reconcile.release import (
    DECIDED,
    answer,
    counting,
    decided,
    expiry,
    production,
    sentence,
    with_figures,
)
from cdl.reconcile.summary import settled, stamped

from .attest import attest, attest_provenance
from .observer import SILENT, Outcome
from .telling import Teller

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from .controller import Engines
    from .observer import Observer
    from .rounds import Rounds

AT_ONCE = timedelta()
RETRY = timedelta(seconds=10)
NOTHING_GOES_ON = length("10m")

log = logging.getLogger(__name__)


class Releases:
    """Signs what a Release was made from, and takes over what was decided.

    A Release has nothing at the engines, so nothing holds it when it is deleted.
    """

    def __init__(
        self,
        engines: Engines,
        clock: Callable[[], datetime],
        *,
        observer: Observer = SILENT,
        rounds: Rounds | None = None,
    ) -> None:
        """Time is handed in, for decisions nobody dated; without rounds nothing is verified unasked."""
        self._rounds = rounds
        self._engines = engines
        self._clock = clock
        self._teller = Teller(engines.ledger, clock)
        self._observer = observer

    def turn(self, namespace: str, name: str) -> timedelta | None:
        """Look and report once; say when to look again. None: the Release is gone."""
        begun, fault = time.monotonic(), None
        try:
            again = self._turn(namespace, name)
            outcome = Outcome.GONE if again is None else Outcome.DONE
        except Conflict:
            outcome, again = Outcome.CONFLICT, AT_ONCE
        except PortError as error:
            log.warning("Release %s/%s: %s", namespace, name, error)
            outcome, fault = Outcome.TROUBLE, type(error).__name__
            again = NOTHING_GOES_ON if isinstance(error, Rejected) else RETRY
        self._observer.turn("Release", outcome, time.monotonic() - begun, fault)
        return again

    def _turn(self, namespace: str, name: str) -> timedelta | None:
        release = self._engines.resources.get(Release, namespace, name)
        if release is None or release.metadata.deleting:
            return None
        self._teller.seen(release)
        if not release.status.provenance:
            write_provenance(self._engines, release)
            return AT_ONCE  # another look: what was just written is another version of the resource
        now = self._clock()
        approval = decided(release, now)
        if approval is None and release.approved and not release.status.approval.attestation:
            approval = release.status.approval  # whoever wrote it did not come to sign it
        if approval is not None:
            log.info("%s: %s by %s", release.key, approval.state.value, approval.by)
            if approval.state not in DECIDED:  # nobody's decision, so nobody dated it
                self._teller.decided(release, approval)
            write_approval(self._engines, release, approval, now)
            return AT_ONCE  # a decision that is void may stand before one that is not
        due = self._rounds.due_in(release, now) if self._rounds is not None else None
        if self._rounds is not None and due == AT_ONCE:
            self._write_verified(self._rounds, release, now)
            return AT_ONCE  # what was found may void what was decided
        until = release.status.approval.expires_at if release.approved else None
        waits = (NOTHING_GOES_ON, due, until - now if until is not None else None)
        return min(wait for wait in waits if wait is not None)

    def _write_verified(self, rounds: Rounds, release: Release, now: datetime) -> None:
        told = record.counted(release.status, rounds.status(release, now))
        self._teller.became(release, release.status, told)
        self._engines.resources.write_status(release.key, told, release.metadata.resource_version)
        rounds.written(release, told, now)


def record_approval(engines: Engines, namespace: str, name: str, approval: ApprovalStatus) -> Release:
    """Write what a policy decided about a Release, if it is still about the same members and nobody else decided.

    Raises:
        Rejected: there is no such Release, or the decision names another digest.
        Conflict: somebody rejected it meanwhile, or it can be approved by a person only.
    """
    release = engines.resources.get(Release, namespace, name)
    if release is None:
        message = f"release {name}: not found in namespace {namespace}"
        raise Rejected(message)
    if approval.digest != release.spec.digest:
        message = f"release {name}: the decision is about {approval.digest}, the release is {release.spec.digest}"
        raise Rejected(message)
    at = approval.at or release.metadata.creation_timestamp
    if at is not None:
        here = counting(release, at)
        again = here.voided is Voided.TAKEN_BACK and here.merge_request is not None
        again = again and approval.merge_request is not None  # who took it back gave it, and may do so again
        if here.state in {ApprovalState.REJECTED, ApprovalState.VOID} and not again:
            message = f"release {name}: {sentence(release, here)}"
            raise Conflict(message)
        approval = approval.model_copy(update={"expires_at": expiry(release, at)})
    write_approval(engines, release, approval, at)
    return release


def withdraw_approval(engines: Engines, namespace: str, name: str, digest: str, why: str, at: datetime) -> None:
    """Write that a merge request does not hold its approval of a Release any more; nothing else is taken back."""
    release = engines.resources.get(Release, namespace, name)
    if release is None or not release.approved or release.spec.digest != digest:
        return
    held = release.status.approval
    if held.merge_request is None:
        return
    void = held.model_copy(update={"state": ApprovalState.VOID, "voided": Voided.TAKEN_BACK, "reason": why})
    write_approval(engines, release, void, at)


def write_provenance(engines: Engines, release: Release) -> None:
    """Say on a Release where the signed statement of what it was made from lies."""
    address = attest_provenance(engines.signer, engines.artifacts, release)
    status = release.status.model_copy(update={"provenance": address})
    engines.resources.write_status(release.key, status, release.metadata.resource_version)


def write_approval(engines: Engines, release: Release, approval: ApprovalStatus, now: datetime | None) -> None:
    """Say on a Release what was decided about it, beside what else was known then, and where that lies signed.

    What is void keeps all of that: it was decided once.
    """
    if approval.state in DECIDED:
        if approval != release.status.approval:
            approval = _with_figures(engines, release, approval)
        signed = attest(engines.signer, engines.artifacts, release, approval)
        approval = approval.model_copy(update={"attestation": signed})
    told_at = approval.at if approval.state in DECIDED else now or approval.at
    if engines.ledger is not None and told_at is not None:
        engines.ledger.append([record.decided(release, approval, told_at)])
    generation, said = release.metadata.generation, answer(release, approval)
    others = (c for c in release.status.conditions if c.type not in {ConditionType.READY, ConditionType.APPROVED})
    conditions = settled((said, *others), generation, said.reason, sentence(release, approval))
    since = approval.at if approval.state in DECIDED else now
    if since is not None:
        conditions = stamped(release.status.conditions, conditions, since)
    told = {"observed_generation": generation, "conditions": conditions, "approval": approval}
    engines.resources.write_status(
        release.key, release.status.model_copy(update=told), release.metadata.resource_version
    )


def _with_figures(engines: Engines, release: Release, approval: ApprovalStatus) -> ApprovalStatus:
    namespace = release.metadata.namespace
    deployments = engines.resources.list(ModelDeployment, namespace)
    beside = production(release, deployments, engines.resources.list(Release, namespace))
    return with_figures(approval, release, beside)
