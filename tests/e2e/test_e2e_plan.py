"""What `cdl plan` says before, and what then runs at the real engines: the rows of the table of commits."""

import json

import pytest

TRAIN_AND_BELOW = ["train", "evaluate", "gate", "release", "approve", "rollout"]


@pytest.fixture(scope="module")
def lived_in(shared_place):
    """A place in which the tiny project rests."""
    shared_place.run()
    return shared_place


def plan(place, code):
    """Plan, with the exit code that is expected; give the stages that run, in order and once each."""
    answer = place.cdl("plan", place.project, "-o", "json", "--detailed-exitcode")
    assert answer.returncode == code, answer.stdout + answer.stderr
    told = json.loads(answer.stdout)
    assert all(resource["asked"] for resource in told["resources"]), told
    stages = [stage for resource in told["resources"] for stage in resource["stages"]]
    return list(dict.fromkeys(s["name"] for s in stages if s["verdict"] in {"run", "rollout", "unknown"})), stages


def figures(place):
    """What stands for everything that was ever computed."""
    experiment, deployment = place.get("experiment")["status"], place.get("modeldeployment")["status"]
    jobs = [job["id"] for job in place.get("datapipeline")["status"]["jobs"]]
    return jobs, experiment["run"]["id"], experiment["evaluation"]["run"], deployment["release"]


def test_a_readme_runs_nothing(lived_in):
    before = figures(lived_in)
    (lived_in.project / "README.md").write_text("how to read this project\n")
    assert plan(lived_in, 0)[0] == []
    lived_in.run()
    assert figures(lived_in) == before


def test_replicas_replace_servers_alone(lived_in):
    before = figures(lived_in)
    lived_in.edit("resources/modeldeployment.yaml", "  model:", "  predictor: {replicas: 2}\n  model:")
    runs, stages = plan(lived_in, 2)
    assert runs == ["rollout"]
    assert stages[-1]["reasons"] == ["predictor.replicas: 1 -> 2"]
    lived_in.run()
    assert figures(lived_in) == before
    assert lived_in.get("modeldeployment")["status"]["replicas"] == {"desired": 2, "ready": 2}


def test_a_hyperparameter_trains_and_all_below(lived_in):
    jobs, run, evaluation, release = figures(lived_in)
    lived_in.edit("resources/experiment.yaml", "maxval: 2.0", "maxval: 1.5")
    runs, stages = plan(lived_in, 2)
    assert runs == TRAIN_AND_BELOW
    train = next(s for s in stages if s["name"] == "train")
    assert train["reasons"] == ["hyperparameters.weight.maxval: 2.0 -> 1.5"]
    assert train["estimate"]["seconds"] > 0
    lived_in.run()
    after = figures(lived_in)
    assert after[0] == jobs
    assert (after[1] != run, after[2] != evaluation, release, after[3]) == (True, True, "tiny-1", "tiny-2")
    assert plan(lived_in, 0)[0] == []


def test_the_two_releases_are_compared(lived_in):
    answer = lived_in.cdl("diff", "tiny@1", "tiny", "-o", "json")
    told = json.loads(answer.stdout)
    assert [change["words"] for change in told["config"]] == ["hyperparameters.weight.maxval: 2 -> 1.5"]
    assert (told["members"]["data"], told["members"]["code"]) == (False, False)
    assert told["metrics"][0]["metric"] == "accuracy"
    assert told["metrics"][0]["test"] == "McNemar, exact"


def test_going_back_runs_nothing_again_but_serves_what_it_was(lived_in):
    run = figures(lived_in)[1]
    lived_in.edit("resources/experiment.yaml", "maxval: 1.5", "maxval: 2.0")
    runs, stages = plan(lived_in, 2)
    assert runs == ["approve", "rollout"]
    assert "was made of exactly this" in next(s for s in stages if s["name"] == "train")["reasons"][0]
    lived_in.run()
    assert figures(lived_in)[1] != run
    assert lived_in.get("modeldeployment")["status"]["release"] == "tiny-1"


def test_without_engines_the_same_is_told_from_statuses(lived_in):
    assert "stopped" in lived_in.cdl("stop").stdout
    answer = lived_in.cdl("plan", lived_in.project, "--detailed-exitcode")
    assert answer.returncode == 0, answer.stdout
    assert "this is what statuses say" in answer.stdout
    assert "Nothing changes: nothing runs." in answer.stdout
