"""Who a run is to the data engine: trials and evaluations are told different things, and keep data apart."""

import pytest
import yaml

from cdl.api.meta import Key
from cdl.api.v1alpha1.experiment import Archive
from cdl.engines.determined.config import Identities, experiment_config
from cdl.reconcile.experiment import TrainWish
from cdl.training import TrainingError
from cdl.training.versions import Dataset

OWNER = Key("Experiment", "default", "news")
CODE = Archive(uri="https://example.test/code.tar.gz", sha256="a" * 64)
TOKENS = Identities("canary-of-trials", "canary-of-evaluations")
FILE = Identities(evaluator_file="/vault/evaluator.token")
TOKEN = "CDL_PACHD_TOKEN_FILE"


def sent(identities, **wish):
    given = TrainWish("news", {"searcher": {"name": "single"}}, CODE, "news-train", "c1", **wish)
    return experiment_config(OWNER, "k", given, ("pachd", 30650), {"CDL_CACHE": "/cache"}, identities)


def variables(config):
    return dict(line.split("=", 1) for line in config["environment"]["environment_variables"])


EVALUATION = {"evaluates": "evaluate:evaluate", "checkpoint": "uuid"}


def test_each_shows_its_own_token_and_neither_the_other():
    trial, evaluation = sent(TOKENS), sent(TOKENS, **EVALUATION)
    assert Dataset.of_config(trial).token == TOKENS.trial
    assert Dataset.of_config(evaluation).token == TOKENS.evaluator
    assert TOKENS.evaluator not in yaml.safe_dump(trial)
    assert TOKENS.trial not in yaml.safe_dump(evaluation)


def test_without_identities_no_token_is_sent():
    assert "token" not in sent(Identities())["integrations"]["pachyderm"]["dataset"]
    assert TOKEN not in variables(sent(Identities(), **EVALUATION))


def test_only_an_evaluation_is_told_where_its_token_lies(tmp_path, monkeypatch):
    place = tmp_path / "evaluator.token"
    place.write_text("canary-in-a-file\n")
    identities = Identities(evaluator_file=str(place))
    assert TOKEN not in variables(sent(identities))
    evaluation = sent(identities, **EVALUATION)
    assert variables(evaluation)[TOKEN] == str(place)
    assert "canary" not in yaml.safe_dump(evaluation)
    monkeypatch.setenv(TOKEN, str(place))
    found = Dataset.of_config(evaluation)
    assert found.token == "canary-in-a-file"
    assert "canary" not in repr(found)


def test_a_token_that_cannot_be_read_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv(TOKEN, str(tmp_path / "none"))
    with pytest.raises(TrainingError, match=r"CDL_PACHD_TOKEN_FILE is .*none, which cannot be read: No such file"):
        Dataset.of_config(sent(FILE, **EVALUATION))


def test_what_an_evaluation_fetched_lies_where_no_trial_looks():
    assert variables(sent(FILE))["CDL_CACHE"] == "/cache"
    assert variables(sent(FILE, **EVALUATION))["CDL_CACHE"] == "/cache-evaluation"


def test_identities_that_are_printed_hold_no_token():
    assert "canary" not in repr(TOKENS)
