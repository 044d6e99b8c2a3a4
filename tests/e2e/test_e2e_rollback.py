"""Back to every member of an earlier Release, while the model is asked all the time."""

import threading
import time

import httpx
import pytest

A_SECOND = 50
SECONDS = 6


@pytest.fixture(scope="module")
def two(shared_place):
    """A place with two Releases that differ in code, data and configuration; the second one is served."""
    shared_place.run()
    shared_place.edit("resources/experiment.yaml", "maxval: 2.0", "maxval: 1.5")
    shared_place.edit("serve/serve.py", '"""Read the checkpoint."""', '"""Read the words."""')
    shared_place.write_notes(40)
    shared_place.run()
    assert shared_place.get("modeldeployment")["status"]["release"] == "tiny-2"
    return shared_place


class Customers:
    """Ask the model so many times, so often a second, and keep what it answered."""

    def __init__(self, url):
        self.answers = []
        self._url = url
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._thread.join()

    def _ask(self):
        with httpx.Client(timeout=30) as client:
            for _ in range(A_SECOND * SECONDS):
                begun = time.monotonic()
                self.answers.append(self._once(client))
                time.sleep(max(0.0, 1 / A_SECOND - (time.monotonic() - begun)))

    def _once(self, client):
        try:
            answer = client.post(self._url, json={"data": {"ndarray": ["prices are rising"]}})
        except httpx.HTTPError as error:
            return repr(error)
        return answer.json()["meta"]["tags"]["release"] if answer.status_code == 200 else answer.text


def values_of(member, release):
    return release["spec"]["members"][member]


def test_no_request_fails_while_every_member_goes_back(two):
    url = two.get("modeldeployment")["status"]["url"]
    first, second = (two.get("release", name) for name in ("tiny-1", "tiny-2"))
    with Customers(url) as customers:
        while not customers.answers:
            time.sleep(0.01)
        told = two.cdl("rollback", "tiny", "--reason", "it was better")
    assert told.returncode == 0, two.story(told)
    print(told.stdout.splitlines()[0])
    assert set(customers.answers) == {"tiny-1", "tiny-2"}
    assert customers.answers == sorted(customers.answers, reverse=True), "who went back goes back once"
    status = two.get("modeldeployment")["status"]
    assert (status["release"], status["digest"]) == ("tiny-1", first["spec"]["digest"])
    for member in ("code", "data", "experiment", "checkpoint"):
        assert values_of(member, first) != values_of(member, second)
        assert member in told.stdout
    assert values_of("data", first)["train"]["commit"] in told.stdout
    assert two.get("release", "tiny-1")["status"]["servedBy"] == ["tiny"]
    assert "model: {name: tiny, policy: Pinned, version: 1}" in told.stdout
    assert two.get("modeldeployment")["metadata"]["annotations"]["cdl.dev/rollback-reason"] == "tiny-1: it was better"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("tiny", "--to", 1), "ModelDeployment tiny serves tiny-1 already"),
        (("tiny", "--to", 7), "model tiny: found no version 7, there are: 1, 2"),
        (("tiny", "--to", 1, "--latest"), "--latest and --to exclude each other"),
        (("shop",), "ModelDeployment shop: not found in namespace default, there are: tiny"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_changes_nothing(two, words, sentence):
    before = two.get("modeldeployment")["spec"]
    answer = two.cdl("rollback", *words)
    assert answer.returncode != 0
    assert answer.stderr.strip() == f"Error: {sentence}"
    assert two.get("modeldeployment")["spec"] == before


def test_a_rejected_release_is_not_gone_back_to(two):
    assert two.cdl("reject", "tiny-2", "--reason", "it is worse").returncode == 0
    answer = two.cdl("rollback", "tiny")
    assert answer.returncode != 0
    assert "tiny-2 is not approved (rejected by" in answer.stderr
    approved = two.cdl("approve", "tiny-2", "--reason", "it is not")
    assert approved.returncode == 0, approved.stderr


def test_the_latest_approval_is_followed_again(two):
    told = two.cdl("rollback", "tiny", "--latest")
    assert told.returncode == 0, two.story(told)
    deployment = two.get("modeldeployment")
    assert deployment["spec"]["model"] == {"name": "tiny", "policy": "LatestApproved"}
    assert deployment["status"]["release"] == "tiny-2"
    assert "cdl.dev/rollback-reason" not in deployment["metadata"]["annotations"]


def test_a_rollback_lasts_until_the_project_is_applied_again(two):
    assert two.cdl("rollback", "tiny").returncode == 0
    assert two.get("modeldeployment")["status"]["release"] == "tiny-1"
    two.run()
    assert two.get("modeldeployment")["spec"]["model"] == {"name": "tiny", "policy": "LatestApproved"}
    assert two.get("modeldeployment")["status"]["release"] == "tiny-2"
