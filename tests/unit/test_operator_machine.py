"""A machine plays operator: it crashes, repeats, flaps, edits, suspends and deletes, and the promises hold.

Every call to an engine or to the store has a moment before and after it acts at which the operator may die, its reply
may be lost, or somebody else may change a resource.
"""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cdl.api.conditions import ConditionType, Reason
from cdl.api.meta import Key
from cdl.api.v1alpha1 import DataPipeline, Experiment, ModelDeployment, Release
from cdl.api.v1alpha1.datapipeline import DataPipelineSpec, Side
from cdl.ports.errors import PortError
from cdl.reconcile.chain import follow
from cdl.reconcile.history import stood
from cdl.reconcile.protection import pinned_by, release_is_kept
from cdl.reconcile.record import ABSENT, Verb
from cdl.testing.builders import deployment_document, experiment_document, pipeline_document, source_document
from cdl.testing.memory import archive
from cdl.testing.weather import Crash
from cdl.testing.world import NEWS, World
from tests.unit import deciding

OTHER_NEWS = NEWS | {"sport/99.txt": "a late result"}
DOCUMENTS = {
    DataPipeline: pipeline_document,
    Experiment: experiment_document,
    ModelDeployment: deployment_document,
}
KIND = st.sampled_from(list(DOCUMENTS))
ENGINE = st.sampled_from(["resources", "sources", "data", "training", "serving", "artifacts", "ledger"])
MOMENT = st.integers(0, 14)


def edit(kind, what, *values):
    """One field of one kind, and what people write there."""
    return st.tuples(st.just(kind), st.just(what), st.sampled_from(values))


TRAINING = st.one_of(
    edit(Experiment, "learning_rate", 0.1, 0.2, 0.7),
    edit(Experiment, "fail", False, True),
    edit(Experiment, "code", *"ab"),
)
GATING = st.one_of(
    edit(Experiment, "serve", *"ab"),
    edit(Experiment, "gate", 0.5, 0.85),
    edit(Experiment, "policy", "Automatic", "Manual"),
    edit(Experiment, "on_data", False, True),
)
DATA = st.one_of(
    edit(DataPipeline, "source", "articles", "other"),
    edit(DataPipeline, "steps", (), ("a",), ("a", "b"), ("b", "a")),
    edit(DataPipeline, "rows", 1, 1000),
)
SERVING = st.one_of(edit(ModelDeployment, "replicas", 1, 2), edit(ModelDeployment, "version", None, 1, 2))
COMMON = st.one_of(
    *(edit(kind, "interval", "5m", "10m") for kind in DOCUMENTS),
    *(edit(kind, "suspend", False, True) for kind in DOCUMENTS),
    *(edit(kind, "policy_on_deletion", "Delete", "Orphan") for kind in DOCUMENTS),
)
EDITS = st.one_of(TRAINING, GATING, DATA, SERVING, COMMON)
START = {
    "learning_rate": 0.1, "fail": False, "code": "a", "serve": "a", "gate": 0.5, "policy": "Automatic", "on_data": True,
    "source": "articles", "steps": ("a",), "rows": 1, "replicas": 1, "version": None,
}  # fmt: skip


NO_STEPS = DataPipelineSpec()


def key_of(kind):
    return Key(kind.__name__, "default", "news")


