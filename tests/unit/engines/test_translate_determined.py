"""Between Determined's types and ours."""

from __future__ import annotations

import inspect
import io
import tarfile
from datetime import UTC, datetime

import pytest
import requests
from determined.common.api import bindings
from determined.common.api import errors as sdk

from cdl.api.conditions import Reason
from cdl.api.meta import Key
from cdl.api.v1alpha1.experiment import Archive
from cdl.api.v1alpha1.warmstart import WarmPolicy
from cdl.engines.determined import code, config, door, translate
from cdl.ports.errors import Conflict, NotPermitted, PortError, Rejected, Unavailable
from cdl.reconcile.experiment import RunPhase, TrainWish
from cdl.reconcile.experiment.start import Start
from cdl.training.warm import WarmStart

OWNER = Key("Experiment", "team", "news")
ARCHIVE = Archive(uri="file:///x.tar.gz", sha256="0" * 64)
ASHA = {"name": "adaptive_asha", "metric": "accuracy", "max_time": 4, "time_metric": "epochs"}


def through(error: BaseException) -> PortError:
    with pytest.raises(PortError) as caught, door.door("doing it"):
        raise error
    assert "\n" not in str(caught.value)
    return caught.value


def answer(status: int) -> requests.Response:
    made = requests.Response()
    made.status_code, made._content = status, b'{"error": {"error": "it is so"}}'
    return made


def test_every_exception_of_the_sdk_has_a_home():
    own = {
        c
        for module in (sdk, bindings)
        for _, c in inspect.getmembers(module, inspect.isclass)
        if issubclass(c, Exception) and c.__module__ == module.__name__
    }
    assert own == door.SAYS_NO.keys()


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, Rejected), (409, Conflict), (413, Rejected), (429, Unavailable), (500, Unavailable), (503, Unavailable)],
)
def test_an_answer_is_judged_by_its_status(status, kind):
    error = through(sdk.APIException(answer(status)))
    assert type(error) is kind
    assert str(error) == "doing it: it is so"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (sdk.MasterNotFoundException("connection refused"), Unavailable),
        (sdk.NotFoundException("experiment 7 not found"), Conflict),
        (sdk.ForbiddenException("no"), NotPermitted),
        (sdk.UnauthenticatedException(), NotPermitted),
        (sdk.InvalidCredentialsException(), NotPermitted),
        (sdk.BadRequestException("odd"), Rejected),
        (requests.exceptions.ChunkedEncodingError("cut off"), Unavailable),
    ],
)
def test_every_error_leaves_as_one_of_ours(error, kind):
    assert type(through(error)) is kind


def test_a_time_out_is_no_bad_request():
    """The SDK makes one of the other."""

    def late():
        try:
            raise requests.exceptions.ReadTimeout
        except requests.exceptions.RequestException as error:
            raise sdk.BadRequestException(str(error)) from None

    with pytest.raises(Unavailable, match="does not answer"), door.door("doing it"):
        late()


def test_every_state_the_sdk_knows_is_translated():
    assert set(translate.PHASE_OF) == set(bindings.experimentv1State)
    assert set(translate.TRIAL_PHASE_OF) == set(bindings.trialv1State)


def wish(given=None, **more) -> TrainWish:
    return TrainWish("news", given or {"entrypoint": "python3 train.py"}, ARCHIVE, "news-train", "c" * 32, **more)


def written(given=None, **more) -> dict:
    return config.experiment_config(OWNER, "k1", wish(given, **more), ("pachd", 30650), {"CDL_CACHE": "/c"})


def test_what_is_missing_is_filled_in():
    made = written()
    assert (made["name"], made["max_restarts"]) == ("news", 1)
    assert made["labels"] == ["cdl", "cdl-owner=team.news", "cdl-key=k1"]
    assert made["integrations"]["pachyderm"] == {
        "pachd": {"host": "pachd", "port": 30650},
        "dataset": {"project": "team", "repo": "news-train", "commit": "c" * 32, "branch": "master"},
    }
    assert made["environment"]["environment_variables"] == [
        "CDL_CACHE=/c",
        "OMP_NUM_THREADS=1",
        "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1",
    ]


def test_what_the_user_wrote_stays():
    given = {
        "name": "mine",
        "max_restarts": 5,
        "labels": ["a"],
        "reproducibility": {"experiment_seed": 7},
        "environment": {"image": "i", "environment_variables": ["OMP_NUM_THREADS=4"]},
        "integrations": {"webhooks": {"exclude": True}},
    }
    made = written(given)
    assert (made["name"], made["max_restarts"], made["labels"][0]) == ("mine", 5, "a")
    assert made["reproducibility"] == {"experiment_seed": 7}
    assert made["environment"]["image"] == "i"
    assert made["environment"]["environment_variables"][0] == "OMP_NUM_THREADS=4"
    assert "OMP_NUM_THREADS=1" not in made["environment"]["environment_variables"]
    assert made["integrations"]["webhooks"] == {"exclude": True}
    assert given["labels"] == ["a"]


