"""`cdl approve` and `cdl reject` on one machine: what they show, whom they refuse, and what is kept."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from cdl.api.meta import AUTHORS_ANNOTATION
from cdl.api.v1alpha1 import ModelDeployment, Release
from cdl.api.v1alpha1.release import ApprovalState
from cdl.cli import main
from cdl.reconcile.release import APPROVED_DIGEST
from cdl.testing.builders import deployment_document, experiment_document, pipeline_document
from cdl.testing.world import World
from tests.unit import deciding
from tests.unit.local.counted import Counted


@pytest.fixture
def world(tmp_path, monkeypatch):
    """ada's Experiment, whose Release waits for a person, and a ModelDeployment that waits for it."""
    monkeypatch.setenv("CDL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CDL_USER", "maria")
    world = World(tmp_path / "engines")
    world.resources = Counted(tmp_path / "home" / "resources.db", "ada")
    world.restart()
    apply(world, 0.1)
    world.resources.apply(pipeline_document())
    world.resources.apply(deployment_document("shop", model={"name": "news"}))
    world.settle()
    yield world
    world.resources.close()


def apply(world, learning_rate, **approval):
    document = experiment_document("news", learning_rate, approval={"policy": "Manual"} | approval)
    document["metadata"]["annotations"] = {AUTHORS_ANNOTATION: "bob@example.org"}
    world.resources.apply(document)


def cdl(*words, as_=None):
    return CliRunner().invoke(main, [str(word) for word in words], env={"CDL_USER": as_} if as_ else None)


def approval(world, name="news-1"):
    return world.resources.get(Release, "default", name).status.approval


def served(world):
    return world.resources.get(ModelDeployment, "default", "shop").status.release


def test_a_decision_is_recorded_with_who_why_and_what_was_known(world):
    told = cdl("approve", "news-1", "--reason", "it is good")
    assert told.exit_code == 0, told.output
    digest = world.resources.get(Release, "default", "news-1").spec.digest
    assert "news-1: nobody decided about it yet; written by ada, bob@example.org\n" in told.output
    assert "nothing else answers for this model" in told.output
    assert told.output.endswith(f"release news-1 approved at {digest}\n")
    said = approval(world)
    assert (said.state, said.by, said.reason, said.digest) == (ApprovalState.APPROVED, "maria", "it is good", digest)
    assert (said.metrics["accuracy"], said.production) == (0.9, ())
    assert said.attestation.endswith(".dsse.json")
    world.settle()
    assert served(world) == "news-1"


def test_a_second_decision_is_made_beside_what_is_served(world):
    cdl("approve", "news-1", "--reason", "it is good")
    apply(world, 0.05)
    world.settle()
    told = cdl("reject", "news-2", "--reason", "too small a step")
    assert told.exit_code == 0, told.output
    assert "news-1 answers for shop" in told.output
    assert "+0.05" in told.output
    (beside,) = approval(world, "news-2").production
    assert (beside.release, beside.deployments, beside.metrics["accuracy"]) == ("news-1", ("shop",), 0.9)
    assert beside.differences["accuracy"] == pytest.approx(0.05)
    assert "+0.05" in cdl("describe", "release", "news-2").output


@pytest.mark.parametrize("author", ["ada", "Ada", "bob", "bob@example.org", "ada@example.org"])
def test_an_author_may_reject_and_not_approve(world, author):
    refused = cdl("approve", "news-1", "--reason", "mine", as_=author)
    assert refused.exit_code == 1
    assert refused.output == (
        f"Error: release news-1: {author} is an author of it, so another validator must approve it: anybody but ada,"
        " bob@example.org (CDL_USER says who you are on this machine)\n"
    )
    assert approval(world).state is ApprovalState.PENDING
    assert cdl("reject", "news-1", "--reason", "mine, and bad", as_=author).exit_code == 0
    assert (approval(world).state, approval(world).by) == (ApprovalState.REJECTED, author)


def test_an_approval_that_is_void_can_be_given_again_in_the_same_words(world):
    cdl("approve", "news-1", "--reason", "it is good")
    deciding.note(world, **{APPROVED_DIGEST: None})
    assert deciding.attend(world).status.approval.state is ApprovalState.VOID
    told = cdl("approve", "news-1", "--reason", "it is good")
    assert told.exit_code == 0, told.output
    assert "news-1: its approval by maria is not noted on it any more" in told.output
    assert approval(world).state is ApprovalState.APPROVED


def test_what_nobody_can_mean_is_refused(world):
    assert cdl("approve", "news-1", "--reason", " ").output == (
        "Error: --reason: found nothing, expected why; it is kept with the decision\n"
    )
    assert cdl("approve", "news-9", "--reason", "r").output == (
        "Error: release news-9: not found in namespace default, there are: news-1\n"
    )
    assert cdl("approve", "news-1").exit_code == 2
