"""From raw files to a served, traceable prediction; and then only what a change really needs.

The tests of this module share one platform and follow one another like a team's first afternoon.
"""

import json
import os
import signal

import httpx
import psutil
import pytest
from determined.experimental import client


@pytest.fixture(scope="module")
def first(shared_place):
    """What the first `cdl run` printed."""
    return shared_place.run()


def ask(url, text):
    return httpx.post(url, json={"data": {"ndarray": [text]}}, timeout=10)


def runs(place):
    """Every run there ever was at the training engine, evaluations included."""
    port = json.loads((place.home / "ports.json").read_text())["determined"]
    master = client.Determined(f"http://127.0.0.1:{port}", user="determined", password="")
    return [e.id for e in master.list_experiments()]


def jobs(place):
    return [job["id"] for job in place.get("datapipeline")["status"]["jobs"]]


def processes(place):
    """Every process that works in this place's home folder."""
    home, found = str(place.home), []
    for process in psutil.process_iter(["cmdline", "status"]):
        alive = process.info["status"] != psutil.STATUS_ZOMBIE
        if alive and any(home in word for word in process.info["cmdline"] or ()):
            found.append(process)
    return found


def test_the_first_run_tells_the_whole_story(shared_place, first):
    dataset = shared_place.get("datapipeline")["status"]["dataset"]
    release = shared_place.get("release", "tiny-1")
    told = ("1 long-enough", "1 text-file", "passed", "best", "USER CODE", "predict tiny")
    for part in (dataset["version"], release["spec"]["digest"], *told):
        assert part in first, first
    assert "Traceback" not in first


def test_every_resource_is_ready_and_says_what_it_came_to(shared_place, first):
    listed = shared_place.cdl("get").stdout
    for line in listed.splitlines()[1:]:
        assert "True" in line, listed
    status = shared_place.get("experiment")["status"]
    assert status["trials"]["total"] == 3
    assert status["evaluation"]["gates"][0]["passed"]
    assert shared_place.get("datapipeline")["status"]["rejected"] == {
        "total": 2,
        "byReason": {"long-enough": 1, "text-file": 1},
    }


def test_the_served_answer_names_the_release_it_came_from(shared_place, first):
    deployment, release = shared_place.get("modeldeployment"), shared_place.get("release", "tiny-1")
    answer = ask(deployment["status"]["url"], "prices are rising and soaring").json()
    names, [shares] = answer["data"]["names"], answer["data"]["ndarray"]
    assert names[shares.index(max(shares))] == "up"
    assert answer["meta"]["tags"]["digest"] == release["spec"]["digest"]
    answered = shared_place.cdl("predict", "tiny", shared_place.project / "samples" / "falling.txt")
    assert "down" in answered.stdout
    assert "tiny-1" in answered.stdout


def test_the_walk_from_the_answer_reaches_every_member(shared_place, first):
    walk = shared_place.cdl("lineage", "tiny").stdout
    release = shared_place.get("release", "tiny-1")
    assert "Approved by policy/Automatic" in walk
    for member in release["spec"]["members"]:
        assert member in walk
    assert release["spec"]["members"]["checkpoint"]["uuid"] in walk
    assert release["spec"]["members"]["data"]["train"]["commit"] in walk


def test_an_answer_is_known_by_its_id_alone(shared_place, first):
    url, text = shared_place.get("modeldeployment")["status"]["url"], "prices are rising"
    answer = ask(url, text)
    name = answer.json()["meta"]["tags"]["prediction"]
    assert name == answer.headers["x-cdl-prediction"]
    walk = json.loads(shared_place.cdl("lineage", name, "-o", "json").stdout)
    assert [node["kind"] for node in walk["nodes"]][:3] == ["prediction", "deployment", "release"]
    assert walk["nodes"][2]["facts"]["digest"] == answer.headers["x-cdl-digest"]
    assert "notes" in {node["title"] for node in walk["nodes"] if node["kind"] == "source"}
    infer = url.replace("/api/v1.0/predictions", "/v2/models/infer")
    tensor = {"name": "text", "shape": [1], "datatype": "BYTES", "data": [text]}
    assert httpx.post(infer, json={"inputs": [tensor]}).json()["id"][:13] == name[:13]
    shown = shared_place.cdl("predict", "tiny", shared_place.project / "samples" / "falling.txt").stdout
    assert f"{name[:13]}" in shown


def test_the_test_side_is_not_what_trials_saw(shared_place, first):
    dataset = shared_place.get("datapipeline")["status"]["dataset"]
    assert dataset["train"]["repo"] != dataset["test"]["repo"]
    assert dataset["train"]["files"] + dataset["test"]["files"] == 65


def test_a_second_run_runs_nothing_again(shared_place, first):
    before, made = runs(shared_place), jobs(shared_place)
    assert "nothing changed, so nothing was run again" in shared_place.run()
    assert (runs(shared_place), jobs(shared_place)) == (before, made)


