"""Who takes a SeldonDeployment along, and at which address its predictions are asked."""

from __future__ import annotations

from dataclasses import replace

from cdl.api.meta import Key
from cdl.engines.seldon.translate import manifest, released, replacing, serving_seen
from cdl.reconcile.modeldeployment import ReleaseSeen, ServingWish
from cdl.testing.builders import deployment

OWNER = Key("ModelDeployment", "team", "news")
WISH = ServingWish(
    ReleaseSeen("news-1", 1, "sha256:1", approved=True, document="file:///1", attestation="file:///a"),
    deployment().spec,
)
OURS = {
    "apiVersion": "cdl.dev/v1alpha1",
    "kind": "ModelDeployment",
    "name": "news",
    "uid": "u-1",
    "controller": True,
    "blockOwnerDeletion": False,
}
THEIRS = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "u-9"}


def made(owner, *others):
    document = manifest(OWNER, replace(WISH, owner=owner), "image")
    kept = [*document["metadata"].get("ownerReferences", []), *others]
    return {**document, "metadata": {**document["metadata"], **({"ownerReferences": kept} if kept else {})}}


def owners(document):
    return document["metadata"].get("ownerReferences")


def test_a_named_owner_controls_the_object_and_a_wish_without_one_leaves_it_alone():
    assert owners(made("u-1")) == [OURS]
    assert owners(made("")) is None


def test_another_owner_is_another_wish():
    keys = {replace(WISH, owner=owner).key for owner in ("", "u-1", "u-2")}
    assert len(keys) == 3


def test_replacing_changes_our_owner_and_keeps_strange_ones():
    assert owners(replacing(made("u-1", THEIRS), made("u-2"))) == [THEIRS, OURS | {"uid": "u-2"}]
    assert owners(replacing(made("u-1", THEIRS), made(""))) == [THEIRS]
    assert owners(replacing(made("u-1"), made(""))) is None


def test_letting_go_takes_our_owner_away_alone():
    assert owners(released(made("u-1", THEIRS))) == [THEIRS]
    assert owners(released(made("u-1"))) is None
    assert released(made("", THEIRS)) is None


def seen(url, ingress):
    return serving_seen({**made(""), "status": {"address": {"url": url}}}, ingress).url


def test_behind_an_ingress_its_address_is_said():
    real = "http://news-v1.team.svc.cluster.local:8000/api/v1.0/predictions"
    assert seen(real, "") == real
    assert seen(real, "https://models.test/") == "https://models.test/seldon/team/news/api/v1.0/predictions"
    embedded = "http://127.0.0.1:8003/seldon/team/news/v2/models/news/infer"
    assert seen(embedded, "https://models.test") == "https://models.test/seldon/team/news/v2/models/news/infer"
    assert seen("", "https://models.test") == ""
