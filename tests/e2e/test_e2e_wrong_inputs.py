"""Whatever a person gets wrong is answered in one sentence, and nothing is lost."""

import gzip
import socket
import subprocess

import httpx
import pytest


def refused(place, *sentences, words=()):
    """`cdl run` fails, says why in these words and shows no traceback."""
    answer = place.cdl("run", place.project, *words)
    told = answer.stdout + answer.stderr
    assert answer.returncode != 0, place.story(answer)
    for sentence in sentences:
        assert sentence in told, place.story(answer)
    assert "Traceback" not in told
    return told


def test_an_unknown_field(place):
    place.edit("resources/experiment.yaml", "approval:", "aproval:")
    refused(place, "resources/experiment.yaml: spec.aproval: unknown field")
    assert not (place.home / "processes").exists()


def test_a_wrong_type(place):
    place.edit("resources/datapipeline.yaml", "test: 0.25", "test: much")
    refused(place, "resources/datapipeline.yaml: spec.split.test: found 'much'")


def test_a_missing_data_file(place):
    (place.data / "notes.tar.gz").unlink()
    told = refused(place, "SourceUnusable", "notes.tar.gz")
    assert "CDL_DATA" in told


def test_a_bad_checksum(place):
    place.edit("resources/datapipeline.yaml", "unpack: tar", f"unpack: tar, sha256: {'a' * 64}")
    refused(place, "SourceUnusable", "notes.tar.gz has sha256", "expected " + "a" * 12)


def test_a_truncated_archive_and_then_a_whole_one(place):
    whole = (place.data / "notes.tar.gz").read_bytes()
    (place.data / "notes.tar.gz").write_bytes(whole[: len(whole) // 2])
    refused(place, "SourceUnusable", "notes.tar.gz", "truncated")
    (place.data / "notes.tar.gz").write_bytes(whole)
    place.run()


def test_a_trial_that_raises(place):
    place.edit(
        "model/train.py", "    notes = words.read(", "    raise ValueError('no notes today')\n    notes = words.read("
    )
    refused(place, "RunFailed", "ValueError: no notes today")
    status = place.get("experiment")["status"]
    assert status["trials"]["failed"] == status["trials"]["total"]


def test_a_gate_that_fails_keeps_the_old_model_serving(place):
    place.run()
    url = place.get("modeldeployment")["status"]["url"]
    place.edit("resources/experiment.yaml", "maxval: 2.0", "maxval: 1.5")
    place.edit("model/evaluate.py", "/ len(answers)}, **told", "/ len(answers) / 2}, **told")
    refused(place, "BelowGate", "gate accuracy: found 0.5000, allowed: at least 0.9")
    assert place.get("modeldeployment")["status"]["release"] == "tiny-1"
    answer = httpx.post(url, json={"data": {"ndarray": ["rising"]}})
    assert answer.json()["meta"]["tags"]["release"] == "tiny-1"


def test_an_unknown_model_version_and_a_request_of_the_wrong_shape(place):
    place.run()
    url = place.get("modeldeployment")["status"]["url"]
    answer = httpx.post(url, json={"data": {"ndarray": [[1, 2], [3]]}})
    assert answer.status_code in {400, 422}
    assert "text" in answer.text
    place.edit("resources/modeldeployment.yaml", "policy: LatestApproved", "policy: Pinned, version: 7")
    refused(place, "NoSuchVersion", "model tiny: found no version 7, there are: 1")


def test_a_port_in_use(place):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused(place, f"port {port} (seldon-router) is in use by another program", words=("--port", port))


def test_a_step_that_fails_names_the_file(place):
    place.edit("resources/datapipeline.yaml", "minLength: 5, onFail: reject", "minLength: 5, onFail: fail")
    refused(place, "StepFailed", "short.txt")


def test_a_request_for_what_is_not_there(place):
    assert "kind: found 'models'" in place.cdl("get", "models").stderr
    assert "ModelDeployment x: not found" in place.cdl("predict", "x", "y.txt").stderr
    assert "release x: not found" in place.cdl("approve", "x", "--reason", "good").stderr
    assert "no such folder" in place.cdl("run", "/nowhere").stderr


def test_a_file_that_is_no_sample(place):
    place.run()
    picture = place.data / "picture.bmp"
    picture.write_bytes(gzip.compress(b"no picture"))
    assert "found a .bmp file, allowed: .txt, .json" in place.cdl("predict", "tiny", picture).stderr


@pytest.fixture
def small_disk(tmp_path):
    """A file system of two megabytes, as only root may mount one."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.xfail(f"only root can mount a small disk: {mounted.stderr.decode().strip()}")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def test_a_full_disk_and_then_room(small_disk, place):
    place.home = small_disk / "home"
    place.environment["CDL_HOME"] = str(place.home)
    refused(place, "full")
    place.cdl("stop")
    subprocess.run(["mount", "-o", "remount,size=200m", small_disk], check=True)
    place.run()
    assert place.cdl("stop").returncode == 0


def test_an_experiment_on_data_that_nobody_declared(place):
    (place.project / "resources" / "datapipeline.yaml").unlink()
    refused(place, "WaitingForData", "DataPipeline tiny: there is no such DataPipeline", words=("--timeout", 12))
