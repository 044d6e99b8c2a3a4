"""Config expansion: a real master's defaults, and refusals of one sentence."""

import pytest

from cdl.embedded.determined.config import Site, expand, parse, variables
from cdl.embedded.determined.errors import ApiError
from cdl.embedded.determined.fields import Tree, section

SITE = Site({"type": "directory", "container_path": "/data/checkpoints"}, 1234, "Experiment (x)")
SMALLEST = "{entrypoint: model_def:Trial, searcher: {name: single, metric: loss}}"


def full(written: str) -> Tree:
    return expand(parse(written), SITE)


def test_the_smallest_config_becomes_complete() -> None:
    found = full(SMALLEST)
    assert found["name"] == "Experiment (x)"
    assert found["max_restarts"] == 5
    assert found["scheduling_unit"] == 100
    assert found["reproducibility"] == {"experiment_seed": 1234}
    assert section(found, "optimizations")["aggregation_frequency"] == 1
    assert section(found, "searcher")["smaller_is_better"] is True
    assert found["min_validation_period"] == {"batches": 0}
    assert found["checkpoint_storage"] == {
        "type": "directory",
        "container_path": "/data/checkpoints",
        "save_experiment_best": 0,
        "save_trial_best": 1,
        "save_trial_latest": 1,
    }


def test_what_is_written_wins() -> None:
    found = full(
        "{entrypoint: [python3, t.py], name: mine, max_restarts: 0, labels: [b, a, b],"
        " searcher: {name: adaptive_asha, metric: acc, smaller_is_better: false, max_trials: 4,"
        " max_time: 8, time_metric: epochs}, resources: {slots_per_trial: 2},"
        " data: {url: x}, integrations: {pachyderm: {dataset: {commit: c1}}}}"
    )
    assert found["labels"] == ["a", "b"]
    assert section(found, "searcher")["divisor"] == 4
    assert section(found, "searcher")["smaller_is_better"] is False
    assert section(found, "resources")["slots_per_trial"] == 2
    assert section(found, "integrations", "pachyderm", "dataset") == {"commit": "c1"}


def test_environment_variables_reach_a_cpu_task() -> None:
    found = full(SMALLEST[:-1] + ", environment: {environment_variables: [A=1=2, B]}}")
    assert variables(found) == {"A": "1=2", "B": ""}
    found = full(SMALLEST[:-1] + ", environment: {environment_variables: {cpu: [A=1], cuda: [C=3]}}}")
    assert variables(found) == {"A": "1"}


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("{type: shared_fs, host_path: /srv}", "/srv"),
        ("{type: shared_fs, host_path: /srv, storage_path: a/b}", "/srv/a/b"),
        ("{type: shared_fs, host_path: /srv, storage_path: /srv/c}", "/srv/c"),
    ],
)
def test_shared_fs_becomes_its_directory(written: str, path: str) -> None:
    found = section(full(SMALLEST[:-1] + f", checkpoint_storage: {written}}}"), "checkpoint_storage")
    assert (found["type"], found["container_path"]) == ("directory", path)


def test_s3_passes_untouched() -> None:
    storage = "{type: s3, bucket: b, endpoint_url: 'http://x', save_trial_best: 3}"
    found = section(full(SMALLEST[:-1] + f", checkpoint_storage: {storage}}}"), "checkpoint_storage")
    assert found["bucket"] == "b"
    assert (found["save_trial_best"], found["save_trial_latest"]) == (3, 1)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("a: b: c", "not YAML"),
        (SMALLEST[:-1] + ", data: {since: 2020-01-01}}", "not JSON: Object of type date"),
        (SMALLEST[:-1] + ", data: {clip: .inf}}", "not JSON: Out of range float"),
        ("[]", "<config> must be an object"),
        ("{learning_rate: 1, searcher: {name: single, metric: m}}", "property 'learning_rate' is not"),
        ("{entrypoint: a, searcher: {name: single, metric: m, budget: 1}}", "property 'budget' is not"),
        ("{entrypoint: a, searcher: {name: pbt, metric: m}}", "'pbt' is no longer supported"),
        ("{entrypoint: a, searcher: {name: adaptive, metric: m}}", "'adaptive' is no longer supported"),
        ("{entrypoint: a, searcher: {name: bayes, metric: m}}", "must be one of single, random"),
        ("{entrypoint: a, searcher: {name: single}}", "metric: is required by the single searcher"),
        ("{entrypoint: a, searcher: {name: random, metric: m}}", "max_trials: is required"),
        (
            "{entrypoint: a, searcher: {name: adaptive_asha, metric: m, max_trials: 4}}",
            "max_time: is required by the adaptive_asha searcher",
        ),
        (
            "{entrypoint: a, searcher: {name: random, metric: m, max_trials: 0}}",
            "max_trials: must be an integer of at least 1, found 0",
        ),
        ("{searcher: {name: single, metric: m}}", "entrypoint: is required"),
        ("{entrypoint: 3, searcher: {name: single, metric: m}}", "must be a string or a list"),
        ("{entrypoint: a}", "searcher.name: is required"),
        (SMALLEST[:-1] + ", resources: {slots: 2}}", "use resources.slots_per_trial"),
        (SMALLEST[:-1] + ", workspace: w}", "must be given together"),
        (SMALLEST[:-1] + ", max_restarts: many}", "must be an integer of at least 0, found 'many'"),
        (SMALLEST[:-1] + ", min_validation_period: {hours: 1}}", "one of batches, epochs, records"),
        (SMALLEST[:-1] + ", checkpoint_policy: some}", "must be one of best, all, none"),
        (
            (
                "{entrypoint: a, searcher: {name: grid, metric: m},"
                " hyperparameters: {lr: {type: double, minval: 0, maxval: 1}}}"
            ),
            "hyperparameters.lr: grid search is in use but count was not provided",
        ),
    ],
)
def test_wrong_configs_are_refused_in_one_sentence(written: str, said: str) -> None:
    with pytest.raises(ApiError) as caught:
        full(written)
    assert said in caught.value.message
    assert "\n" not in caught.value.message
