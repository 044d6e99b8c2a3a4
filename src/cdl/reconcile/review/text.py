"""The one note of a merge request: the same state gives the same text, and no text is longer than GitLab takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.api.v1alpha1 import Experiment

from .defused import mono, plain, table
from .figures import confusion, figures, measured
from .headline import headline, last_word
from .merging import merging
from .sections import approval, cost, drift, gates, is_released, released, trials
from .standing import standing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .facts import Candidate, Ending, Part, View

LONGEST = 50_000
"""Characters of a note."""
MOST = 50
"""Resources that are listed."""
CUT = "\n\nThe rest is left out: it would be too long. `cdl describe` has all of it."


def note(view: View, body: str | None = None) -> str:
    """Write the note of an open merge request; whoever has its body already hands it in."""
    return _whole(headline(view), rest(view) if body is None else body)


def rest(view: View) -> str:
    """Write all but where it stands: what is still true when it is over."""
    parts = (*_resources(view), *merging(view.plan), *(line for p in view.parts for line in _experiment(view, p)))
    body = ""
    for part in (*parts, *_further(view)):
        if len(body) + len(part) > LONGEST - 3000:  # room for the head, and for how to look further
            return body + CUT
        body += f"\n\n{part}" if body else part
    return body


def ended(ending: Ending, before: str) -> str:
    """Write the last word: how it ended, and below it what was known before."""
    return _whole(last_word(ending), f"#### As it stood before\n\n{before}" if before else "")


def _whole(words: tuple[str, str], body: str) -> str:
    first, then = words
    return "\n\n".join(filter(None, (f"### {first}", then, body))) + "\n"


def _resources(view: View) -> Iterator[str]:
    if not view.parts or not view.looked:
        return
    rows = [_row(part) for part in view.parts[:MOST]]
    more = f"\n\nand {len(view.parts) - MOST} more" if len(view.parts) > MOST else ""
    yield table((f"In {mono(view.namespace, 63)}", "State", "What it says"), rows) + more


def _row(part: Part) -> tuple[str, str, str]:
    state, sentence = standing(part)
    return f"{part.key.kind} {mono(part.key.name)}", state.value, plain(sentence)


def _experiment(view: View, part: Part) -> Iterator[str]:
    experiment = part.resource
    if not isinstance(experiment, Experiment) or not view.looked or not part.current:
        return
    candidate = _candidate(view, part) if is_released(experiment) else None
    told = tuple(_told(view, part, experiment, candidate))
    several = sum(isinstance(p.resource, Experiment) for p in view.parts) > 1
    if told and several:
        yield f"### Experiment {mono(part.key.name)}"
    yield from told


def _told(view: View, part: Part, experiment: Experiment, candidate: Candidate | None) -> Iterator[str]:
    found = measured(experiment, candidate)
    if found is not None:
        production = candidate.production if candidate else view.production.get(experiment.spec.model.name)
        yield from figures(found, production)
        yield from confusion(found, candidate.picture if candidate else "")
        if candidate is not None and "report" in candidate.release.why:
            yield f"The evaluation's report could not be read: {plain(candidate.release.why['report'])}."
    yield from gates(experiment)
    yield from trials(experiment)
    if candidate is not None:
        yield from released(candidate)
        yield from drift(candidate)
    yield from cost(experiment)
    if candidate is not None:
        yield from approval(part, candidate)


def _candidate(view: View, part: Part) -> Candidate | None:
    return next((one for one in view.candidates if one.experiment == part.key), None)


def _further(view: View) -> Iterator[str]:
    if not view.looked or not view.parts:
        return
    lines: list[str] = []
    for part in view.parts:
        if part.there and part.key.kind == "Experiment":
            where = f"{part.key.name} -n {part.key.namespace}"
            lines += [f"cdl describe experiment {where}", f"cdl logs experiment {where}"]
    for one in view.candidates:
        release = one.release.release.metadata
        lines.append(f"cdl lineage {release.name} -n {release.namespace}")
        if one.production is not None and one.production.release.metadata.namespace == release.namespace:
            lines.append(f"cdl diff {one.production.release.metadata.name} {release.name} -n {release.namespace}")
    if lines:
        yield "#### Look further"
        yield "\n".join(("```sh", *lines[:MOST], "```"))
