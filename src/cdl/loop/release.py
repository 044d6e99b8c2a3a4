"""Decisions about Releases: a note of a person becomes the platform's word."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from cdl.api.conditions import ConditionType, Reason
from cdl.api.duration import length
from cdl.api.v1alpha1 import Release
from cdl.api.v1alpha1.release import ApprovalState, ApprovalStatus
from cdl.ports.errors import Conflict, PortError, Rejected
from cdl.reconcile.release import DECIDED, decided
from cdl.reconcile.summary import fact, settled, stamped

from .attest import attest, attest_provenance
from .observer import SILENT, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from .controller import Engines
    from .observer import Observer

AT_ONCE = timedelta()
RETRY = timedelta(seconds=10)
NOTHING_GOES_ON = length("10m")

log = logging.getLogger(__name__)


class Releases:
    """Signs what a Release was made from, and takes over what was decided.

    A Release has nothing at the engines, so nothing holds it when it is deleted.
    """

    def __init__(self, engines: Engines, clock: Callable[[], datetime], *, observer: Observer = SILENT) -> None:
        """Time is handed in, for decisions nobody dated."""
        self._engines = engines
        self._clock = clock
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
        if not release.status.provenance:
            write_provenance(self._engines, release)
            return AT_ONCE  # another look: what was just written is another version of the resource
        approval = decided(release, self._clock())
        if approval is not None:
            log.info("%s: %s by %s", release.key, approval.state.value, approval.by)
            write_approval(self._engines, release, approval)
        return NOTHING_GOES_ON


def record_approval(engines: Engines, namespace: str, name: str, approval: ApprovalStatus) -> Release:
    """Write a decision about a Release, if it is still about the same members.

    Raises:
        Rejected: there is no such Release, or the decision names another digest.
    """
    release = engines.resources.get(Release, namespace, name)
    if release is None:
        message = f"release {name}: not found in namespace {namespace}"
        raise Rejected(message)
    if approval.digest != release.spec.digest:
        message = f"release {name}: the decision is about {approval.digest}, the release is {release.spec.digest}"
        raise Rejected(message)
    write_approval(engines, release, approval)
    return release


def write_provenance(engines: Engines, release: Release) -> None:
    """Say on a Release where the signed statement of what it was made from lies."""
    address = attest_provenance(engines.signer, engines.artifacts, release)
    status = release.status.model_copy(update={"provenance": address})
    engines.resources.write_status(release.key, status, release.metadata.resource_version)


def write_approval(engines: Engines, release: Release, approval: ApprovalStatus) -> None:
    """Say on a Release what was decided about it, and where that lies signed."""
    signed = attest(engines.signer, engines.artifacts, release, approval) if approval.state in DECIDED else ""
    approval = approval.model_copy(update={"attestation": signed})
    held = approval.state is ApprovalState.APPROVED
    by_policy = approval.by.startswith("policy/")
    said = Reason.REJECTED if not held else Reason.APPROVED_BY_POLICY if by_policy else Reason.APPROVED_BY_PERSON
    condition = fact(ConditionType.APPROVED, holds=held, reason=said, message=f"by {approval.by}")
    generation = release.metadata.generation
    conditions = settled((condition,), generation, said, f"{approval.state.value.lower()} by {approval.by}")
    if approval.at is not None:
        conditions = stamped(release.status.conditions, conditions, approval.at)
    told = {"observed_generation": generation, "conditions": conditions, "approval": approval}
    engines.resources.write_status(
        release.key, release.status.model_copy(update=told), release.metadata.resource_version
    )
