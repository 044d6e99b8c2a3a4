"""Every verb that needs no platform, over a store that the loop filled in memory."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from click.testing import CliRunner

from cdl.api.meta import Key
from cdl.api.v1alpha1 import DataPipeline, Release
from cdl.api.v1alpha1.release import ApprovalState
from cdl.cli import main
from cdl.cli.get import age, kind_named
from cdl.cli.screen import shown, table
from cdl.testing.builders import deployment_document, experiment_document, pipeline_document
from cdl.testing.world import World
from tests.unit.local.counted import Counted


@pytest.fixture
def world(tmp_path, home):
    """An Experiment whose Release waits for a person, and a ModelDeployment that waits for it."""
    world = World(tmp_path / "engines")
    world.resources = Counted(home / "resources.db")
    world.restart()
    for document in (
        pipeline_document(),
        experiment_document(approval={"policy": "Manual"}),
        deployment_document("shop", model={"name": "news"}),
    ):
        world.resources.apply(document)
    world.settle()
    yield world
    world.resources.close()


def cdl(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def said(*words):
    answer = cdl(*words)
    assert answer.exit_code == 0, answer.output
    return answer.output


def refused(*words):
    answer = cdl(*words)
    assert answer.exit_code == 1, answer.output
    assert isinstance(answer.exception, SystemExit)
    return answer.output.removeprefix("Error: ").rstrip("\n")


def release(world):
    (found,) = world.resources.list(Release)
    return found


def test_an_approved_release_is_served_and_walked_to_from_what_serves_it(world):
    digest = release(world).spec.digest
    assert refused("lineage", "shop") == (
        "shop: found no ModelDeployment that serves and no Release of that name; releases: news-1"
    )
    assert said("approve", "news-1", "--reason", "it is good").endswith(f"\nrelease news-1 approved at {digest}\n")
    approval = release(world).status.approval
    assert (approval.state, approval.digest, approval.reason) == (ApprovalState.APPROVED, digest, "it is good")
    world.settle()
    walk = json.loads(said("lineage", "shop", "-o", "json"))
    assert walk == json.loads(said("lineage", "news-1", "-o", "json"))
    assert walk["nodes"][1]["facts"]["digest"] == digest
    assert f"└── serves release news-1\n    ├── digest {digest}\n" in said("lineage", "shop")
    answered = said("lineage", f"{digest.removeprefix('sha256:')[:12]}-a1", "-o", "json")
    assert [n["kind"] for n in json.loads(answered)["nodes"]][:3] == ["prediction", "deployment", "release"]
    assert "<svg" in said("lineage", "shop", "-o", "svg")
    assert said("lineage", "shop", "-o", "html").startswith("<!doctype html>")


def test_a_rejected_release_is_not_served(world):
    said("reject", "news-1", "--reason", "no")
    world.settle()
    assert release(world).status.approval.state is ApprovalState.REJECTED
    assert refused("predict", "shop", "x.txt") == (
        "ModelDeployment shop serves nothing yet; `cdl describe modeldeployment shop` says why"
    )


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("approve", "news-9", "--reason", "r"), "release news-9: not found in namespace default, there are: news-1"),
        (("reject", "x", "--reason", "r", "-n", "b"), "release x: not found in namespace b, there are: none"),
        (("describe", "cdldp", "old"), "DataPipeline old: not found in namespace default"),
        (("get", "releases", "old"), "Release old: not found"),
        (("delete", "experiment", "old"), "Experiment default/old: not found"),
        (
            ("delete", "experiment", "news", "--timeout", "0"),
            ("Experiment default/news: not gone after 0 s; it goes once the platform runs (`cdl describe` says why)"),
        ),
        (("lineage", "0123456789ab-x"), "0123456789ab-x: no Release here made it (namespace default)"),
        (
            ("delete", "cdldp", "news"),
            (
                "DataPipeline default/news: news-1 was made from commits of its repositories; delete that Release "
                "first, or set spec.deletionPolicy to Orphan, which leaves the repositories where they are"
            ),
        ),
        (("rollback", "shop"), "ModelDeployment shop: never served anything, so there is nothing to go back to"),
        (("rollback", "shop", "--to", "2"), "model news: found no version 2, there are: 1"),
        (
            ("rollback", "shop", "--to", "1"),
            "news-1 is not approved (nobody decided about it yet); only approved releases are served",
        ),
        (("predict", "old", "x.txt"), "ModelDeployment old: not found in namespace default, there are: shop"),
        (("logs", "operator"), "operator never ran here; `cdl run FOLDER` or `cdl up` starts it"),
        (
            ("logs", "experiment"),
            (
                "logs experiment: which one? cdl logs KIND NAME, or one of operator, pachd, determined, seldon, "
                "admission, postgres, kube-controller-manager, kube-apiserver, etcd, forge"
            ),
        ),
        (("logs", "experiment", "news"), "not running: pachd, determined, seldon; `cdl run FOLDER` starts it"),
        (
            ("get", "pods"),
            (
                "kind: found 'pods', allowed: DataPipeline, Experiment, ModelDeployment, Release or cdldp, "
                "cdlexp, cdlmd, cdlrel"
            ),
        ),
        (("run", ".", "--data", "nowhere"), "--data: found 'nowhere', allowed: an existing folder, or synthetic"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(world, words, sentence):
    assert refused(*words) == sentence


def test_the_list_has_a_row_a_resource(world):
    rows = [line.split()[:4] for line in said("get").splitlines()[1:]]
    assert rows == [
        ["DataPipeline", "news", "True", "Succeeded"],
        ["Experiment", "news", "Unknown", "WaitingForApproval"],
        ["ModelDeployment", "shop", "Unknown", "WaitingForRelease"],
        ["Release", "news-1", "Unknown", "-"],
    ]
    assert [d["metadata"]["name"] for d in json.loads(said("get", "cdlexp", "-o", "json"))] == ["news"]
    documents = list(yaml.safe_load_all(said("get", "DataPipelines", "news", "-o", "yaml")))
    assert [d["kind"] for d in documents] == ["DataPipeline"]
    assert said("get", "-n", "elsewhere") == "no resources; `cdl run FOLDER` makes some\n"


def test_the_list_names_the_namespaces_where_there_are_several(world):
    assert said("get").split()[0] == "KIND"
    preview = pipeline_document("news")
    world.resources.apply(preview | {"metadata": {"name": "news", "namespace": "news-mr-1"}})
    assert said("get").split()[0] == "NAMESPACE"
    assert [line.split()[:3] for line in said("get", "cdldp").splitlines()[1:]] == [
        ["default", "DataPipeline", "news"],
        ["news-mr-1", "DataPipeline", "news"],
    ]
    assert said("get", "-n", "news-mr-1").split()[0] == "KIND"


def test_everything_about_one_is_its_document_its_conditions_and_its_history(world):
    text = said("describe", "datapipeline", "news")
    document, _, tables = text.partition("\n\n")
    assert yaml.safe_load(document)["status"]["dataset"]["train"]["repo"] == "news-clean-train"
    assert "history" not in yaml.safe_load(document)["status"]
    assert "DatasetReady" in tables
    assert "dataset" in tables.partition("History")[2]


def test_generated_data_is_named_wherever_it_is_shown_and_only_then(world):
    assert "SYNTHETIC" not in said("get") + said("describe", "cdldp", "news") + said("lineage", "news-1")
    world.resources.annotate(Key("DataPipeline", "default", "news"), "cdl.dev/synthetic", "true")
    for words in (("get",), ("describe", "cdldp", "news"), ("lineage", "news-1")):
        assert said(*words).endswith("data of news: SYNTHETIC look-alikes; figures say nothing about real data\n")


def test_a_deletion_waits_for_nobody_when_nothing_was_made(world):
    world.resources.apply(pipeline_document("new"))
    assert said("delete", "cdldp", "new") == "DataPipeline default/new deleted\n"
    assert world.resources.get(DataPipeline, "default", "new") is None


def test_nothing_is_made_where_nothing_ran(home):
    assert said("stop") == "nothing was running\n"
    assert "does not run" in said("doctor")


@pytest.mark.parametrize(
    ("seconds", "words"), [(5, "5s"), (119, "119s"), (120, "2m"), (7199, "119m"), (7200, "2h"), (2 * 86400, "2d")]
)
def test_an_age_is_told_in_the_unit_that_says_most(seconds, words):
    assert age((datetime.now(UTC) - timedelta(seconds=seconds + 0.4)).isoformat()) == words


@pytest.mark.parametrize("word", ["Experiment", "experiment", "EXPERIMENTS", "cdlexp", "CDLEXP"])
def test_a_kind_has_many_names(word):
    assert kind_named(word) == "Experiment"


@pytest.mark.parametrize(
    ("value", "cell"),
    [(None, "-"), (0.123456, "0.1235"), (3, "3"), (datetime(2026, 1, 2, 3, 4, 5, 6, UTC), "2026-01-02 03:04:05Z")],
)
def test_a_cell_says_no_more_than_a_person_reads(value, cell):
    assert shown(value) == cell


def test_a_table_without_rows_is_not_shown(capsys):
    table("empty", ("A", "B"), ())
    assert capsys.readouterr().out == ""


def test_apply_refuses_what_may_never_change(world, tmp_path):
    before = world.resources.documents()
    file = tmp_path / "renamed.yaml"
    file.write_text(yaml.safe_dump(experiment_document(model={"name": "other"}, approval={"policy": "Manual"})))
    done = cdl("apply", file, "--yes")
    assert done.exit_code == 1
    assert done.stderr == (
        "Error: Experiment default/news: spec.model.name: cannot change: Releases carry it; "
        "make another Experiment for another model\n"
    )
    assert world.resources.documents() == before
