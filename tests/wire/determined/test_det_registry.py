"""The model registry and checkpoints through the real SDK."""

import json
from pathlib import Path

import pytest

from tests.wire.determined.masters import (
    APIException,
    Determined,
    Experiment,
    NotFoundException,
    Server,
    create,
    ends,
)


@pytest.fixture(scope="module")
def trained(server: Server) -> Experiment:
    experiment = create(server.client(), {"epochs": 2}, checkpoint_storage={"save_trial_latest": 9})
    assert ends(experiment) == "COMPLETED"
    return experiment


def test_a_winner_becomes_a_version(client: Determined, trained: Experiment) -> None:
    model = client.create_model("bbc-news", "articles", {"team": "a"}, labels=["text"])
    (best,) = trained.list_checkpoints(max_results=1)
    version = model.register_version(best.uuid)
    assert (version.model_version, version.checkpoint.uuid) == (1, best.uuid)
    version.set_name("first")
    version.set_notes("from abc")
    again = client.get_model("bbc-news")
    assert (again.description, again.metadata, again.labels) == ("articles", {"team": "a"}, ["text"])
    found = again.get_version()
    assert (found.name, found.notes, found.checkpoint.uuid) == ("first", "from abc", best.uuid)
    assert again.register_version(best.uuid).model_version == 2
    assert [each.model_version for each in again.list_versions()] == [2, 1]
    with pytest.raises(APIException, match="is registered as a model version"):
        best.delete()
    with pytest.raises(APIException, match="is in the model registry"):
        trained.delete()


def test_models_are_changed_listed_and_deleted(client: Determined) -> None:
    model = client.create_model("fashion")
    with pytest.raises(APIException, match="exists already"):
        client.create_model("fashion")
    model.add_metadata({"stage": "new"})
    model.set_labels(["image"])
    model.set_description("shirts")
    assert client.get_model(model.model_id).metadata == {"stage": "new"}
    model.archive()
    assert client.get_model("fashion").archived
    model.unarchive()
    assert [each.name for each in client.list_models(name="fash")] == ["fashion"]
    assert "image" in client.get_model_labels()
    model.delete()
    with pytest.raises(NotFoundException):
        client.get_model("fashion")


def test_version_numbers_are_never_used_again(client: Determined, trained: Experiment) -> None:
    model = client.create_model("renewed")
    uuid = trained.list_checkpoints()[0].uuid
    model.register_version(uuid).delete()
    assert model.get_version() is None
    assert model.register_version(uuid).model_version == 2
    with pytest.raises(NotFoundException, match="version 9 not found"):
        model.get_version(9)


@pytest.mark.parametrize("name", ["", " ", "a/b", "a  b", "42"])
def test_bad_model_names_are_refused(client: Determined, name: str) -> None:
    with pytest.raises(APIException, match="model name"):
        client.create_model(name)


def test_an_unknown_checkpoint_is_not_registered(client: Determined) -> None:
    with pytest.raises(NotFoundException, match="checkpoint 'nowhere' not found"):
        client.create_model("empty").register_version("nowhere")


def test_a_checkpoint_is_downloaded_directly_and_through_the_master(
    client: Determined, trained: Experiment, tmp_path: Path
) -> None:
    best = trained.list_checkpoints()[0]
    for mode in ("DIRECT", "MASTER"):
        target = tmp_path / mode
        best.download(str(target), mode=type(best).download.__defaults__[1].__class__[mode])
        assert json.loads((target / "place.json").read_text())["epoch"] == 2
    best.add_metadata({"seen": True})
    assert client.get_checkpoint(best.uuid).metadata == {"steps_completed": 2, "seen": True}


def test_a_checkpoint_is_deleted_with_its_files(client: Determined, trained: Experiment) -> None:
    worst = trained.list_checkpoints()[-1]
    folder = Path(worst.training.experiment_config["checkpoint_storage"]["container_path"], worst.uuid)
    worst.remove_files(["place.json"])
    worst.reload()
    assert (worst.state.name, set(worst.resources)) == ("PARTIALLY_DELETED", {"metadata.json"})
    worst.delete()
    worst.reload()
    assert worst.state.name == "DELETED"
    assert not folder.exists()