class Operator(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.world = World(Path(self.folder.name))
        self.world.sources.places["https://example.test/other.tar"] = archive(OTHER_NEWS)
        self.wanted = dict(START)
        self.shared = {
            kind: {"interval": "10m", "suspend": False, "policy_on_deletion": "Delete"} for kind in DOCUMENTS
        }
        self.left_behind = set()
        """Keys of resources that went with policy Orphan."""
        self.data_was_removed = False
        """A DataPipeline went that no Release kept; one that was under way may name what went with it."""

    def teardown(self):
        try:
            self.settle()
        finally:
            self.folder.cleanup()

    # --- what people do ----------------------------------------------------------------------------------------------

    def put(self, kind):
        self.data_was_removed |= kind is DataPipeline and self.stored(kind) is None
        wanted, shared = self.wanted, self.shared[kind]
        spec = {
            "interval": shared["interval"],
            "suspend": shared["suspend"],
            "deletionPolicy": shared["policy_on_deletion"],
        }
        if kind is DataPipeline:
            names = wanted["steps"]
            spec |= {
                "sources": [source_document(wanted["source"])],
                "steps": [{"name": n, "uses": "text/clean"} for n in names],
                "checks": [{"name": "enough", "rows": {"min": wanted["rows"]}, "onFail": "fail"}],
            }
        elif kind is Experiment:
            spec |= {
                "code": {
                    "archive": {"uri": "file:///m.tar.gz", "sha256": wanted["code"] * 64},
                    "serve": {
                        "uri": "file:///s.tar.gz",
                        "sha256": wanted["serve"] * 64,
                        "entrypoint": "serve:Model",
                    },
                },
                "config": {"hyperparameters": {"learning_rate": wanted["learning_rate"], "fail": wanted["fail"]}},
                "evaluation": {"gates": [{"metric": "accuracy", "min": wanted["gate"]}]},
                "approval": {"policy": wanted["policy"]},
                "retrain": {"onData": wanted["on_data"]},
            }
        else:
            spec["predictor"] = {"replicas": wanted["replicas"]}
            if wanted["version"]:
                spec["model"] = {"name": "news", "policy": "Pinned", "version": wanted["version"]}
        self.world.resources.put(kind.read(DOCUMENTS[kind]("news", **spec)))

    def edit_now(self, kind, what, value):
        target = self.wanted if what in self.wanted else self.shared[kind]
        target[what] = value
        there = self.stored(kind)
        if there is not None and not there.metadata.deleting:
            self.put(kind)

    def stored(self, kind):
        return self.world.resources._stored.get(key_of(kind))

    @initialize(rounds=st.integers(0, 12))
    def people_apply_everything(self, rounds):
        for kind in DOCUMENTS:
            self.put(kind)
        self.data_was_removed = False
        self.it_works_for_a_while(rounds)

    @rule(edit=TRAINING)
    def people_change_what_is_trained(self, edit):
        self.edit_now(*edit)

    @rule(first=TRAINING, rounds=st.integers(1, 8), second=st.one_of(TRAINING, DATA, GATING))
    def people_change_their_mind(self, first, rounds, second):
        self.settle()
        self.edit_now(*first)
        self.it_works_for_a_while(rounds)
        self.edit_now(*second)
        self.it_works_for_a_while(2)

    @rule(edit=DATA)
    def people_change_the_data(self, edit):
        self.edit_now(*edit)

    @rule(released=st.booleans(), rounds=st.integers(1, 6), then=st.sampled_from([(), ("a",), ("b", "a")]))
    def people_rename_a_step_and_think_better_of_it(self, released, rounds, then):
        if released:
            self.settle()
        self.edit_now(DataPipeline, "steps", ("c",))
        self.it_works_for_a_while(rounds)
        self.edit_now(DataPipeline, "steps", then)

    @rule(edit=st.one_of(GATING, SERVING, COMMON))
    def people_change_something_else(self, edit):
        self.edit_now(*edit)

    @rule(kind=KIND)
    def people_delete(self, kind):
        there = self.stored(kind)
        if there is not None and not there.metadata.deleting:
            self.left_behind.discard(key_of(kind))
            if there.spec.deletion_policy == "Orphan":
                self.left_behind.add(key_of(kind))
            self.world.resources.delete(key_of(kind))

    @precondition(lambda self: not self.world.weather["resources"].down)
    @rule()
    def people_delete_releases_that_nobody_serves(self):
        for release in self.world.resources.list(Release):
            if not release_is_kept(release.status.served_by):
                self.world.resources.delete(release.key)
                self.world.serving.served.clear()  # the same version may be written again, and waits for a decision

    @rule(kind=KIND)
    def people_apply_again(self, kind):
        there = self.stored(kind)
        if there is None or not there.metadata.deleting:
            self.put(kind)

    @precondition(lambda self: not self.world.weather["resources"].down)
    @rule()
    def a_validator_approves_what_waits(self):
        for release in self.world.resources.list(Release):
            try:
                deciding.decide(self.world, release.metadata.name, by="ada")
            except PortError:
                return

    # --- what happens to the operator --------------------------------------------------------------------------------

    @rule(kind=KIND)
    def it_turns(self, kind):
        self.world.turn(key_of(kind))

    @rule(rounds=st.integers(1, 10))
    def it_works_for_a_while(self, rounds):
        for _ in range(rounds):
            for kind in DOCUMENTS:
                self.world.turn(key_of(kind))
            self.world.advance()

    @rule(kind=KIND, moment=MOMENT)
    def it_dies(self, kind, moment):
        self.world.sky.crash_in = moment
        try:
            self.world.turn(key_of(kind))
        except Crash:
            self.world.restart()
        self.world.sky.crash_in = None

    @rule(kind=KIND, moment=MOMENT, edit=EDITS)
    def somebody_edits_during_its_turn(self, kind, moment, edit):
        self.world.sky.crash_in, self.world.sky.meanwhile = moment, lambda: self.edit_now(*edit)
        self.world.turn(key_of(kind))
        self.world.sky.crash_in = self.world.sky.meanwhile = None

    @rule(kind=KIND, engine=ENGINE)
    def a_reply_is_lost(self, kind, engine):
        self.world.weather[engine].lose_reply = True
        self.world.turn(key_of(kind))
        self.world.weather[engine].lose_reply = False

    @rule(engine=ENGINE)
    def an_engine_goes_down(self, engine):
        self.world.weather[engine].down = True

    @rule()
    def every_engine_comes_back(self):
        self.world.clear_up()

    @rule()
    def time_passes(self):
        self.world.advance()

    @rule()
    def it_has_nothing_else_to_do(self):
        self.settle()

    # --- what must hold always ---------------------------------------------------------------------------------------

    @invariant()
    def at_most_one_live_run_a_key(self):
        live = Counter((r.owner, r.key) for r in self.world.training.runs if r.live)
        assert all(count == 1 for count in live.values()), live

    @invariant()
    def no_wish_is_created_twice(self):
        assert all(count == 1 for count in self.world.training.created.values()), self.world.training.created

    @invariant()
    def only_approved_releases_are_served(self):
        releases = {r.metadata.name: r for r in self.world.resources._stored.values() if isinstance(r, Release)}
        for served in self.world.serving.served:
            assert releases[served.name].approved, served
            assert releases[served.name].spec.digest == served.digest

    @invariant()
    def no_model_version_is_given_twice(self):
        releases = [r for r in self.world.resources._stored.values() if isinstance(r, Release)]
        assert len({r.spec.version for r in releases}) == len({r.spec.digest for r in releases}) == len(releases)

    # --- what must hold once nothing goes wrong any more -------------------------------------------------------------

    def settle(self):
        self.world.clear_up()
        self.world.settle()
        live = Counter(r.owner for r in self.world.training.runs if r.live)
        assert not live, f"runs go on that nobody waits for: {live}"
        for kind in DOCUMENTS:
            there = self.stored(kind)
            if there is None:
                self.nothing_is_left_of(key_of(kind))
            elif there.metadata.deleting and kind is DataPipeline:
                self.releases_keep(there)
            else:
                assert not there.metadata.deleting, f"{kind.__name__} does not go away"
                self.says_where_it_stands(there)
                self.the_ledger_knows_how_each_answer_came_to_be(there)
        assert follow(self.world.ledger.kept) is None
        data = self.stored(DataPipeline)
        self.data_was_removed |= data is None
        if not self.data_was_removed:
            self.released_data_is_kept_and_no_other(data)

    def the_ledger_knows_how_each_answer_came_to_be(self, resource):
        mine = [e for e in self.world.ledger.entries if e.uid == resource.metadata.uid and e.verb is Verb.BECAME]
        told = stood(mine, {resource.metadata.uid: resource.status})
        for condition in resource.status.conditions:
            path = [entry.details for entry in told if entry.details["condition"] == condition.type]
            assert path, f"nobody told of {condition}"
            assert path[0]["from"] == [ABSENT, ""], f"the beginning of {condition.type} was not told: {path[0]}"
            for before, after in itertools.pairwise(path):
                assert before["to"] == after["from"], f"something between was not told: {before}, {after}"
            assert path[-1]["to"] == [condition.status, condition.reason], f"{condition} was not told: {path[-1]}"

    def nothing_is_left_of(self, key):
        if key in self.left_behind:
            return
        assert key not in self.world.data.owners
        assert not [r for r in self.world.training.runs if r.owner == key and not r.archived]
        assert key not in self.world.serving.deployed

    def releases_keep(self, data):
        ready, pins = data.status.condition(ConditionType.READY), pinned_by("news", self.world.resources.list(Release))
        assert pins, "DataPipeline does not go away"
        assert (ready.status, ready.reason) == ("False", Reason.PINNED_BY_RELEASE)
        assert all(name in ready.message for name in pins[:4]), ready.message

    def released_data_is_kept_and_no_other(self, data):
        seen = self.world.data.look(data.key, data.spec)
        repos = {s.repo for s in seen.sides} | {s.name for s in self.world.data.look(data.key, NO_STEPS).strays}
        needed = {r.spec.members["data"][s]["repo"] for r in self.world.resources.list(Release) for s in Side}
        assert needed <= repos, f"released from repositories that are gone: {needed - repos}"
        if data.metadata.deleting or data.status.condition(ConditionType.READY).reason is not Reason.SUCCEEDED:
            return
        experiment = self.stored(Experiment)
        if experiment is not None and experiment.status.data is not None:
            needed |= {experiment.status.data.train.repo, experiment.status.data.test.repo}
        for stray in seen.strays:  # each before those it reads
            needed |= {stray.reads} if stray.name in needed else set()
        assert {s.name for s in seen.strays} <= needed, f"nobody needs {seen.strays}"

    def says_where_it_stands(self, resource):
        status, kind = resource.status, type(resource)
        ready = status.condition(ConditionType.READY)
        assert status.observed_generation == resource.metadata.generation
        assert ready.status != "Unknown" or ready.reason in WAITING[kind], f"{kind.__name__}: {ready}"
        if resource.spec.suspend:
            assert ready.reason is Reason.SUSPENDED
        elif ready.reason is Reason.WAITING_FOR_DATA:
            data = self.stored(DataPipeline)
            assert (
                data is None or data.status.condition(ConditionType.READY).status != "True" or not data.status.dataset
            )
        elif ready.reason is Reason.WAITING_FOR_RELEASE:
            assert not [r for r in self.world.resources.list(Release) if r.approved]
        elif kind is ModelDeployment and ready.status == "True":
            assert self.world.serving.answering(resource.key) == status.release


WAITING = {
    DataPipeline: set(),
    Experiment: {Reason.WAITING_FOR_DATA, Reason.WAITING_FOR_APPROVAL},
    ModelDeployment: {Reason.WAITING_FOR_RELEASE},
}

TestOperator = Operator.TestCase
TestOperator.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)
