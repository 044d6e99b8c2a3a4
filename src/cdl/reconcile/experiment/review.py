"""Who approved a Release by approving its merge request: what was approved is what is promoted, or nobody did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.api.v1alpha1.experiment import VALIDATOR
from cdl.api.v1alpha1.release import MergeRequestRef
from cdl.reconcile.origin import POLICY, among, named

if TYPE_CHECKING:
    from .seen import AgreementSeen, ReleaseSeen, ReviewSeen

SHOWN = 12
"""Digits of a commit that a person reads."""
NAMED = 5
"""Approvals that count for nothing of which a sentence tells."""


def approver(role: str, release: ReleaseSeen, review: ReviewSeen) -> AgreementSeen | str:
    """Give the approval that counts, or say in a sentence why none does.

    It is of the merge request that holds the resource's commit, at the head that this has now, by a person who has the
    role and had no hand in it. Once it is merged, it must have shown exactly what is to be released.
    """
    if review.why:
        return review.why
    which = f"!{review.number} of {review.project}"
    if not review.open and not review.merged:
        return f"{which} was closed without being merged"
    judged = [(one, _fault(role, release, review, one)) for one in sorted(review.agreements, key=lambda a: a.who)]
    counts = next((one for one, fault in judged if not fault), None)
    if counts is None:
        faults = "".join(f"; approved {fault}" for _, fault in judged[:NAMED])
        return f"{which} has no approval of a {role} at its head {review.sha[:SHOWN]}{faults}"
    if not review.open and not review.shown:
        return (
            f"approved by {counts.who}, but what was merged is not what was approved: {which} showed no release with "
            f"the content of {release.name}"
        )
    return counts


def needs_shown(role: str, release: ReleaseSeen, review: ReviewSeen) -> bool:
    """Tell whether all that is left to know is what the merge request showed."""
    settled = not review.why and review.merged and not review.open
    return settled and any(not _fault(role, release, review, one) for one in review.agreements)


def person(agreement: AgreementSeen) -> str:
    """Give the user name under which the decision is written down; a person may call himself a policy."""
    return f"user {agreement.who}" if agreement.who.startswith(POLICY) else agreement.who


def reference(review: ReviewSeen) -> MergeRequestRef:
    """Give what backs the decision."""
    return MergeRequestRef(url=review.url, number=review.number, sha=review.sha, open=review.open)


def lapsed(role: str, release: ReleaseSeen, review: ReviewSeen | None) -> str:
    """Say why the merge request that a Release was approved by does not hold that any more; empty: it does.

    A forge that cannot tell takes nothing back, nor does a merge request that is merged or closed by now.
    """
    backed = release.backed
    if review is None or backed is None or not release.watched:
        return ""
    if review.lost:
        return review.why
    if review.why or not review.open or review.number != backed.number:
        return ""
    if backed.sha != review.sha:
        return f"the head of !{review.number} is {review.sha[:SHOWN]} by now"
    found = approver(role, release, review)
    return found if isinstance(found, str) else ""


def _fault(role: str, release: ReleaseSeen, review: ReviewSeen, one: AgreementSeen) -> str:
    """Say why an approval counts for nothing; empty: it counts."""
    if one.sha != review.sha:
        return f"by {one.who} at an older head, {one.sha[:SHOWN]}"
    names = {one.who, *one.known_as} - {""}
    authors = (*sorted(review.authors), *named(release.members))
    if any(among(authors, name) for name in names):
        return f"by {one.who}, who is an author"
    lacks = next((each for each in dict.fromkeys((VALIDATOR, role)) if not _has(each, review, one)), "")
    if not lacks:
        return ""
    stands = review.stands_for.get(lacks, "")
    held = f"only {one.levels[-1]}" if one.levels else "no member"
    needed = f"{stands} or the rule {lacks}" if stands else f"the rule {lacks}"
    return f"by {one.who}, who is {held} in {review.project}, needed: {needed}"


def _has(role: str, review: ReviewSeen, one: AgreementSeen) -> bool:
    """Tell whether a person has a role; a role that an Experiment names can only ask for more than a validator."""
    return role in one.rules or review.stands_for.get(role, "") in {*one.rules, *one.levels}
