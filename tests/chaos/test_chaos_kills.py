"""kill -9 of the operator before and after every external call of each controller; docs/how-to/chaos.md.

Every call is found out by running, not listed by hand: see `tests.chaos.sweep` for what counts as a call and which
limits that has.
"""

import json
from functools import partial

import pytest

from tests.chaos.conftest import FIGURES, NAMESPACE
from tests.chaos.course import DOORS, Course, Scenario
from tests.chaos.sweep import Sweep, is_event, kills

RUNS = 8
"""The first of them is quiet and shows which calls there usually are."""
ENOUGH = 3
"""Runs with faults after which only usual calls that were not yet a victim of everything are waited for."""


@pytest.fixture(scope="module")
def startup():
    """What died already at calls that belong to no resource: once for all kinds."""
    return {}


def story(sweep):
    return f"{sweep.table()}\n{sweep.figures()}"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", ["ModelDeployment", "DataPipeline", "Experiment"])
def test_a_death_at_every_call_changes_nothing_but_the_time_it_takes(place, journal, startup, kind):
    sweep = Sweep(f"{{{kind.lower()}}}", DOORS[kind], partial(kills, reads_twice=False), journal, shared=startup)
    place.gate.plan, place.gate.answered = sweep.plan, sweep.answered
    for run in range(RUNS):
        sweep.quiet = run == 0
        Course(Scenario(place, kind, NAMESPACE, f"{kind.lower()[:3]}-killed-{run}"), sweep).run()
        if run and (not sweep.fresh or (run >= ENOUGH and not sweep.lacking(usual=True))):
            break
    FIGURES.append(f"chaos: {kind}: {json.dumps(sweep.figures())}")
    print(story(sweep))
    assert sweep.usual, "the quiet run has met no call"
    lacking = sweep.lacking(usual=True)
    assert not lacking, "\n".join([story(sweep), "never a victim:", *lacking])
    assert sweep.figures()["kills"] >= 2 * len(sweep.writes)
    assert any(call.writes and not is_event(call) and call.door != "api" for call in sweep.known.values()), story(sweep)
