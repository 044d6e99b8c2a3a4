"""With `approval.policy: Manual` nothing is served until a person has said so."""

import time


def until(place, kind, field, wanted, seconds=60):
    deadline = time.monotonic() + seconds
    while (found := place.get(kind)["status"].get(field)) != wanted:
        assert time.monotonic() < deadline, f"{kind}: {field} is {found!r}, expected {wanted!r}"
        time.sleep(0.2)


def test_a_release_waits_for_a_person_and_is_served_once_approved(place):
    place.edit("resources/experiment.yaml", "policy: Automatic", "policy: Manual")
    told = place.run()
    assert "WaitingForApproval" in told
    assert "cdl approve tiny-1" in told
    assert place.get("modeldeployment")["status"].get("release", "") == ""
    assert place.cdl("approve", "tiny-1").returncode != 0, "a decision needs a reason"
    approved = place.cdl("approve", "tiny-1", "--reason", "the figures are good")
    assert approved.returncode == 0, approved.stderr
    assert place.get("release", "tiny-1")["spec"]["digest"] in approved.stdout
    until(place, "modeldeployment", "release", "tiny-1")
    assert place.get("release", "tiny-1")["status"]["approval"]["reason"] == "the figures are good"


def test_a_rejected_release_is_not_served(place):
    place.edit("resources/experiment.yaml", "policy: Automatic", "policy: Manual")
    place.run()
    assert place.cdl("reject", "tiny-1", "--reason", "too few notes").returncode == 0
    until(place, "experiment", "progress", "3/3")
    answer = place.cdl("run", place.project)
    assert answer.returncode != 0
    assert "Rejected" in answer.stdout
    assert place.get("modeldeployment")["status"].get("release", "") == ""


def test_a_reverted_experiment_goes_back_to_the_release_it_had(place):
    place.run()
    place.edit("resources/experiment.yaml", "maxval: 2.0", "maxval: 1.5")
    place.run()
    assert place.get("modeldeployment")["status"]["release"] == "tiny-2"
    place.edit("resources/experiment.yaml", "maxval: 1.5", "maxval: 2.0")
    place.run()
    until(place, "modeldeployment", "release", "tiny-1")
    assert place.get("experiment")["status"]["release"] == "tiny-1"
