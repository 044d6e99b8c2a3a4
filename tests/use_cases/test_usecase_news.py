"""BBC news: the thesis's network, a vocabulary of the training texts, and a server that answers as the trial would."""

import tarfile

import numpy as np
import pytest
import torch
from determined import pytorch

from .conftest import USE_CASES

# Determined 0.38.1 uses a name that pathspec has retired.
pytestmark = pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")

HPARAMS = {"learning_rate": 0.003, "hidden1": 32, "dropout": 0.2, "global_batch_size": 32, "epochs": 2}


@pytest.fixture
def news(open_case):
    return open_case("bbc_news")


@pytest.fixture
def texts(look_alike, tmp_path):
    """The look-alike's texts, as a dataset version's folder."""
    with tarfile.open(look_alike("bbc_news") / "bbc-fulltext.tar.gz") as archive:
        archive.extractall(tmp_path / "raw", filter="data")
    return tmp_path / "raw" / "bbc"


def test_the_network_has_the_thesis_size(news):
    network = news.module("network").Network(stems=9474, hidden1=256, dropout=0.3, classes=5)
    assert sum(parameter.numel() for parameter in network.parameters()) == 2_467_589


def test_words_become_porter_stems(news):
    assert news.module("transform").stems_of("The RUNNERS ran, running 5 relays in 2004.") == [
        "the", "runner", "ran", "run", "relay", "in", "2004",
    ]  # fmt: skip


def test_the_vocabulary_keeps_what_is_neither_rare_nor_everywhere(news):
    texts = ["common apple", "common apple pear", "common pear plum", "common fig"]
    assert news.module("transform").Vocabulary.of_texts(texts).stems == ("appl", "pear")


def test_the_vocabulary_does_not_depend_on_the_order_of_the_texts(news, texts):
    made = news.module("transform").Vocabulary.of_texts
    found = news.module("articles").read(texts).texts
    assert made(found).stems == made(found[::-1]).stems
    assert len(made(found)) > 50


def test_counts_leave_unknown_words_out(news):
    vocabulary = news.module("transform").Vocabulary(["appl", "pear"])
    table = vocabulary.counts(["Apples, apples and a pear", "nothing known"])
    assert table.dtype == np.float32
    assert table.tolist() == [[2, 1], [0, 0]]


def test_a_vocabulary_survives_the_checkpoint(news, tmp_path):
    module = news.module("transform")
    module.Vocabulary(["über", "zwei"]).save(tmp_path)
    assert module.Vocabulary.load(tmp_path).stems == ("über", "zwei")


def test_equal_texts_are_validated_together(news, texts):
    articles = news.module("articles")
    (texts / "tech/900.txt").write_bytes((texts / "tech/001.txt").read_bytes())
    training, validation = articles.read(texts).split()
    assert not set(training.texts) & set(validation.texts)
    share = len(validation.texts) / (len(training.texts) + len(validation.texts))
    assert 0.12 < share < 0.28


def test_a_folder_that_is_no_class_is_named(news, tmp_path):
    (tmp_path / "cooking").mkdir()
    (tmp_path / "cooking/1.txt").write_text("x")
    with pytest.raises(ValueError, match=r"cooking/1.txt: class cooking is unknown, allowed are tech"):
        news.module("articles").read(tmp_path, ["tech"])


@pytest.fixture
def trained(news, texts, tmp_path, monkeypatch):
    """Train on the look-alike off the cluster, through Determined's own trainer; the checkpoint and the trial."""
    monkeypatch.setenv("CDL_DATASET", str(texts))
    monkeypatch.setenv("CDL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))
    (tmp_path / "code").mkdir()
    monkeypatch.chdir(tmp_path / "code")  # off the cluster Determined copies the working folder into every checkpoint
    torch.manual_seed(0)
    with pytorch.init(hparams=HPARAMS, enable_tensorboard_logging=False) as context:
        trial = news.module("model_def").NewsTrial(context)
        pytorch.Trainer(trial, context).fit(
            max_length=pytorch.Epoch(2), validation_period=pytorch.Epoch(1), checkpoint_policy="all"
        )
    found = (tmp_path / "home").rglob("network.pt")
    return max(found, key=lambda path: path.stat().st_mtime_ns).parent, trial


def test_the_server_answers_what_the_trial_says_offline(news, texts, trained):
    folder, trial = trained
    served = news.module("serve").NewsModel(model_uri=f"file://{folder}")
    served.load()
    samples = news.module("articles").read(texts).texts[::6][:100]
    assert len(samples) == 100

    trial.model.eval()
    with torch.no_grad():
        scores = trial.model(torch.from_numpy(trial._data.vocabulary.counts(samples)))
    offline = torch.softmax(scores, dim=1).numpy()

    np.testing.assert_allclose(served.predict(samples, []), offline, atol=1e-6)
    np.testing.assert_allclose(served.predict(np.array(samples, dtype=object).reshape(-1, 1)), offline, atol=1e-6)
    np.testing.assert_allclose(served.predict([text.encode() for text in samples]), offline, atol=1e-6)
    assert served.class_names() == ["business", "entertainment", "politics", "sport", "tech"]


def test_the_evaluation_counts_every_article(news, texts, trained):
    document = news.module("evaluate").evaluate(trained[0], texts)
    confusion = np.array(document["confusion"])
    assert document["n"] == confusion.sum() == 601
    assert document["metrics"]["accuracy"] == pytest.approx(confusion.trace() / 601)
    assert (len(document["correct"]), document["correct"].count("1")) == (601, confusion.trace())
    assert document["metrics"]["accuracy"] > 0.95
    assert document["perClass"]["tech"]["support"] == 121


def test_the_samples_are_answered(news, trained):
    served = news.module("serve").NewsModel(model_uri=str(trained[0]))
    served.load()
    samples = [path.read_text() for path in sorted((USE_CASES / "bbc_news/samples").iterdir())]
    answer = served.predict(samples)
    assert answer.shape == (3, 5)
    np.testing.assert_allclose(answer.sum(axis=1), 1, atol=1e-5)


def test_a_checkpoint_is_read_without_running_code_from_it(news, trained):
    state = torch.load(trained[0] / "network.pt", weights_only=True)
    assert all(isinstance(value, torch.Tensor) for value in state.values())