def test_variables_by_device_keep_their_shape():
    made = written({"environment": {"environment_variables": {"cuda": ["A=1", "CDL_CACHE=/mine"]}}})
    variables = made["environment"]["environment_variables"]
    assert set(variables) == {"cpu", "cuda", "rocm"}
    assert variables["cuda"][:2] == ["A=1", "CDL_CACHE=/mine"]
    assert "CDL_CACHE=/c" not in variables["cuda"]


def test_same_key_same_chance():
    assert config.seed("k1") == config.seed("k1") != config.seed("k2")
    assert 0 <= config.seed("k1") < 2**31


def test_an_evaluation_is_one_trial_of_our_program():
    made = written({"environment": {"image": "i"}}, evaluates="evaluate:evaluate", checkpoint="u-1")
    assert made["entrypoint"][-4:] == ["--entrypoint", "evaluate:evaluate", "--checkpoint", "u-1"]
    assert (made["searcher"]["name"], made["max_restarts"]) == ("single", 1)
    assert "cdl-role=evaluation" in made["labels"]


def test_a_key_that_somebody_took_away_is_empty():
    assert config.key_of(["cdl-owner=team.news", "other"]) == ""
    assert config.key_of(None) == ""


def validation(**metrics) -> bindings.v1MetricsWorkload:
    return bindings.v1MetricsWorkload(metrics=bindings.v1Metrics(avgMetrics=metrics), numInputs=0, totalBatches=1)


def trial(state=bindings.trialv1State.COMPLETED, best=None, latest=None) -> bindings.trialv1Trial:
    return bindings.trialv1Trial(
        experimentId=1,
        hparams={"lr": 0.1},
        id=3,
        restarts=0,
        startTime="2026-01-01T00:00:00Z",
        endTime="2026-01-01T00:01:00Z",
        state=state,
        totalBatchesProcessed=40,
        bestValidation=best,
        latestValidation=latest,
    )


def allocation(start: str, end: str | None) -> bindings.v1Allocation:
    return bindings.v1Allocation(
        allocationId="a", taskId="t", state=bindings.taskv1State.RUNNING, slots=2, startTime=start, endTime=end
    )


def test_a_trial_has_its_best_metric_and_the_times_of_its_processes():
    begun = [allocation("2026-01-01T00:00:20.5Z", None)]
    found = translate.trial_status(trial(best=validation(accuracy=0.9)), ASHA, begun)
    assert (found.id, found.state, found.metric, found.steps) == (3, "Succeeded", 0.9, 40)
    assert found.started_at == datetime(2026, 1, 1, 0, 0, 20, 500_000, UTC)
    assert found.finished_at == datetime(2026, 1, 1, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("epochs", "searcher", "stopped"),
    [(2, ASHA, True), (4, ASHA, False), (2, {"metric": "accuracy"}, False), ("NaN", ASHA, False)],
)
def test_stopped_early_is_said_of_who_did_not_reach_the_end_of_a_search(epochs, searcher, stopped):
    assert translate.trial_status(trial(latest=validation(epochs=epochs)), searcher, []).stopped_early is stopped


def test_a_running_trial_was_not_stopped():
    running = trial(bindings.trialv1State.RUNNING, latest=validation(epochs=1))
    found = translate.trial_status(running, ASHA, [])
    assert (found.stopped_early, found.finished_at) == (False, None)


@pytest.mark.parametrize("odd", ["NaN", "Infinity", None, True, [1]])
def test_what_is_no_number_is_no_metric(odd):
    assert translate.trial_status(trial(best=validation(accuracy=odd)), ASHA, []).metric is None


def test_slots_are_held_until_their_process_is_gone():
    held = [allocation("2026-01-01T00:00:00Z", "2026-01-01T00:00:10Z"), allocation("2026-01-01T00:01:00Z", None)]
    now = datetime(2026, 1, 1, 0, 1, 5, tzinfo=UTC)
    assert translate.slot_seconds(held, now) == 30


def checkpoint(storage, metric=0.9) -> bindings.v1Checkpoint:
    training = bindings.v1CheckpointTrainingMetadata(
        trialId=3, experimentConfig={"checkpoint_storage": storage}, hparams={"lr": 0.1}, searcherMetric=metric
    )
    return bindings.v1Checkpoint(
        uuid="u", metadata={}, resources={}, state=bindings.checkpointv1State.COMPLETED, training=training
    )


@pytest.mark.parametrize(
    ("storage", "uri"),
    [
        ({"type": "directory", "container_path": "/ck/"}, "file:///ck/u"),
        ({"type": "shared_fs", "host_path": "/host", "storage_path": "in"}, "file:///host/in/u"),
        ({"type": "shared_fs", "host_path": "/host", "storage_path": "/host/in"}, "file:///host/in/u"),
        ({"type": "shared_fs", "host_path": "/host"}, "file:///host/u"),
        ({"type": "s3", "bucket": "b", "prefix": "/p/q"}, "s3://b/p/q/u"),
        ({"type": "s3", "bucket": "b"}, "s3://b/u"),
    ],
)
def test_a_checkpoint_lies_where_its_storage_says(storage, uri):
    assert translate.checkpoint_seen(checkpoint(storage)).uri == uri


