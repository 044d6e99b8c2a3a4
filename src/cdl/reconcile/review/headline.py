"""Where a merge request stands and what comes next: two sentences, before everything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.api.conditions import ConditionType, Reason
from cdl.api.v1alpha1 import Experiment, Release
from cdl.api.v1alpha1.experiment import ApprovalPolicy
from cdl.reconcile.gitops import State

from .defused import mono, plain
from .standing import Standing, log_of, standing, waits_for_approval

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .facts import Ending, Part, View

SHORT = 12
NOTHING_TO_DO = "Nothing needs to be done: this note follows."


def headline(view: View) -> tuple[str, str]:
    """Say how it stands, and what is next."""
    at = mono(view.sha[:SHORT])
    if view.state is State.REFUSED:
        return f"{at} cannot be applied", f"{plain(view.sentence)}. Next: push a commit that mends it."
    if not view.looked:
        return f"{at} is not applied yet", f"{plain(view.sentence)}. {NOTHING_TO_DO}"
    if not view.parts:
        return f"{at} asks for no resources", "There is nothing to train, to measure or to serve."
    failed = next((part for part in view.parts if standing(part)[0] is Standing.FAILED), None)
    if failed is not None:
        return _failed(failed)
    for part in view.parts:
        if waits_for_approval(part) and isinstance(part.resource, Experiment):
            return _awaited(part.resource, at)
    unmoved = [part for part in view.parts if standing(part)[0] is Standing.PENDING]
    running = next((part for part in view.parts if standing(part)[0] is Standing.RUNNING), None)
    if running is not None:
        return f"{_named(running)} is at work at {at}", f"{plain(standing(running)[1])}. {NOTHING_TO_DO}"
    if unmoved:
        return f"{_named(unmoved[0])} waits at {at}", f"{plain(standing(unmoved[0])[1])}."
    return _ready(view, at)


def last_word(ending: Ending) -> tuple[str, str]:
    """Say how a merge request ended, and what production made of it."""
    if not ending.merged_as:
        return "Closed without merging", "What was applied for it is taken away; its Releases stay as a record."
    merged = f"Merged as {mono(ending.merged_as[:SHORT])}"
    if ending.trouble:
        return merged, f"Production stays as it was: {plain(ending.trouble)}."
    if not ending.head:
        return merged, "Production has not taken it up yet."
    if not ending.parts:
        return merged, f"Production follows {mono(ending.head[:SHORT])}, and asks for no resources."
    told = "; ".join(sentence for part in ending.parts for sentence in _in_production(part))
    later = "" if ending.head == ending.merged_as else f" (it follows {mono(ending.head[:SHORT])} now)"
    return merged, f"Production{later}: {told or 'works on it'}."


def settled(part: Part) -> bool:
    """Nothing more will be said of a resource by itself."""
    return part.current and standing(part)[0] in {Standing.SUCCESS, Standing.FAILED}


def _named(part: Part) -> str:
    return f"{part.key.kind} {mono(part.key.name)}"


def _failed(part: Part) -> tuple[str, str]:
    stalled = part.status.condition(ConditionType.STALLED)
    sentence = plain(standing(part)[1])
    if stalled is not None and stalled.reason is Reason.REJECTED:
        return f"{_named(part)}: its Release was rejected", f"{sentence}. Next: push a commit that does better."
    if stalled is not None and stalled.reason in {Reason.BELOW_GATE, Reason.NO_METRIC}:
        return f"{_named(part)} does not pass its gates", f"{sentence}. Next: push a commit that does better."
    log = f" `{log_of(part)}` shows what was printed." if log_of(part) else ""
    return f"{_named(part)} failed", f"{sentence}. Next: push a commit that mends it.{log}"


def _awaited(experiment: Experiment, at: str) -> tuple[str, str]:
    approval, release = experiment.spec.approval, mono(experiment.status.release)
    one = "an" if approval.role[:1] in "aeiou" else "a"
    who = f"{one} {plain(approval.role)}"
    if approval.policy is ApprovalPolicy.MERGE_REQUEST:
        gone = _gone(experiment)
        follows = f"{who} who wrote nothing of it approves this merge request; what is pushed later is approved anew."
        return f"{release} waits {'again ' if gone else ''}for {who}'s approval at {at}", f"{gone}Next: {follows}"
    command = f"cdl approve {experiment.status.release} -n {experiment.metadata.namespace} --reason WHY"
    return f"{release} waits for {who}'s approval", f"Next: {who} who wrote nothing of it decides: `{command}`."


def _gone(experiment: Experiment) -> str:
    """Say whose approval the merge request does not hold any more; empty: there was none."""
    said = experiment.status.condition(ConditionType.APPROVED)
    lost = said is not None and said.status == "False" and said.reason is Reason.APPROVAL_TAKEN_BACK
    return f"{plain(said.message)}. " if said is not None and lost else ""


def _ready(view: View, at: str) -> tuple[str, str]:
    approved = [c.release.release for c in view.candidates if c.release.release.approved]
    if not approved:
        return f"Everything is ready at {at}", "Next: merge it."
    names = ", ".join(mono(release.metadata.name) for release in approved)
    verb = "is" if len(approved) == 1 else "are"
    return f"{names} {verb} approved at {at}", f"{_by(approved[0])}. Next: merge it."


def _by(release: Release) -> str:
    approval = release.status.approval
    return f"Approved by {plain(approval.by, 80)}" if approval.by else "Approved"


def _in_production(part: Part) -> Iterator[str]:
    state, sentence = standing(part)
    if state is Standing.FAILED:
        yield f"{_named(part)} failed: {plain(sentence)}"
    elif part.key.kind == "Experiment" and isinstance(part.resource, Experiment) and part.resource.status.release:
        trained = part.status.condition(ConditionType.TRAINED)
        adopted = trained is not None and trained.reason is Reason.ADOPTED
        if state is Standing.SUCCESS:
            approved = part.status.condition(ConditionType.APPROVED)
            by = f", approved {plain(approved.message, 80)}" if approved is not None and approved.message else ""
            yield f"{'adopted' if adopted else 'released'} as {mono(part.resource.status.release)}{by}"
        else:
            yield f"{_named(part)}: {plain(sentence)}"
    elif part.key.kind == "ModelDeployment":
        yield from _serving(part, state, sentence)
    elif state is not Standing.SUCCESS:
        yield f"{_named(part)}: {plain(sentence)}"


def _serving(part: Part, state: Standing, sentence: str) -> Iterator[str]:
    serving = part.status.condition(ConditionType.SERVING)
    release = str(getattr(part.status, "release", ""))
    if state is Standing.SUCCESS and release and serving is not None and serving.last_transition_time is not None:
        history = [event.at for event in part.status.history if event.what == f"serving {release}"]
        since = history[-1] if history else serving.last_transition_time
        yield f"{mono(part.key.name)} serves {mono(release)} since {since:%Y-%m-%d %H:%M:%S} UTC"
    else:
        yield f"{_named(part)}: {plain(sentence)}"
