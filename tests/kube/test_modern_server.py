"""A current API server takes the definitions with their rules, and judges every example as Python does.

It is a server of custom resources alone, see tests/kube/modern/build.py; slow, for it may have to be built.
"""

from __future__ import annotations

import itertools
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request

import pytest
from kubernetes import client

from cdl.api.v1alpha1 import KINDS
from cdl.embedded.controlplane.pki import Authority
from cdl.kube.client import Api
from cdl.kube.crds import RULES_WORD, definition
from cdl.kube.install import DEFINITIONS
from cdl.kube.rules import broken
from cdl.ports.errors import PortError, Rejected
from cdl.testing.builders import pipeline_document
from tests.kube.modern.build import CannotBuildError, build
from tests.unit.kube.rule_examples import CHANGES, EXAMPLES

pytestmark = pytest.mark.slow
COUNT = itertools.count(1)
PATIENCE = 60


@pytest.fixture(scope="module")
def program():
    try:
        return build()
    except CannotBuildError as error:
        pytest.skip(f"a current server cannot be built here: {error}")


def free_port():
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return door.getsockname()[1]


def until(what, question):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        answer = question()
        if answer:
            return answer
        time.sleep(0.1)
    return pytest.fail(f"not within {PATIENCE} s: {what}")


def ready(process, url, authority, log):
    assert process.poll() is None, log.read_text()[-2000:]
    try:
        trust = ssl.create_default_context(cafile=authority)
        with urllib.request.urlopen(url, timeout=2, context=trust if url.startswith("https") else None) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture(scope="module")
def api(program, binaries, tmp_path_factory):
    """The current server, with the kinds and their rules installed."""
    folder = tmp_path_factory.mktemp("modern")
    authority = Authority(folder, "modern-ca")
    pair = authority.pair("modern", hosts=["127.0.0.1"])
    etcd, peer, secure = (f"127.0.0.1:{free_port()}" for _ in range(3))
    commands = (
        (
            *(str(binaries.etcd), "--data-dir", str(folder / "etcd"), "--unsafe-no-fsync"),
            *("--listen-client-urls", f"http://{etcd}", "--advertise-client-urls", f"http://{etcd}"),
            *("--listen-peer-urls", f"http://{peer}"),
        ),
        (
            *(str(program), f"--etcd-servers=http://{etcd}", f"--cert-dir={folder}"),
            *("--bind-address=127.0.0.1", f"--secure-port={secure.rpartition(':')[2]}"),
            *(f"--tls-cert-file={pair.certificate}", f"--tls-private-key-file={pair.key}"),
        ),
    )
    processes = []
    try:
        for command, url in zip(commands, (f"http://{etcd}/health", f"https://{secure}/readyz"), strict=True):
            with (folder / "log").open("a") as log:
                processes.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT))
            until(f"{url} answers", lambda url=url: ready(processes[-1], url, authority.certificate, folder / "log"))
        configuration = client.Configuration(host=f"https://{secure}")
        configuration.ssl_ca_cert = str(authority.certificate)
        api = Api(configuration)
        install(api)
        yield api
    finally:
        for process in reversed(processes):
            process.kill()
            process.wait()


def install(api):
    """As `install_kinds` does; this server has no /version that could be asked."""
    for kind in KINDS.values():
        document = definition(kind, rules=True)
        api.create(DEFINITIONS, document)
        until("the kind can be used", lambda document=document: api.get(place_of_plural(document)) is not None)


def place_of_plural(document):
    return f"/apis/cdl.dev/v1alpha1/namespaces/default/{document['spec']['names']['plural']}"


def place_of(document):
    return f"/apis/cdl.dev/v1alpha1/namespaces/test-{next(COUNT)}/{document['kind'].lower()}s"


def test_it_keeps_every_word_of_a_definition(api):
    for kind in KINDS.values():
        sent = definition(kind, rules=True)
        kept = api.get(f"{DEFINITIONS}/{sent['metadata']['name']}")["spec"]
        assert kept["versions"] == sent["spec"]["versions"]
        assert RULES_WORD in str(kept)


@pytest.mark.parametrize(("document", "path", "message"), EXAMPLES.values(), ids=EXAMPLES)
def test_it_judges_every_example_as_python_does(api, document, path, message):
    assert broken(document["kind"], document) == ((f"{path}: {message}",) if message else ())
    if not message:
        assert api.create(place_of(document), document)["spec"] is not None
        return
    with pytest.raises(Rejected) as refusal:
        api.create(place_of(document), document)
    said = str(refusal.value)
    assert f"{path}: Invalid value: " in said
    assert message in said


@pytest.mark.parametrize(("old", "new", "path", "message"), CHANGES.values(), ids=CHANGES)
def test_it_judges_every_change_as_python_does(api, old, new, path, message):
    place = place_of(old)
    version = api.create(place, old)["metadata"]["resourceVersion"]
    successor = new | {"metadata": new["metadata"] | {"resourceVersion": version}}
    name = old["metadata"]["name"]
    if not message:
        assert api.update(f"{place}/{name}", successor)["spec"] is not None
        return
    with pytest.raises(Rejected) as refusal:
        api.update(f"{place}/{name}", successor)
    assert f"{path}: Invalid value: " in str(refusal.value)
    assert message in str(refusal.value)


def test_the_longest_lists_are_within_what_rules_may_cost(api):
    """A server refuses to evaluate for long; what the schema allows must be affordable."""
    steps = [{"name": f"s{n}", "uses": "a" * 80} for n in range(99)] + [{"name": "last", "uses": "checks"}]
    checks = [{"name": f"c{n}", "minLength": 1} for n in range(200)]
    sources = [{"name": f"a{n}", "uri": "https://example.test/x", "side": "train"} for n in range(500)]
    document = pipeline_document(steps=steps, checks=checks, sources=sources, split=None)
    assert len(api.create(place_of(document), document)["spec"]["sources"]) == 500


def test_an_unknown_field_is_refused_when_asked_to_be_strict(api):
    document = pipeline_document(surprise=1)
    with pytest.raises(PortError, match=r"unknown field .spec.surprise"):
        api.create(place_of(document), document, fieldValidation="Strict")


def test_what_nobody_looked_at_says_so(api):
    document = pipeline_document()
    assert api.create(place_of(document), document)["status"] == {"observedGeneration": -1}
