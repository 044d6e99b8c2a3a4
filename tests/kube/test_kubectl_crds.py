"""What kubectl makes of the kinds: every way to apply, every field explained, every column shown."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from cdl.api.v1alpha1 import KINDS
from cdl.kube.client import Api
from cdl.kube.crds import definition, schema
from cdl.testing.builders import (
    A_SHA,
    deployment_document,
    experiment_document,
    pipeline_document,
    release_document,
    source_document,
)

ROOT = Path(__file__).parents[2]
DOCUMENTS = {
    d["kind"]: d
    for d in (
        pipeline_document(sources=[source_document(sha256=A_SHA)]),
        experiment_document(),
        deployment_document(),
        release_document(git={"commit": "abc"}),
    )
}
EVERY_KIND = pytest.mark.parametrize("kind", KINDS)
WAYS = {"client side": (), "server side": ("--server-side",)}


def stored(cluster, namespace, document):
    name = document["metadata"]["name"]
    return json.loads(cluster.kubectl("get", document["kind"].lower(), name, "-n", namespace, "-o", "json"))


@pytest.mark.parametrize("words", WAYS.values(), ids=WAYS)
def test_definitions_are_applied_either_way_and_again(cluster, words):
    folder = ROOT / "manifests" / "crds"
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", folder)
    for _ in range(2):
        done = cluster.kubectl("apply", "--dry-run=server", *words, "-f", folder)
        assert len(done.splitlines()) == len(KINDS)
    assert cluster.kubectl("apply", "--dry-run=client", "-f", folder).count("(dry run)") == len(KINDS)


@pytest.mark.parametrize("words", WAYS.values(), ids=WAYS)
def test_a_resource_is_applied_changed_and_applied_again(cluster, namespace, words):
    for document in DOCUMENTS.values():
        text = yaml.safe_dump(document)
        cluster.kubectl("create", "-n", namespace, "-f", "-", "--save-config", *words[1:], input=text)
        cluster.apply(text, "-n", namespace, *words)
        before = stored(cluster, namespace, document)
        again = cluster.apply(text, "-n", namespace, *words)
        assert words or document["kind"] == "Release" or again.endswith(" unchanged\n")  # apply drops a null again
        assert cluster.run("diff", "-n", namespace, "-f", "-", *words, input=text).returncode == 0
        assert (
            stored(cluster, namespace, document)["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
        )
    changed = pipeline_document(sources=[source_document(sha256=A_SHA), source_document("b", sha256=A_SHA)])
    cluster.apply(yaml.safe_dump(changed), "-n", namespace, *words)
    after = stored(cluster, namespace, changed)
    assert after["metadata"]["generation"] == 2
    assert [source["name"] for source in after["spec"]["sources"]] == ["articles", "b"]


def test_two_appliers_own_an_item_each(cluster, namespace):
    """Lists of named things are merged by name, so a team can add a source to another team's pipeline."""
    ours = pipeline_document()
    theirs = pipeline_document(sources=[source_document("b")])
    del theirs["spec"]["split"], theirs["spec"]["steps"]
    for who, document in (("ours", ours), ("theirs", theirs)):
        cluster.apply(yaml.safe_dump(document), "-n", namespace, "--server-side", f"--field-manager={who}")
    assert [s["name"] for s in stored(cluster, namespace, ours)["spec"]["sources"]] == ["articles", "b"]
    conflict = pipeline_document(split={"test": 0.5})
    done = cluster.run(
        "apply",
        "-n",
        namespace,
        "--server-side",
        "--field-manager=theirs",
        "-f",
        "-",
        input=yaml.safe_dump(conflict),
    )
    assert done.returncode != 0
    assert ".spec.split.test" in done.stderr
    assert 'conflict with "ours"' in done.stderr


def test_a_dry_run_on_the_server_shows_defaults_and_stores_nothing(cluster, namespace):
    for document in DOCUMENTS.values():
        shown = yaml.safe_load(
            cluster.apply(yaml.safe_dump(document), "-n", namespace, "--dry-run=server", "-o", "yaml")
        )
        if document["kind"] != "Release":
            assert shown["spec"]["interval"] == "10m"
    assert cluster.kubectl("get", "cdl", "-n", namespace, "-o", "name") == ""


@EVERY_KIND
def test_what_is_stored_is_what_the_models_read(cluster, namespace, kind):
    """The server fills in the same defaults as the models do, so both see one resource."""
    cluster.kubectl("create", "-n", namespace, "-f", "-", input=yaml.safe_dump(DOCUMENTS[kind]))
    there = stored(cluster, namespace, DOCUMENTS[kind])
    assert KINDS[kind].read(there).spec == KINDS[kind].read(DOCUMENTS[kind]).spec


