"""What a template adds to a config, and what a search would do at most."""

import pytest

from cdl.embedded.determined import previews
from cdl.embedded.determined.config import Site, expand, parse
from cdl.embedded.determined.errors import ApiError
from cdl.embedded.determined.fields import Tree
from cdl.embedded.determined.templates import merged

SITE = Site({"type": "directory", "container_path": "/nowhere"}, 7, "named")


@pytest.mark.parametrize(
    ("config", "template", "result"),
    [
        ({"max_restarts": 1}, {"max_restarts": 2, "name": "t"}, {"max_restarts": 1, "name": "t"}),
        ({"name": None}, {"name": "t"}, {"name": "t"}),
        ({"labels": ["a"]}, {"labels": ["b", "a"]}, {"labels": ["a", "b"]}),
        ({"resources": {"weight": 2}}, {"resources": {"priority": 3}}, {"resources": {"weight": 2, "priority": 3}}),
        ({"entrypoint": ["a"]}, {"entrypoint": ["b", "c"]}, {"entrypoint": ["a"]}),
        (
            {"bind_mounts": [{"host_path": "/a", "container_path": "/x"}]},
            {"bind_mounts": [{"host_path": "/b", "container_path": "/x"}, {"container_path": "/y"}]},
            {"bind_mounts": [{"host_path": "/a", "container_path": "/x"}, {"container_path": "/y"}]},
        ),
        (
            {"hyperparameters": {"lr": {"type": "const", "val": 1}, "net": {"depth": 2}}},
            {"hyperparameters": {"lr": {"type": "int", "minval": 1, "maxval": 2}, "net": {"width": 3}, "b": 4}},
            {"hyperparameters": {"lr": {"type": "const", "val": 1}, "net": {"depth": 2, "width": 3}, "b": 4}},
        ),
        (
            {"searcher": {"name": "single"}},
            {"searcher": {"name": "random", "metric": "loss", "max_trials": 3}},
            {"searcher": {"name": "single", "metric": "loss"}},
        ),
        (
            {"checkpoint_storage": {"type": "s3", "bucket": "b"}},
            {"checkpoint_storage": {"type": "directory", "container_path": "/x", "save_trial_best": 3}},
            {"checkpoint_storage": {"type": "s3", "bucket": "b", "save_trial_best": 3}},
        ),
    ],
)
def test_the_config_wins_over_its_template(config: Tree, template: Tree, result: Tree) -> None:
    assert merged(config, template) == result


def test_variables_of_the_config_come_last() -> None:
    config = {"environment": {"environment_variables": ["A=mine"]}}
    template = {"environment": {"environment_variables": {"cpu": ["A=theirs", "B=1"]}}}
    found = merged(config, template)["environment"]["environment_variables"]
    assert found["cpu"] == ["A=theirs", "B=1", "A=mine"]
    assert found["cuda"] == ["A=mine"]


@pytest.mark.parametrize(
    ("searcher", "counts"),
    [
        ({"name": "single"}, [(1, None)]),
        ({"name": "random", "max_trials": 7}, [(7, None)]),
        (
            {"name": "adaptive_asha", "max_trials": 20, "divisor": 3, "max_time": 27, "max_concurrent_trials": 4},
            [(10, 3), (7, 9), (3, 27)],
        ),
        (
            {"name": "async_halving", "num_rungs": 3, "max_trials": 9, "divisor": 3, "max_time": 9},
            [(6, 1), (2, 3), (1, 9)],
        ),
    ],
)
def test_a_preview_counts_who_trains_for_how_long(searcher: Tree, counts: list) -> None:
    timed = {"time_metric": "epochs"} if "max_time" in searcher else {}
    full = expand({"entrypoint": "x", "searcher": {"metric": "loss", **searcher, **timed}}, SITE)
    assert [(each["count"], each["unit"].get("value")) for each in previews.of(full)] == counts


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{', '.join([f'*{chr(97 + i)}'] * 10)}]\n" for i in range(8)
)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (BOMB, "more than 100000 values"),
        ("a: &a [*a]", "contains itself"),
        ("a: " + "[" * 3000 + "]" * 3000, "nested too deeply"),
        ("a: .nan", "not JSON"),
        ("a: 2024-99-99", "not YAML"),
        ("a: !!python/object/apply:os.system [id]", "not YAML"),
        ("a: [", "not YAML"),
        ("just text", "must be an object"),
        ("a: " + "9" * 5000, "invalid experiment configuration"),
    ],
)
def test_hostile_yaml_is_refused_in_a_sentence(written: str, said: str) -> None:
    with pytest.raises(ApiError, match=said) as caught:
        parse(written)
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 500
