"""What was decided about a Release, as a statement to sign."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.api.meta import GROUP

from .statement import itself, statement

if TYPE_CHECKING:
    from cdl.api.v1alpha1 import Release
    from cdl.api.v1alpha1.release import ApprovalStatus

    from .statement import Table

PREDICATE = f"https://{GROUP}/attestations/approval/v1"
LEFT_OUT = {"state", "digest", "attestation", "voided"}


def approval(release: Release, decision: ApprovalStatus) -> Table:
    """Say who decided what about exactly these members, when, why, and what they knew then.

    Raises:
        ValueError: the decision is about other members.
    """
    if decision.digest != release.spec.digest:
        message = f"the decision is about {decision.digest}, the release is {release.spec.digest}"
        raise ValueError(message)
    known: Table = decision.model_dump(mode="json", by_alias=True, exclude=LEFT_OUT)
    match known.get("mergeRequest"):
        case dict() as backed:
            backed.pop("open")
    predicate: Table = {
        "decision": decision.state.value,
        "model": release.spec.model,
        "version": release.spec.version,
        "expires": known.pop("expiresAt"),
        **known,
    }
    return statement([itself(release)], PREDICATE, predicate)