def test_what_trials_printed_and_what_steps_printed_can_be_read(shared_place, first):
    assert shared_place.cdl("logs", "experiment", "tiny").stdout
    assert shared_place.cdl("logs", "datapipeline", "tiny").stdout
    assert "tiny-1" in shared_place.cdl("describe", "modeldeployment", "tiny").stdout
    assert shared_place.cdl("logs", "modeldeployment", "tiny").returncode == 0


def test_a_changed_gate_judges_again_without_training_again(shared_place, first):
    before = runs(shared_place)
    shared_place.edit("resources/experiment.yaml", "min: 0.9}", "min: 0.8}")
    shared_place.run()
    assert runs(shared_place) == before
    assert shared_place.get("experiment")["status"]["evaluation"]["gates"][0]["min"] == 0.8


def test_changed_serving_code_makes_a_release_but_no_run(shared_place, first):
    before = runs(shared_place)
    shared_place.edit("serve/serve.py", '"""Read the checkpoint."""', '"""Read the words."""')
    shared_place.run()
    assert runs(shared_place) == before
    assert shared_place.get("modeldeployment")["status"]["release"] == "tiny-2"
    assert shared_place.get("modeldeployment")["status"]["previousRelease"] == "tiny-1"
    assert shared_place.get("release", "tiny-1")["status"]["servedBy"] == []
    assert shared_place.get("release", "tiny-2")["status"]["servedBy"] == ["tiny"]


def test_a_changed_hyperparameter_trains_again_on_the_same_data(shared_place, first):
    before, made = runs(shared_place), jobs(shared_place)
    shared_place.edit("resources/experiment.yaml", "maxval: 2.0", "maxval: 1.5")
    shared_place.run()
    assert len(runs(shared_place)) == len(before) + 2
    assert jobs(shared_place) == made
    assert shared_place.get("modeldeployment")["status"]["release"] == "tiny-3"


def test_new_data_runs_what_is_downstream_of_it(shared_place, first):
    before, old = runs(shared_place), shared_place.get("datapipeline")["status"]["dataset"]["version"]
    shared_place.write_notes(40)
    shared_place.run()
    assert shared_place.get("datapipeline")["status"]["dataset"]["version"] != old
    assert len(runs(shared_place)) == len(before) + 2
    assert shared_place.get("modeldeployment")["status"]["release"] == "tiny-4"


def test_stop_leaves_no_process_and_run_goes_on_where_it_stood(shared_place, first):
    before = runs(shared_place)
    assert processes(shared_place)
    assert "stopped" in shared_place.cdl("stop").stdout
    assert processes(shared_place) == []
    shared_place.run()
    assert runs(shared_place) == before


def deleted(place, kind, name):
    answer = place.cdl("delete", kind, name)
    assert answer.returncode == 0, place.story(answer)


def test_what_is_served_is_not_deleted(shared_place, first):
    refused = shared_place.cdl("delete", "release", "tiny-4")
    assert refused.returncode != 0
    assert refused.stderr.startswith("Error: Release default/tiny-4: it is served by tiny; delete what serves it first")
    assert shared_place.get("release", "tiny-4")["status"]["servedBy"] == ["tiny"]


def test_deleting_removes_what_was_made(shared_place, first):
    url = shared_place.get("modeldeployment")["status"]["url"]
    for kind in ("modeldeployment", "experiment"):
        deleted(shared_place, kind, "tiny")
    assert ask(url, "anything").status_code == 404
    assert "tiny-4" in shared_place.cdl("get", "release").stdout


def test_the_data_goes_after_every_release_that_names_it(shared_place, first):
    refused = shared_place.cdl("delete", "datapipeline", "tiny")
    assert refused.returncode != 0
    assert "DataPipeline default/tiny: tiny-1, tiny-2, tiny-3, tiny-4 were made from commits" in refused.stderr
    assert "deletionTimestamp" not in shared_place.get("datapipeline")["metadata"]
    for number in range(1, 5):
        deleted(shared_place, "release", f"tiny-{number}")
    deleted(shared_place, "datapipeline", "tiny")
    assert "no resources" in shared_place.cdl("get").stdout


@pytest.mark.parametrize("victim", ["operator", "determined", "pachd", "seldon"])
def test_a_platform_killed_at_work_goes_on_without_doing_anything_twice(place, victim):
    answer = place.cdl("run", place.project, "--detach")
    assert answer.returncode == 0, place.story(answer)
    record = json.loads((place.home / "processes" / f"{victim}.json").read_text())
    os.kill(record["pid"], signal.SIGKILL)
    place.run()
    assert len(runs(place)) == 2
    status = place.get("experiment")["status"]
    assert status["trials"]["total"] == 3
    assert place.get("modeldeployment")["status"]["release"] == "tiny-1"
