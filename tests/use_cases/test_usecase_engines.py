"""The customers on the embedded engines: raw files in, a checkpoint and its evaluation out, over the real SDKs."""

import json
import subprocess
import sys
import tarfile
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
import yaml

with warnings.catch_warnings():
    # Importing Determined's own client warns about Determined's own retired names.
    warnings.simplefilter("ignore", FutureWarning)
    from determined.common.api import bindings
    from determined.experimental import client as det

from cdl.training import Dataset, TrainingError
from cdl.training.data import fetch_version

from .conftest import USE_CASES
from .engines import ingest, pachd, server, step, until

pytestmark = [
    pytest.mark.timeout(240),
    # The SDK's own habits: it drops sessions, warns about the empty password of a fresh master, uses retired names.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore:GitWildMatchPattern:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with pachd(tmp_path_factory.mktemp("engines") / "pachd") as running:
        yield running


@pytest.fixture(scope="module")
def master(tmp_path_factory):
    folder = tmp_path_factory.mktemp("engines")
    with server("determined", folder / "determined", "--slots", "2") as port:
        yield det.Determined(f"http://127.0.0.1:{port}", user="determined", password="")


@pytest.fixture(scope="module")
def fashion_sides(store, look_alike):
    """Fashion-MNIST's look-alike, validated by its step; the dataset block of each side."""
    client, port = store
    sides = {}
    for prefix, side in {"train": "train", "t10k": "test"}.items():
        raw = {path.name: path.read_bytes() for path in look_alike("fashion_mnist").glob(f"{prefix}-*")}
        ingest(client, f"fashion-{side}", raw)
        job = step(client, f"fashion-validate-{side}", f"fashion-{side}", "idx/validate", glob="/")
        assert job.reason == ""
        sides[side] = dataset(port, f"fashion-validate-{side}", job.output_commit.id)
    return sides


@pytest.fixture(scope="module")
def news_side(store, look_alike):
    """The news look-alike after both steps; trained on and evaluated alike, for what is shown here is the way."""
    client, port = store
    with tarfile.open(look_alike("bbc_news") / "bbc-fulltext.tar.gz") as archive:
        raw = {entry.name.removeprefix("bbc/"): archive.extractfile(entry).read() for entry in archive}
    ingest(client, "news", raw)
    step(client, "news-clean", "news", "text/clean")
    checks = yaml.safe_load((USE_CASES / "bbc_news/resources/datapipeline.yaml").read_text())["spec"]["checks"]
    job = step(client, "news-validate", "news-clean", "checks", CDL_CHECKS=json.dumps(checks))
    assert job.reason == ""
    return dataset(port, "news-validate", job.output_commit.id)


def dataset(port, repo, commit):
    return {
        "pachd": {"host": "127.0.0.1", "port": port},
        "dataset": {"project": "default", "repo": repo, "commit": commit, "branch": "master"},
    }


def version(block):
    return Dataset.of_config({"integrations": {"pachyderm": block}})


def config(case, block, cache, **changes):
    made = yaml.safe_load((USE_CASES / case / "model/const.yaml").read_text())
    made["integrations"] = {"pachyderm": block}
    made["environment"] = {"environment_variables": [f"CDL_CACHE={cache}", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1"]}
    # The look-alikes are so easy that accuracies tie, and of equals anyone may be kept; losses differ.
    made["searcher"] |= {"metric": "loss", "smaller_is_better": True}
    made["max_restarts"] = 0
    made["hyperparameters"] |= changes.pop("hyperparameters", {})
    return made | changes


def evaluation(case, block, cache, checkpoint, entrypoint="evaluate:evaluate"):
    command = f"python3 -m cdl.training.evaluate --entrypoint {entrypoint} --checkpoint {checkpoint}"
    return config(case, block, cache, entrypoint=command)


def run(master, case, made):
    experiment = master.create_experiment(made, USE_CASES / case / "model")
    until(lambda: experiment.reload() or experiment.state in TERMINAL, 120)
    return experiment


TERMINAL = {det.ExperimentState.COMPLETED, det.ExperimentState.ERROR, det.ExperimentState.CANCELED}


def log_of(experiment):
    return "".join(experiment.list_trials()[0].iter_logs())


def best(experiment):
    (found,) = experiment.list_checkpoints(max_results=1)
    return found


def measured(experiment):
    (report,) = experiment.list_trials()[0].iter_metrics("evaluation")
    return report.metrics


def test_news_go_from_raw_files_to_an_evaluation(master, news_side, tmp_path):
    hparams = {"epochs": 2, "learning_rate": 0.003, "hidden1": 32, "global_batch_size": 32}
    trained = run(master, "bbc_news", config("bbc_news", news_side, tmp_path, hyperparameters=hparams))
    assert trained.state == det.ExperimentState.COMPLETED, log_of(trained)
    judged = run(master, "bbc_news", evaluation("bbc_news", news_side, tmp_path, best(trained).uuid))
    assert judged.state == det.ExperimentState.COMPLETED, log_of(judged)
    document = measured(judged)
    assert document["n"] == 600  # 601 articles, one too short; the README was refused
    assert document["metrics"]["accuracy"] > 0.95
    reported = judged.list_trials()[0].summary_metrics["validation_metrics"]["accuracy"]["last"]
    assert reported == document["metrics"]["accuracy"]


def test_a_second_trial_loads_what_the_first_made_of_the_news(master, news_side, tmp_path):
    hparams = {"epochs": 1, "learning_rate": 0.003, "hidden1": 32, "global_batch_size": 32}
    first, second = (
        run(master, "bbc_news", config("bbc_news", news_side, tmp_path, hyperparameters=hparams | {"dropout": dropout}))
        for dropout in (0.1, 0.2)
    )
    assert [trial.state for trial in (first, second)] == [det.ExperimentState.COMPLETED] * 2, log_of(second)
    named = f"prepare.counted of default/news-validate/{news_side['dataset']['commit']}"
    assert f"{named}: computed in " in log_of(first)
    assert f"{named}: loaded instead of computing it: " in log_of(second)


def test_a_paused_keras_trial_goes_on_where_it_stopped(master, fashion_sides, tmp_path):
    hparams = {"epochs": 30, "dense1": 16, "learning_rate": 0.002}
    made = config("fashion_mnist", fashion_sides["train"], tmp_path, hyperparameters=hparams)
    experiment = master.create_experiment(made, USE_CASES / "fashion_mnist/model")
    trial = until(experiment.list_trials, 30)[0]
    until(lambda: len(list(trial.iter_metrics("validation"))) >= 2, 60)
    experiment.pause()
    until(lambda: runs_ended(master, trial) == 1, 30)
    assert experiment.reload() or experiment.state == det.ExperimentState.PAUSED
    experiment.activate()
    until(lambda: experiment.reload() or experiment.state in TERMINAL, 120)

    assert experiment.state == det.ExperimentState.COMPLETED, log_of(experiment)
    epochs = [int(report.metrics["epochs"]) for report in trial.iter_metrics("validation")]
    assert runs_ended(master, trial) == 2
    assert epochs == list(range(1, 31))  # none twice, none left out
    batches = [report.steps_completed for report in trial.iter_metrics("validation")]
    assert batches == [32 * epoch for epoch in epochs]
    assert best(experiment).training.validation_metrics["avgMetrics"]["accuracy"] > 0.86


def runs_ended(master, trial):
    seen = bindings.get_GetTrial(master._session, trialId=trial.id).trial
    task = bindings.get_GetTask(master._session, taskId=seen.taskId).task
    return sum(1 for allocation in task.allocations if allocation.endTime)


@pytest.fixture(scope="module")
def fashion_checkpoint(master, fashion_sides, tmp_path_factory):
    made = config(
        "fashion_mnist", fashion_sides["train"], tmp_path_factory.mktemp("cache"), hyperparameters={"epochs": 2}
    )
    trained = run(master, "fashion_mnist", made)
    assert trained.state == det.ExperimentState.COMPLETED, log_of(trained)
    return best(trained)


def test_clothes_are_evaluated_on_the_other_side(master, fashion_sides, fashion_checkpoint, tmp_path):
    assert {"model.weights.h5", "network.json", "trial.json", "metadata.json"} <= set(fashion_checkpoint.resources)
    judged = run(
        master, "fashion_mnist", evaluation("fashion_mnist", fashion_sides["test"], tmp_path, fashion_checkpoint.uuid)
    )
    assert judged.state == det.ExperimentState.COMPLETED, log_of(judged)
    document = measured(judged)
    assert document["n"] == 400
    assert document["metrics"]["accuracy"] > 0.86
    assert len(document["confusion"]) == len(document["perClass"]) == 10


def test_an_evaluation_that_raises_leaves_its_traceback_in_the_log(master, news_side, fashion_checkpoint, tmp_path):
    # Clothes are looked for among the news: the customer's own complaint is what the log must show.
    judged = run(master, "fashion_mnist", evaluation("fashion_mnist", news_side, tmp_path, fashion_checkpoint.uuid))
    assert judged.state == det.ExperimentState.ERROR
    log = log_of(judged)
    assert "Traceback (most recent call last)" in log
    assert "exactly one is needed" in log


def test_an_entrypoint_that_does_not_exist_is_one_sentence(master, fashion_sides, fashion_checkpoint, tmp_path):
    made = evaluation("fashion_mnist", fashion_sides["test"], tmp_path, fashion_checkpoint.uuid, "judge:evaluate")
    judged = run(master, "fashion_mnist", made)
    assert judged.state == det.ExperimentState.ERROR
    log = log_of(judged)
    assert "--entrypoint judge:evaluate: there is no module judge in the model folder" in log
    assert "Traceback" not in log


def test_a_broken_archive_stops_the_job_with_the_sentence_in_its_log(store, look_alike):
    client, _ = store
    whole = (look_alike("fashion_mnist") / "train-images-idx3-ubyte.gz").read_bytes()
    ingest(client, "fashion-broken", {"train-images-idx3-ubyte.gz": whole[:1000]})
    job = step(client, "fashion-broken-validate", "fashion-broken", "idx/validate", glob="/")
    assert job.state == 4  # JOB_FAILURE
    said = "".join(line.message for line in client.pps.get_logs(job=job.job))
    assert "train-images-idx3-ubyte.gz: truncated gzip: the file ends before its data does (1000 bytes)" in said


def test_a_version_is_fetched_once_for_all_who_ask_at_the_same_time(news_side, tmp_path):
    with ThreadPoolExecutor(4) as trials:
        folders = list(trials.map(lambda _: fetch_version(version(news_side), tmp_path), range(4)))
    assert len(set(folders)) == 1
    files = sorted(path.relative_to(folders[0]).as_posix() for path in folders[0].rglob("*.txt"))
    assert len(files) == 600
    assert not list(folders[0].glob("_*"))  # reports stay behind
    assert "\ufffd" in (folders[0] / "sport/001.txt").read_text(encoding="utf-8")
    kept = sorted(path.name for path in folders[0].parent.iterdir())
    assert kept == [folders[0].name, f"{folders[0].name}.json", f"{folders[0].name}.lock"]


def test_a_commit_nobody_made_is_named(store, tmp_path):
    block = dataset(store[1], "news-validate", "0" * 32)
    with pytest.raises(TrainingError, match="cannot fetch dataset version default/news-validate@0000"):
        fetch_version(version(block), tmp_path)


def test_a_disk_that_takes_no_more_is_a_sentence_and_leaves_nothing_half_done(news_side, tmp_path):
    ask = f"from cdl.training.data import *; fetch_version({version(news_side)!r}, Path({str(tmp_path)!r}))"
    shell = 'ulimit -f 0; exec "$0" -B -c "$1"'  # no file may grow beyond nothing
    done = subprocess.run(
        ["sh", "-c", shell, sys.executable, ask], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith(f"below {tmp_path}/default/news-validate: File too large")
    assert [path.suffix for path in (tmp_path / "default/news-validate").iterdir()] == [".lock"]
