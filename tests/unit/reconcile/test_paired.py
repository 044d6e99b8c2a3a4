"""Two evaluations of the same items, compared item by item."""

import pytest

from cdl.reconcile.experiment.paired import Part, paired

CLASSES = ["cat", "dog"]


def report(taken, labels="ccccdddddd", **more):
    number = {"c": 0, "d": 1}
    answers = {"labels": [number[x] for x in labels], "predicted": [number[x] for x in taken]}
    return {"classes": CLASSES, "answers": answers, **more}


GOOD = report("cccddddddc")
POOR = report("ddddddcccc")


def test_accuracy_is_judged_by_mcnemar():
    found = paired(Part("accuracy"), POOR, GOOD)
    assert (found.mine, found.theirs, found.items) == (0.2, 0.8, 10)
    assert found.p == pytest.approx(2 * 0.5**6)  # six items only production answers rightly, none the other way round
    assert found.low < -0.6 < found.high
    assert found.worse
    assert not paired(Part("accuracy"), GOOD, POOR).worse


def test_a_class_is_judged_on_its_own_items():
    found = paired(Part("recall", of_class="cat"), POOR, GOOD)
    assert (found.mine, found.theirs, found.items) == (0.0, 0.75, 4)
    assert found.p == pytest.approx(2 * 0.5**3)


def test_a_group_is_judged_on_its_own_items():
    groups = {"light": ["day"] * 4 + ["night"] * 6}
    found = paired(Part("accuracy", group="light=day"), {**POOR, "groups": groups}, GOOD)
    assert (found.mine, found.theirs, found.items) == (0.0, 0.75, 4)


@pytest.mark.parametrize("part", [Part("macro_f1"), Part("f1", of_class="dog"), Part("weighted_precision")])
def test_figures_that_are_no_shares_are_judged_by_a_jackknife(part):
    many = 40
    good = report("cccddddddc" * many, "ccccdddddd" * many)
    poor = report("cccdddcccc" * many, "ccccdddddd" * many)
    found = paired(part, poor, good)
    assert found.p is None
    assert found.low < found.difference < found.high < 0
    assert found.worse
    assert not paired(part, good, good).worse


def test_f1_is_the_one_of_the_confusion_matrix():
    found = paired(Part("f1", of_class="cat"), GOOD, POOR)
    assert found.mine == pytest.approx(2 * 3 / (4 + 4))


def test_classes_that_are_numbered_otherwise_are_the_same_classes():
    turned = {"classes": ["dog", "cat"], "answers": {"labels": [1] * 4 + [0] * 6, "predicted": [1, 1, 1, 0] + [0] * 6}}
    assert paired(Part("accuracy"), turned, GOOD).difference == pytest.approx(0.1)


def test_right_and_wrong_are_enough_for_accuracy():
    found = paired(Part("accuracy"), {"correct": "1100"}, {"correct": "1111"})
    assert (found.mine, found.theirs) == (0.5, 1.0)


@pytest.mark.parametrize(
    ("part", "mine", "theirs", "why"),
    [
        (Part("accuracy"), {}, GOOD, "this evaluation does not say of each item whether it was answered rightly"),
        (Part("accuracy"), {"correct": "11"}, {"correct": "111"}, "it tells of 2 items, that of production of 3"),
        (Part("macro_f1"), GOOD, {"correct": "1" * 10}, "the evaluation of production does not say what each item"),
        (Part("accuracy"), GOOD, report("cccddddddc", "dcccdddddd"), "not tell of the same items in the same order"),
        (Part("bleu"), GOOD, POOR, "there is no paired test of bleu: give min or max instead"),
        (Part("auc", of_class="cat"), GOOD, POOR, "there is no paired test of auc"),
        (Part("recall", of_class="cow"), GOOD, POOR, "no item is of class cow"),
        (Part("accuracy", group="light=day"), GOOD, POOR, "does not say which items are light=day"),
        (Part("accuracy", group="a=2"), {**GOOD, "groups": {"a": ["1"] * 10}}, POOR, "no item is a=2"),
        (Part("macro_f1"), {**GOOD, "answers": {"labels": [7], "predicted": [0]}}, POOR, "this evaluation does not"),
    ],
)
def test_what_cannot_be_paired_says_why(part, mine, theirs, why):
    found = paired(part, mine, theirs)
    assert why in found.why
    assert not found.items
