"""Installing the kinds: on nothing, twice, over an older cdl with stored objects, and without rights."""

from __future__ import annotations

import json
import threading
from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from cdl.api.v1alpha1 import KINDS
from cdl.kube.client import Api
from cdl.kube.crds import RULES_WORD, definition
from cdl.kube.install import DEFINITIONS, install_kinds, server_version
from cdl.ports.errors import NotPermitted, Rejected, Unavailable
from cdl.testing.builders import deployment_document, experiment_document, pipeline_document, release_document

ROOT = Path(__file__).parents[2]
DOCUMENTS = (pipeline_document(), experiment_document(), deployment_document(), release_document())
NAMES = tuple(f"{kind.lower()}s.cdl.dev" for kind in KINDS)


@pytest.fixture
def api(api_server):
    """An API server with the kinds, before and after."""
    api = Api.connect(api_server.kubeconfig)
    install_kinds(api)
    yield api
    install_kinds(api)


def remove(api_server, *names):
    api_server.let_go("-A")
    api_server.kubectl("delete", "crd", *(names or NAMES), "--ignore-not-found", "--timeout=60s")


def document_of(api, name):
    return api.get(f"{DEFINITIONS}/{name}")


def without_what_the_server_adds(document):
    spec = deepcopy(document["spec"])
    for word in ("conversion", "preserveUnknownFields"):
        spec.pop(word, None)
    return spec


def test_four_may_install_at_once_and_every_kind_is_usable_at_once_when_one_is_done(api, api_server):
    remove(api_server)
    done = []
    threads = [threading.Thread(target=lambda: done.append(install_kinds(api))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert done == [NAMES] * 4
    for document in DOCUMENTS:
        plural = f"{document['kind'].lower()}s"
        made = api.create(f"/apis/cdl.dev/v1alpha1/namespaces/default/{plural}", document)
        assert made["metadata"]["generation"] == 1


def test_the_server_keeps_every_word_of_a_definition(api):
    """What it does not know it drops in silence, so what it gives back is compared with what was sent."""
    rules = server_version(api) >= (1, 25)
    install_kinds(api)
    for kind, name in zip(KINDS.values(), NAMES, strict=True):
        assert without_what_the_server_adds(document_of(api, name)) == definition(kind, rules=rules)["spec"]


def test_an_older_server_gets_no_rules_and_knows_that_it_is_older(api):
    version = server_version(api)
    install_kinds(api)
    assert version > (1, 0)
    for name in NAMES:
        assert (RULES_WORD in json.dumps(document_of(api, name))) is (version >= (1, 25))


def test_a_server_without_a_version_counts_as_old():
    class Silent:
        def get(self, path, **query):
            return {"major": "", "minor": "?", "gitVersion": "v0.0.0-master"}

    assert server_version(Silent()) == (0, 0)


def test_installing_again_changes_nothing(api):
    install_kinds(api)
    before = [document_of(api, name)["metadata"] for name in NAMES]
    install_kinds(api)
    after = [document_of(api, name)["metadata"] for name in NAMES]
    assert [(m["uid"], m["resourceVersion"]) for m in before] == [(m["uid"], m["resourceVersion"]) for m in after]


def test_an_upgrade_keeps_what_is_stored_and_brings_new_fields(api, api_server):
    """An older cdl whose DataPipeline had no `checks`, and a column that is called otherwise now."""
    old = definition(KINDS["DataPipeline"])
    version = old["spec"]["versions"][0]
    version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"].pop("checks")
    version["additionalPrinterColumns"][0]["name"] = "Fine"
    remove(api_server, NAMES[0])
    api_server.apply(yaml.safe_dump(old))
    api_server.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", NAMES[0])
    text = yaml.safe_dump(pipeline_document(checks=[{"name": "rows", "rows": {"min": 1}}]))
    api_server.until(
        "it can be used", lambda: not api_server.run("apply", "--validate=false", "-f", "-", input=text).returncode
    )
    before = json.loads(api_server.kubectl("get", "datapipeline", "news", "-o", "json"))
    assert "checks" not in before["spec"]
    install_kinds(api)
    after = json.loads(api_server.kubectl("get", "datapipeline", "news", "-o", "json"))
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["spec"] | {"checks": []} == before["spec"] | {"checks": []}
    api_server.until(
        "the new field is kept",
        lambda: (
            "checks" in api_server.kubectl("apply", "--validate=false", "-f", "-", "-o", "yaml", input=text)
            and "min: 1" in api_server.kubectl("get", "datapipeline", "news", "-o", "yaml")
        ),
    )
    api_server.until(
        "the new column is shown", lambda: "READY" in api_server.kubectl("get", "datapipelines").splitlines()[0]
    )
    assert "FINE" not in api_server.kubectl("get", "datapipelines")


def test_a_definition_that_is_going_is_waited_for(api, api_server):
    install_kinds(api)
    name = NAMES[0]
    api_server.kubectl("patch", "crd", name, "--type=merge", "-p", '{"metadata":{"finalizers":["example.test/slow"]}}')
    api_server.kubectl("delete", "crd", name, "--wait=false")
    with pytest.raises(Unavailable, match="waited in vain until the former datapipelines"):
        install_kinds(api, patience=0.3)
    before = document_of(api, name)["metadata"]["uid"]
    later = threading.Timer(
        0.5,
        api_server.kubectl,
        ("patch", "crd", name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}'),
    )
    later.start()
    install_kinds(api)
    later.join()
    assert document_of(api, name)["metadata"]["uid"] != before


def test_a_version_that_stored_objects_need_is_never_taken_away(api, api_server):
    newer = definition(KINDS["Release"])
    newer["spec"]["versions"].append(deepcopy(newer["spec"]["versions"][0]) | {"name": "v1beta1"})
    newer["spec"]["versions"][0]["storage"] = False
    remove(api_server, "releases.cdl.dev")
    api_server.apply(yaml.safe_dump(newer))
    api_server.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "releases.cdl.dev")
    with pytest.raises(Rejected, match=r"storedVersions.*v1beta1"):
        install_kinds(api)
    assert len(document_of(api, "releases.cdl.dev")["spec"]["versions"]) == 2
    remove(api_server, "releases.cdl.dev")


def test_without_the_right_to_it_the_sentence_says_so(api, api_server):
    reader = Api.connect(api_server.identity("nobody-in-particular"))
    with pytest.raises(NotPermitted, match="nobody-in-particular"):
        install_kinds(reader)
