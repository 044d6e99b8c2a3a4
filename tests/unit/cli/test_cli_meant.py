"""What a name stands for, whichever verb is told it."""

import json
import sqlite3

import pytest

from cdl.cli.meant import meant, release_meant, release_named
from cdl.cli.refusal import Refusal
from cdl.local import LocalStore
from cdl.ports.errors import Unreadable
from cdl.testing import builders

NOTHING = "found no such Release, model@version or ModelDeployment"


@pytest.fixture
def store(tmp_path):
    made = LocalStore(tmp_path / "resources.db")
    for version in (1, 2):
        made.create(builders.release("news", version))
    made.apply(builders.deployment_document("shop", model={"name": "news"}))
    made.apply(builders.deployment_document("idle", model={"name": "news"}))
    serves(made, "shop", "news-2")
    yield made
    made.close()


def serves(store, name, release):
    kind = type(builders.deployment())
    there = store.get(kind, "default", name)
    status = there.status.model_copy(update={"release": release})
    store.write_status(there.key, status, there.metadata.resource_version)


@pytest.mark.parametrize(("name", "wanted"), [("news-1", "news-1"), ("news@1", "news-1"), ("shop", "news-2")])
def test_a_release_a_version_and_a_deployment_stand_for_one_release(store, name, wanted):
    assert meant(store, name, "default").metadata.name == wanted
    assert release_meant(store, name, "default") == wanted


@pytest.mark.parametrize(
    ("name", "namespace", "sentence"),
    [
        (
            "news@7",
            "default",
            "news@7: found no such Release, model@version or ModelDeployment; releases: news-1, news-2",
        ),
        ("other@1", "default", "other@1: found no such Release, "),
        ("news-1", "elsewhere", "news-1: found no such Release, model@version or ModelDeployment; releases: none"),
        ("idle", "default", "ModelDeployment idle serves nothing yet; `cdl describe modeldeployment idle` says why"),
    ],
)
def test_what_stands_for_nothing_is_said(store, name, namespace, sentence):
    with pytest.raises(Refusal) as refusal:
        meant(store, name, namespace)
    assert refusal.value.message.startswith(sentence)


def test_who_decides_names_a_release_and_no_deployment(store):
    assert release_named(store, "news@2", "default") == "news-2"
    assert release_named(store, "shop", "default") is None


def test_a_deployment_whose_release_is_gone_stands_for_nothing(store):
    serves(store, "shop", "news-9")
    with pytest.raises(Refusal, match="shop: found no such Release"):
        meant(store, "shop", "default")


def test_a_release_that_cannot_be_read_is_meant_all_the_same(store, tmp_path):
    with sqlite3.connect(tmp_path / "resources.db") as db:
        ((text,),) = db.execute("SELECT document FROM resource WHERE name = 'news-2'").fetchall()
        edited = json.loads(text)
        del edited["spec"]["members"]
        db.execute("UPDATE resource SET document = ? WHERE name = 'news-2'", (json.dumps(edited),))
    db.close()
    assert release_meant(store, "news-2", "default") == "news-2"
    with pytest.raises(Unreadable):
        meant(store, "shop", "default")
