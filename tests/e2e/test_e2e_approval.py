"""With `approval.policy: Manual` nothing is served until a person has said so."""

import time


def until(place, kind, field, wanted, seconds=60):
    deadline = time.monotonic() + seconds
    while (found := place.get(kind)["status"].get(field, "")) != wanted:
        assert time.monotonic() < deadline, f"{kind}: {field} is {found!r}, expected {wanted!r}"
        time.sleep(0.2)


def test_a_release_waits_for_a_person_and_is_served_once_approved(place):
    place.edit("resources/experiment.yaml", "policy: Automatic", "policy: Manual")
    told = place.run()
    assert "WaitingForApproval" in told
    assert "cdl approve tiny-1" in told
    assert place.get("modeldeployment")["status"].get("release", "") == ""
    assert place.cdl("approve", "tiny-1").returncode != 0, "a decision needs a reason"
    own = place.cdl("approve", "tiny-1", "--reason", "mine", user="ada")
    assert own.stderr == (
        "Error: release tiny-1: ada is an author of it, so another validator must approve it: anybody but ada"
        " (CDL_USER says who you are on this machine)\n"
    )
    approved = place.cdl("approve", "tiny-1", "--reason", "the figures are good")
    assert approved.returncode == 0, approved.stderr
    assert place.get("release", "tiny-1")["spec"]["digest"] in approved.stdout
    until(place, "modeldeployment", "release", "tiny-1")
    release = place.get("release", "tiny-1")
    said = release["status"]["approval"]
    assert (said["by"], said["reason"]) == ("vera", "the figures are good")
    assert said["metrics"] == release["spec"]["members"]["evaluation"]["metrics"]
    assert release["spec"]["members"]["git"]["authors"] == ["ada"]


def test_what_is_rejected_while_it_is_served_answers_nobody_any_more(place, tmp_path):
    place.run()
    text = tmp_path / "text.txt"
    text.write_text("prices are rising")
    assert place.cdl("predict", "tiny", text).returncode == 0
    place.edit("resources/experiment.yaml", "maxval: 2.0", "maxval: 1.5")
    place.run()
    told = place.cdl("reject", "tiny-2", "--reason", "worse on the night shift")
    assert told.returncode == 0, told.stderr
    assert "tiny-2 answers" not in told.stdout
    until(place, "modeldeployment", "release", "tiny-1")
    assert "tiny-1" in place.cdl("predict", "tiny", text).stdout
    assert place.cdl("reject", "tiny-1", "--reason", "and so is this").returncode == 0
    until(place, "modeldeployment", "release", "")
    refused = place.cdl("predict", "tiny", text)
    assert refused.returncode != 0
    assert "Traceback" not in refused.stderr
    assert place.cdl("stop").returncode == 0
    again = place.cdl("run", place.project)
    assert again.returncode != 0, "an operator that starts afresh brings nothing back"
    assert "worse on the night shift" in again.stdout
    assert place.cdl("predict", "tiny", text).returncode != 0


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