def test_a_checkpoint_without_the_metric_does_not_count():
    assert translate.checkpoint_seen(checkpoint({}, metric=None)) is None


def test_a_measurement_leaves_out_what_is_no_number():
    found = translate.measurement_of(
        {
            "metrics": {"accuracy": 0.9, "odd": "NaN"},
            "perClass": {"sport": {"f1": 1, "note": "x"}},
            "checkpoint": {"uuid": "u", "files": {"w": "sha256:aa"}},
            "environment": {"python": "3.11"},
        }
    )
    assert found.metrics == {"accuracy": 0.9}
    assert found.per_class == {"sport": {"f1": 1.0}}
    assert (found.files, found.environment) == ({"w": "sha256:aa"}, {"python": "3.11"})


LOG = [
    "[rank=0] Traceback (most recent call last):\n",
    '[rank=0]   File "train.py", line 3, in <module>\n',
    "[rank=0] ValueError: the learning rate is a banana\n",
    "\n",
    "crashed with exit code 1\n",
]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (LOG, "ValueError: the learning rate is a banana"),
        (["torch.cuda.OutOfMemoryError: no memory", "bye"], "torch.cuda.OutOfMemoryError: no memory"),
        (
            [*LOG[:2], "some.CheckpointNotFound: it is gone", "INFO: master: given up"],
            "some.CheckpointNotFound: it is gone",
        ),
        (["KeyboardInterrupt", "resources failed"], "KeyboardInterrupt"),
        (["one", "two", " "], "two"),
        (["x" * 900], "x" * translate.WORDS),
        ([], ""),
    ],
)
def test_the_last_words_are_the_exceptions(lines, words):
    assert translate.last_words(lines) == words


def packed(path, *members: tarfile.TarInfo | tuple[str, bytes]):
    with tarfile.open(path, "w:gz") as out:
        for member in members:
            if isinstance(member, tuple):
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                out.addfile(info, io.BytesIO(member[1]))
            else:
                out.addfile(member)
    return path


def test_folders_come_before_their_files(tmp_path):
    found = code.model_definition(packed(tmp_path / "c", ("a/b/c.py", b"x"), ("a/d.py", b"y")), "c")
    assert [(f.path, f.type) for f in found] == [("a", 53), ("a/b", 53), ("a/b/c.py", 48), ("a/d.py", 48)]
    assert found[2].content == "eA=="


def _link(name: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
    return info


@pytest.mark.parametrize("member", [("../x", b""), ("/x", b""), _link("x")], ids=["outside", "absolute", "link"])
def test_an_archive_that_reaches_outside_is_refused(tmp_path, member):
    with pytest.raises(Rejected, match=r"^code archive uri: holds"):
        code.model_definition(packed(tmp_path / "c", member), "uri")


def test_a_broken_archive_is_one_sentence(tmp_path):
    (tmp_path / "c").write_bytes(b"no archive")
    with pytest.raises(Rejected, match=r"^code archive uri: cannot be unpacked") as caught:
        code.model_definition(tmp_path / "c", "uri")
    assert caught.value.reason is Reason.INVALID_SPEC


def test_gone_is_what_somebody_deletes():
    assert {translate.PHASE_OF[s] for s in translate.GONE} == {RunPhase.CANCELED}


def test_a_namespaces_model_has_its_name_in_front_in_the_one_registry():
    assert config.registered_name("default", "news") == "news"
    assert config.registered_name("team", "news") == "team.news"


START = Start(WarmPolicy.FREEZE, "ckpt-2", "sha256:2", "base-2", ("conv*",))


def test_a_warm_start_is_determineds_own_and_tells_the_code_what_to_freeze():
    given = {
        "entrypoint": "python3 train.py",
        "searcher": {"name": "single", "metric": "accuracy"},
        "data": {"path": "x", "cdl": {"other": 1}},
    }
    sent = written(given, start=START)
    assert sent["searcher"] == {"name": "single", "metric": "accuracy", "source_checkpoint_uuid": "ckpt-2"}
    assert sent["data"] == {"path": "x", "cdl": {"other": 1, "warmStart": START.plain()}}
    assert "source_checkpoint_uuid" not in given["searcher"]
    assert WarmStart.of_data(sent["data"]) == WarmStart("freeze", "ckpt-2", "sha256:2", "base-2", ("conv*",))


def test_an_evaluation_begins_with_no_other_weights():
    sent = written(evaluates="e:e", checkpoint="c", start=START)
    assert "source_checkpoint_uuid" not in sent["searcher"]
    assert "data" not in sent
