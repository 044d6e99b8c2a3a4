"""Hold the ledger against the chart: which steps were taken for a Release, by whom, and in which order."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from cdl.reconcile.origin import POLICY, same
from cdl.reconcile.record import PLATFORM, RELEASE_DETAIL, SPEC_DETAIL, UNKNOWN, Entry, Verb

from .chart import CHART, DEPLOYMENT, EXPERIMENT, PIPELINE, RELEASE, Sign, Step

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


class State(StrEnum):
    """What became of a step."""

    TAKEN = "taken"
    OUT_OF_ORDER = "out of order"
    WRONG_PERSON = "wrong person"
    SKIPPED = "skipped"
    LEFT_OUT = "left out"
    """Not taken, and optional."""
    UNSEEN = "unseen"
    """The ledger cannot know."""


FAULTS = frozenset({State.OUT_OF_ORDER, State.WRONG_PERSON, State.SKIPPED})


@dataclass(frozen=True, slots=True)
class Told:
    """What the ledger tells about a step."""

    step: Step
    state: State
    entry: Entry | None = None
    """What shows that it was taken."""
    who: str = ""
    """Who did it, or for whom the platform did."""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Conformance:
    """The whole comparison."""

    release: str
    model: str
    steps: tuple[Told, ...]

    @property
    def faults(self) -> tuple[Told, ...]:
        """The steps that did not go as the chart says."""
        return tuple(told for told in self.steps if told.state in FAULTS)


@dataclass(frozen=True, slots=True)
class Story:
    """The entries about one Release, and the names of everything it came from."""

    entries: tuple[Entry, ...]
    release: str
    digest: str
    names: Mapping[str, frozenset[str]]
    authors: frozenset[str]


def released(entries: Sequence[Entry], name: str = "") -> tuple[Entry, ...]:
    """Find the Releases of that name, of the model of that name, or all; oldest first."""
    found = [e for e in entries if e.kind == RELEASE and e.verb in {Verb.RELEASED, Verb.DECIDED}]
    first = {(e.namespace, e.name, e.uid): e for e in reversed(found)}
    chosen = (e for e in first.values() if name in {"", e.name, _spec(e).get("model")})
    return tuple(sorted(chosen, key=lambda e: (str(_spec(e).get("model")), int(_spec(e).get("version") or 0))))


def compare(entries: Sequence[Entry], release: Entry, roles: Mapping[str, frozenset[str]] | None = None) -> Conformance:
    """Compare how a Release came to be with the chart; `roles` says who has which, where somebody said."""
    story = _story(entries, release)
    found = _places(story)
    told = tuple(_told(step, story, found, roles or {}) for step in CHART)
    return Conformance(release.name, str(_spec(release).get("model")), told)


def _spec(release: Entry) -> dict[str, Any]:
    document = release.details.get(RELEASE_DETAIL)
    spec = document.get("spec") if isinstance(document, dict) else None
    return spec if isinstance(spec, dict) else {}


def _story(entries: Sequence[Entry], release: Entry) -> Story:
    spec = _spec(release)
    mine = tuple(e for e in entries if e.namespace == release.namespace)
    data = _at(spec, "members.data.pipeline")
    wrote = {e.name for e in mine if e.what == "WriteRelease" and e.details.get("digest") == spec.get("digest")}
    serves = {
        e.name
        for e in mine
        if e.kind == DEPLOYMENT and e.verb is Verb.APPLIED and _at(e.details, "spec.model.name") == spec.get("model")
    }
    names = {PIPELINE: frozenset({str(data)}), EXPERIMENT: frozenset(wrote), RELEASE: frozenset({release.name})}
    names[DEPLOYMENT] = frozenset(serves)
    told = tuple(e for e in mine if e.name in names.get(e.kind, frozenset()))
    return Story(told, release.name, str(spec.get("digest")), names, _authors(spec, told))


def _authors(spec: Mapping[str, Any], told: Sequence[Entry]) -> frozenset[str]:
    """Who worked on what is judged: who wrote the commit, and who applied the Experiment."""
    written = _at(spec, "members.git.authors")
    applied = {e.who for e in told if e.kind == EXPERIMENT and e.verb is Verb.APPLIED}
    return frozenset({*map(str, written if isinstance(written, list) else ()), *applied} - {UNKNOWN, PLATFORM})


def _places(story: Story) -> dict[str, int]:
    """Find where in the story each step was taken: looking back from when the Release was written, on from there."""
    wrote = _at_release(story)
    found: dict[str, int] = {}
    for step in reversed(CHART):
        places = [n for sign in step.signs for n in _matches(sign, story)]
        later = [found[s.name] for s in CHART if step.name in s.after and s.name in found]
        if step.by_hand or any(sign.then for sign in step.signs):
            on = [n for n in places if n >= wrote]
            place = max(on) if step.by_hand and on else min(on, default=None)
        else:
            bound = min(later, default=len(story.entries))
            place = max((n for n in places if n <= min(bound, _end(step, wrote, story))), default=None)
            place = place if place is not None else min(places, default=None)
        if place is not None:
            found[step.name] = place
    return found


def _end(step: Step, wrote: int, story: Story) -> int:
    """Before when a step must have been taken: what the Release came from before it was written."""
    return len(story.entries) if any(sign.kind == DEPLOYMENT for sign in step.signs) else wrote


def _at_release(story: Story) -> int:
    """Where the Release was asked for: all before it is how it came to be."""
    asked = (
        n for n, e in enumerate(story.entries) if e.what == "WriteRelease" and _at(e.details, "digest") == story.digest
    )
    decided = (n for n, e in enumerate(story.entries) if e.kind == RELEASE)
    return min(asked, default=min(decided, default=0))


def _matches(sign: Sign, story: Story) -> Iterator[int]:
    wished: dict[tuple[str, str], Any] = {}
    for place, entry in enumerate(story.entries):
        if entry.verb is Verb.APPLIED:
            wished[entry.kind, entry.name] = entry.details.get(SPEC_DETAIL)
        if _shows(sign, entry, wished.get((entry.kind, entry.name)), story.release):
            done = _then(sign, story.entries, place)
            if done is not None:
                yield done


def _shows(sign: Sign, entry: Entry, spec: object, release: str) -> bool:
    if (entry.kind, entry.verb) != (sign.kind, sign.verb) or (sign.what and entry.what not in sign.what):
        return False
    if sign.revision and not entry.revision:
        return False
    if sign.wished and _at(spec, sign.wished) in (None, False, "", [], {}, sign.other_than):
        return False
    return all(_is(_at(entry.details, place), wanted, release) for place, wanted in sign.where)


def _is(found: object, wanted: str, release: str) -> bool:
    return bool(found) if wanted == "*" else str(found or "") == wanted.replace("{release}", release)


def _then(sign: Sign, entries: Sequence[Entry], place: int) -> int | None:
    if not sign.then:
        return place
    name = entries[place].name
    later = range(place + 1, len(entries))
    return next(
        (n for n in later if (entries[n].name, entries[n].kind) == (name, sign.kind) and entries[n].what in sign.then),
        None,
    )


def _at(value: object, place: str) -> Any:  # noqa: ANN401 - whatever a document holds there
    for name in place.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _told(step: Step, story: Story, found: Mapping[str, int], roles: Mapping[str, frozenset[str]]) -> Told:
    place = found.get(step.name)
    if place is None:
        if step.unseen:
            return Told(step, State.UNSEEN, why=step.unseen)
        return Told(step, State.LEFT_OUT if step.optional else State.SKIPPED, why="no entry shows it")
    entry = story.entries[place]
    who = _who(entry, story, place)
    late = [name for name in step.after if found.get(name, -1) > place]
    if late:
        titles = ", ".join(s.title for s in CHART if s.name in late)
        return Told(step, State.OUT_OF_ORDER, entry, who, f"before {titles}")
    wrong = _wrong(step, who, story, roles)
    return Told(step, State.WRONG_PERSON if wrong else State.TAKEN, entry, who, wrong)


def _who(entry: Entry, story: Story, place: int) -> str:
    """Say who did it; what the platform did, it did for whoever had wished for it."""
    if entry.who != PLATFORM:
        return entry.who
    before = story.entries[: place + 1]
    wishes = (
        e.who for e in reversed(before) if e.verb is Verb.APPLIED and (e.kind, e.name) == (entry.kind, entry.name)
    )
    return next(wishes, UNKNOWN)


def _wrong(step: Step, who: str, story: Story, roles: Mapping[str, frozenset[str]]) -> str:
    if step.by_hand and who.startswith(POLICY):
        return f"{who} decided, a {step.role.value} should"
    if step.by_hand and any(same(author, who) for author in story.authors):
        return f"{who} worked on it, somebody else should decide"
    if who not in roles.get(step.role.value, (who,)):
        return f"{who} is no {step.role.value}"
    return ""
