"""On real engines: what one namespace trained another adopts; then the first may go, and nothing is lost."""

import base64
import json
import shutil

import pytest
import yaml

FORMATS = ("intoto", "cyclonedx", "model-card", "model-card-html", "openlineage")
OURS = ("-n", "shop")


def prepared(place):
    """The tiny project, approved by merge request, once more in a namespace of its own."""
    place.edit("resources/experiment.yaml", "policy: Automatic", "policy: MergeRequest")
    (place.project / "resources" / "modeldeployment.yaml").unlink()
    other = place.project.parent / "shop"
    shutil.copytree(place.project, other)
    for file in (other / "resources").iterdir():
        document = yaml.safe_load(file.read_text())
        document["metadata"]["namespace"] = "shop"
        file.write_text(yaml.safe_dump(document))
    return other


@pytest.fixture(scope="module")
def shop(shared_place):
    """A place where the namespace `shop` has adopted, and what was adopted from is gone."""
    other, place = prepared(shared_place), shared_place
    told = place.run()
    assert "tiny-1 waits for its merge request: no annotation cdl.dev/forge-project" in told
    place.project = other
    place.run()
    for kind, name in (("experiment", "tiny"), ("release", "tiny-1"), ("datapipeline", "tiny")):
        gone = place.cdl("delete", kind, name, "-n", "default")
        assert gone.returncode == 0, gone.stderr
    return place


def found(place, kind, name="tiny"):
    answer = place.cdl("get", kind, name, *OURS, "-o", "json")
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)[0]


def test_nothing_is_trained_where_a_release_of_exactly_this_exists(shop):
    status = found(shop, "experiment")["status"]
    trained = next(c for c in status["conditions"] if c["type"] == "Trained")
    assert (trained["reason"], trained["message"]) == (
        "Adopted",
        "adopts release tiny-1 of namespace default instead of training",
    )
    assert status["evaluation"]["metrics"]["accuracy"] >= 0.9
    release = found(shop, "release", "tiny-1")
    assert release["spec"]["members"]["git"]["adoptedFrom"]["namespace"] == "default"
    log = (shop.home / "logs" / "operator.log").read_text()
    assert "Experiment default/tiny: StartRun" in log
    assert "Experiment shop/tiny: AdoptRelease" in log
    assert "Experiment shop/tiny: StartRun" not in log


def test_every_member_is_intact_though_what_it_came_from_is_gone(shop):
    verified = shop.cdl("verify", "tiny-1", *OURS, "-o", "json")
    assert verified.returncode == 0, verified.stdout
    assert json.loads(shop.cdl("get", "datapipeline", "-n", "default", "-o", "json").stdout) == []


@pytest.mark.parametrize("form", FORMATS)
def test_it_is_exported(shop, form):
    told = shop.cdl("export", "tiny-1", "--as", form, *OURS)
    assert told.returncode == 0, told.stderr
    lines = [json.loads(line).get("payload", "") for line in told.stdout.splitlines()] if form == "intoto" else []
    text = told.stdout + "".join(base64.b64decode(line).decode() for line in lines)
    assert "tiny" in text


def test_its_lineage_says_whose_model_it_took(shop):
    told = shop.cdl("lineage", "tiny-1", *OURS)
    assert told.returncode == 0, told.stderr
    assert "adopted from" in told.stdout
    assert "default/tiny-1" in told.stdout


def test_it_is_built_again(shop):
    told = shop.cdl("reproduce", "tiny-1", *OURS, "-o", "json")
    assert told.returncode == 0, told.stderr
    assert json.loads(told.stdout)["verdict"] in {"bit-equal", "metric-equal"}


def test_a_person_may_approve_it_and_it_is_not_adopted_once_more(shop):
    told = shop.cdl("approve", "tiny-1", *OURS, "--reason", "as it was in the other namespace")
    assert told.returncode == 0, told.stderr
    again = shop.cdl("run", shop.project)
    assert again.returncode == 0, shop.story(again)
    assert found(shop, "experiment")["status"]["release"] == "tiny-1"