def test_a_resource_waits_for_its_first_look(cluster, namespace):
    for kind, document in DOCUMENTS.items():
        cluster.kubectl("create", "-n", namespace, "-f", "-", input=yaml.safe_dump(document))
        there = stored(cluster, namespace, document)
        assert there.get("status") == (None if kind == "Release" else {"observedGeneration": -1})
        assert KINDS[kind].read(there).status.observed_generation == (1 if kind == "Release" else -1)


def places(node, path):
    """Every field that kubectl can be asked about, with its sentence."""
    for name, child in node.get("properties", {}).items():
        inside = f"{path}.{name}"
        if "description" in child:
            yield inside, child["description"]
        below = child
        while "items" in below or isinstance(below.get("additionalProperties"), dict):
            below = below.get("items") or below["additionalProperties"]
        yield from places(below, inside)


@EVERY_KIND
def test_kubectl_explains_every_field(cluster, kind):
    """Asked all at once, and of the server's own document the same way as kubectl does."""
    plural = f"{kind.lower()}s"
    the_servers_own = tuple(f"{plural}.{name}" for name in ("apiVersion", "kind", "metadata"))
    wanted = [p for p in places(schema(KINDS[kind]), plural) if not p[0].startswith(the_servers_own)]
    served = explained(cluster, kind)
    for place, sentence in wanted:
        assert " ".join(served[place].split()) == " ".join(sentence.split()), place
    assert len(wanted) > 20


def explained(cluster, kind):
    """What the server publishes for kubectl, which reads it anew for every question it is asked."""
    document = Api.connect(cluster.kubeconfig).get("/openapi/v2")
    root = document["definitions"][f"dev.cdl.v1alpha1.{kind}"]
    return dict(places(root, f"{kind.lower()}s"))


ASKED = [
    ("datapipelines", "A versioned dataset, kept true to its sources and steps."),
    ("datapipeline.spec.sources.sha256", "Checksum of the file as fetched; hexadecimal."),
    ("cdldp.status.dataset.train.commit", "The commit that training or evaluation reads."),
    ("experiments.spec.config", "A Determined experiment configuration, as it is."),
    ("cdlexp.status.conditions.reason", "Why a condition is what it is"),
    ("experiments.spec.evaluation.gates.min", "Least value that passes."),
    ("cdlmd.spec.model.version", "With policy Pinned: the version."),
    ("modeldeployments.status.replicas.ready", "Servers that answer."),
    ("cdlrel.spec.members", "git, code, data, labels, transforms"),
    ("releases.status.approval.by", "Who decided."),
]


def test_a_person_asks_about_a_field(cluster):
    cluster.until("explained", lambda: not cluster.run("explain", "experiments.spec").returncode)
    with ThreadPoolExecutor(2) as pool:
        told = pool.map(lambda asked: cluster.kubectl("explain", asked[0]), ASKED)
    for (place, sentence), text in zip(ASKED, told, strict=True):
        assert sentence in " ".join(text.split()), place
    assert "<-1|" not in cluster.kubectl("explain", "experiments", "--recursive")


def test_the_columns_are_shown_short_and_wide(cluster, namespace):
    api = Api.connect(cluster.kubeconfig)
    for kind, document in DOCUMENTS.items():
        cluster.kubectl("create", "-n", namespace, "-f", "-", input=yaml.safe_dump(document))
        place = f"/apis/cdl.dev/v1alpha1/namespaces/{namespace}/{kind.lower()}s/{document['metadata']['name']}/status"
        assert api.merge_patch(place, {"status": STATUS[kind]})
    for kind in KINDS:
        columns = definition(KINDS[kind])["spec"]["versions"][0]["additionalPrinterColumns"]
        short = cluster.kubectl("get", kind.lower(), "-n", namespace).splitlines()
        wide = cluster.kubectl("get", kind.lower(), "-n", namespace, "-o", "wide").splitlines()
        assert heads(short[0]) == ["NAME", *(c["name"].upper() for c in columns if not c.get("priority"))]
        assert heads(wide[0]) == ["NAME", *(c["name"].upper() for c in columns)]
        for word in SHOWN[kind]:
            assert word in wide[1], (kind, word, wide)


def heads(line):
    return [word.strip() for word in line.split("   ") if word.strip()]


READY = {"type": "Ready", "status": "True", "reason": "Succeeded", "message": "all is well"}
SHA = "sha256:" + "0" * 64
SIDE = {"repo": "r", "commit": "c"}
STATUS = {
    "DataPipeline": {
        "observedGeneration": 1,
        "conditions": [READY],
        "progress": "4/4",
        "lastAppliedRevision": "abc",
        "dataset": {
            "version": SHA,
            "train": SIDE,
            "test": SIDE,
            "labels": {"snapshot": SHA},
            "transform": SHA,
        },
    },
    "Experiment": {
        "observedGeneration": 1,
        "conditions": [READY],
        "progress": "5/5",
        "release": "news-7",
        "bestTrial": {"id": 1, "metric": 0.875},
    },
    "ModelDeployment": {"conditions": [READY], "release": "news-7", "url": "http://here"},
    "Release": {"approval": {"state": "Approved", "by": "ann"}, "servedBy": ["news"]},
}
SHOWN = {
    "DataPipeline": ["True", "Succeeded", "4/4", "abc", SHA, "all is well"],
    "Experiment": ["True", "Succeeded", "5/5", "0.875", "news-7", "all is well"],
    "ModelDeployment": ["True", "Succeeded", "news-7", "http://here", "all is well"],
    "Release": ["news", "1", "Approved", "ann", '["news"]'],
}


