"""What a commit asks of a store, for every inventory: nothing of others goes, nothing goes twice, nothing flaps."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cdl.api.meta import MANAGED_BY_LABEL, PRUNE_ANNOTATION, RENDERED_ANNOTATION, Key
from cdl.local.patch import patched
from cdl.reconcile.gitops import ORDER, Policy, Stored, Wanted, correction, decide, inventory, pinned

OURS, THEIRS = "ours", "theirs"
KEYS = [Key(kind, "default", name) for kind in ORDER for name in "ab"]

policies = st.builds(
    Policy, st.just(OURS), prune=st.booleans(), allow_empty=st.booleans(), correct=st.booleans()
)  # fmt: skip
specs = st.fixed_dictionaries({"interval": st.sampled_from(["1m", "2m"])})
wishes = st.lists(
    st.builds(Wanted, st.sampled_from(KEYS), specs, st.just({MANAGED_BY_LABEL: OURS})), unique_by=lambda one: one.key
)


@st.composite
def shelves(draw):
    found = []
    for key in draw(st.lists(st.sampled_from(KEYS), unique=True)):
        spec = draw(specs)
        owner = draw(st.sampled_from([OURS, OURS, OURS, "", THEIRS]))
        rendered = Wanted(key, draw(specs), {MANAGED_BY_LABEL: OURS}).rendered
        notes = draw(st.sampled_from([{}, {RENDERED_ANNOTATION: rendered}]))
        if draw(st.integers(0, 4)) == 0:
            notes = {**notes, PRUNE_ANNOTATION: "disabled"}
        labels = {MANAGED_BY_LABEL: owner} if owner else {}
        needed = draw(st.sampled_from(["", "", "", "a Release needs it"]))
        found.append(Stored(key, spec, labels, notes, deleting=draw(st.integers(0, 5)) == 0, needed=needed))
    return found


def done(plan, wanted, stored):
    """The store after the plan was carried out."""
    there = {one.key: one for one in stored if one.key not in plan.prune}
    for one in wanted:
        if one.key in plan.apply:
            before = there.get(one.key)
            notes = {**(before.annotations if before else {}), RENDERED_ANNOTATION: one.rendered}
            there[one.key] = Stored(one.key, one.spec, one.labels, notes)
    return list(there.values())


@given(wishes, shelves(), policies)
def test_only_what_is_ours_and_left_git_goes(wanted, stored, policy):
    plan = decide(wanted, stored, policy, known=frozenset())
    names = {one.key for one in wanted}
    for key in plan.prune:
        (one,) = [one for one in stored if one.key == key]
        assert key not in names
        assert one.labels.get(MANAGED_BY_LABEL) == OURS
        assert one.annotations.get(PRUNE_ANNOTATION) != "disabled"
        assert not one.needed
        assert policy.prune
    assert not (plan.prune and not wanted and not policy.allow_empty)


@given(wishes, shelves(), policies)
def test_a_refusal_does_nothing_and_nothing_of_others_is_taken(wanted, stored, policy):
    plan = decide(wanted, stored, policy, known=frozenset())
    theirs = {one.key for one in stored if one.labels.get(MANAGED_BY_LABEL) == THEIRS}
    assert not (plan.refused and (plan.apply or plan.prune or plan.drift or plan.kept))
    assert bool(theirs & {one.key for one in wanted}) <= bool(plan.refused)


@given(wishes, shelves(), policies)
def test_what_was_done_once_is_done(wanted, stored, policy):
    plan = decide(wanted, stored, policy, known=frozenset())
    if plan.refused:
        return
    after = done(plan, wanted, stored)
    again = decide(wanted, after, policy, known=inventory(after, OURS))
    assert (again.apply, again.prune, again.refused) == ((), (), "")
    if policy.correct:
        assert {one.key: one.spec for one in after if one.key in {w.key for w in wanted}} == {
            one.key: one.spec for one in wanted
        }


@given(wishes, shelves(), policies, st.randoms())
def test_the_order_of_what_is_read_does_not_matter(wanted, stored, policy, chance):
    mixed_wanted, mixed_stored = list(wanted), list(stored)
    chance.shuffle(mixed_wanted)
    chance.shuffle(mixed_stored)
    first, second = (
        decide(*both, policy, known=frozenset()) for both in ((wanted, stored), (mixed_wanted, mixed_stored))
    )
    assert (first.apply, first.prune, first.drift, first.kept) == (
        second.apply,
        second.prune,
        second.drift,
        second.kept,
    )


@given(wishes, shelves(), policies)
def test_data_comes_first_and_goes_last(wanted, stored, policy):
    plan = decide(wanted, stored, policy, known=frozenset())
    assert [ORDER.index(key.kind) for key in plan.apply] == sorted(ORDER.index(key.kind) for key in plan.apply)
    assert [-ORDER.index(key.kind) for key in plan.prune] == sorted(-ORDER.index(key.kind) for key in plan.prune)


values = st.recursive(
    st.integers(0, 2), lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3), max_leaves=6
)
trees = st.dictionaries(st.sampled_from("abc"), values, max_size=3)


@given(trees, trees)
def test_after_a_correction_the_spec_is_gits(ours, theirs):
    key = KEYS[0]
    patch = correction(Wanted(key, ours), Stored(key, theirs))
    if patch:
        assert patched(theirs, patch) == ours
    else:
        assert patched(theirs, ours) == ours


DEPLOYMENT = Key("ModelDeployment", "default", "news")
WANTED = Wanted(DEPLOYMENT, {"model": {"name": "news", "policy": "LatestApproved"}, "replicas": 1})


@pytest.mark.parametrize(
    ("spec", "held"),
    [
        ({"model": {"name": "news", "policy": "Pinned", "version": 3}, "replicas": 1}, True),
        ({"model": {"name": "news", "policy": "Pinned", "version": 3}, "replicas": 2}, False),
        ({"model": {"name": "other", "policy": "Pinned", "version": 3}, "replicas": 1}, False),
        ({"model": {"name": "news", "policy": "Pinned"}, "replicas": 1}, False),
    ],
)
def test_only_the_version_makes_a_rollback(spec, held):
    assert pinned(WANTED, Stored(DEPLOYMENT, spec)) is held


def test_a_version_in_git_is_no_rollback():
    wanted = replace(WANTED, spec={"model": {"name": "news", "policy": "Pinned", "version": 2}, "replicas": 1})
    assert not pinned(wanted, Stored(DEPLOYMENT, {"model": {"name": "news", "policy": "Pinned", "version": 3}}))


def test_what_may_never_change_is_refused_before_anything_is_written():
    key = Key("Experiment", "default", "news")
    stored = Stored(key, {"model": {"name": "old"}}, {MANAGED_BY_LABEL: OURS})
    plan = decide([Wanted(key, {"model": {"name": "new"}})], [stored], Policy(OURS), known=frozenset())
    assert plan.refused.startswith("Experiment default/news: spec.model")
    assert plan.apply == ()