def test_one_word_lists_every_kind_and_each_has_a_short_one(cluster, namespace):
    for document in DOCUMENTS.values():
        cluster.kubectl("create", "-n", namespace, "-f", "-", input=yaml.safe_dump(document))
    names = cluster.kubectl("get", "cdl", "-n", namespace, "-o", "name").split()  # kinds come in no fixed order
    assert sorted(names) == [f"{k.lower()}.cdl.dev/{d['metadata']['name']}" for k, d in sorted(DOCUMENTS.items())]
    for short, kind in (
        ("cdldp", "DataPipeline"),
        ("cdlexp", "Experiment"),
        ("cdlmd", "ModelDeployment"),
        ("cdlrel", "Release"),
    ):
        name = cluster.kubectl("get", short, "-n", namespace, "-o", "jsonpath={.items[*].kind}")
        assert name == kind


def test_an_unknown_field_is_refused_before_it_is_sent(cluster, namespace):
    done = cluster.run("apply", "-n", namespace, "-f", "-", input=yaml.safe_dump(experiment_document(modle=1)))
    assert done.returncode != 0
    assert 'unknown field "modle"' in done.stderr
    assert "Experiment.spec" in done.stderr or "spec.modle" in done.stderr
    assert cluster.kubectl("get", "experiments", "-n", namespace, "-o", "name") == ""


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (pipeline_document(interval="soon"), "spec.interval"),
        (pipeline_document(split={"test": 1}), "spec.split.test"),
        (pipeline_document(steps=[{"name": "a", "uses": "checks"}] * 2), "spec.steps[1]"),
        (pipeline_document(sources=[{"name": "a"}]), "spec.sources.uri"),
        (pipeline_document("a" * 41), "metadata.name"),
        (pipeline_document("with.dots"), "metadata.name"),
        (experiment_document(model={"name": "n" * 33}), "spec.model.name"),
        (experiment_document(budget={"maxSlotHours": 0}), "spec.budget.maxSlotHours"),
        (experiment_document(approval={"policy": "Nobody"}), "spec.approval.policy"),
        (deployment_document(predictor={"replicas": 0}), "spec.predictor.replicas"),
        (deployment_document(model={"name": "news", "policy": "Newest"}), "spec.model.policy"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_value_is_refused_with_its_field_without_any_help(cluster, namespace, document, field):
    """By the schema alone: no rule, no admission server, nothing that kubectl knows by itself."""
    done = cluster.run("create", "-n", namespace, "--validate=false", "-f", "-", input=yaml.safe_dump(document))
    assert done.returncode != 0
    assert field in done.stderr


def test_a_status_written_by_a_person_is_dropped(cluster, namespace):
    """Only who may write the subresource writes a status."""
    document = DOCUMENTS["ModelDeployment"] | {"status": {"url": "http://elsewhere", "observedGeneration": 7}}
    cluster.apply(yaml.safe_dump(document), "-n", namespace)
    assert stored(cluster, namespace, document)["status"] == {"observedGeneration": -1}


def test_waiting_for_ready_ends_when_it_is(cluster, namespace):
    document = DOCUMENTS["ModelDeployment"]
    cluster.apply(yaml.safe_dump(document), "-n", namespace)
    words = ("wait", "--for=condition=Ready", "modeldeployment/news", "-n", namespace)
    place = ("modeldeployment", "news", "-n", namespace, "--subresource=status", "--type=merge", "-p")
    assert cluster.run(*words, "--timeout=0.2s").returncode != 0
    cluster.kubectl("patch", *place, json.dumps({"status": {"conditions": [READY]}}))
    assert cluster.run(*words, "--timeout=0.2s").returncode != 0, "said of a generation that nobody looked at"
    cluster.kubectl("patch", *place, json.dumps({"status": {"observedGeneration": 1}}))
    assert "condition met" in cluster.kubectl(*words, "--timeout=10s")


def test_a_null_means_what_leaving_it_out_means(cluster, namespace):
    """What a template leaves empty arrives as a null."""
    nulls = {"split": None, "steps": None, "interval": None, "sources": [source_document(side="test", sha256=None)]}
    document = pipeline_document(**nulls)
    cluster.kubectl("create", "-n", namespace, "-f", "-", "--validate=false", input=yaml.safe_dump(document))
    spec = stored(cluster, namespace, document)["spec"]
    assert (spec["interval"], spec["steps"], "split" in spec) == ("10m", [], False)
    assert "sha256" not in spec["sources"][0]
