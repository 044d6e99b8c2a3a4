"""`cdl export` over a store, artifacts and a key as the loop leaves them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

from cdl.api.v1alpha1 import Release
from cdl.cli import main
from cdl.loop.release import AT_ONCE, Releases
from cdl.stores.artifacts import DirectoryArtifacts
from cdl.stores.signing import made_once
from cdl.testing.builders import deployment_document, experiment_document, pipeline_document, signer
from cdl.testing.world import World
from tests.unit.local.counted import Counted

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "attestations.md"


@pytest.fixture
def world(tmp_path, home):
    """A Release that is approved by policy and served."""
    world = World(tmp_path / "engines")
    world.resources = Counted(home / "resources.db")
    world.artifacts = DirectoryArtifacts(home / "artifacts")
    world.signer = made_once(home / "keys" / "release.pem")
    world.restart()
    for document in (pipeline_document(), experiment_document(), deployment_document("shop", model={"name": "news"})):
        world.resources.apply(document)
    world.settle()
    yield world
    world.resources.close()


@pytest.fixture
def signed(world):
    """The same, after the operator has looked at the Release itself."""
    drive = Releases(world.engines, lambda: world.now)
    while drive.turn("default", "news-1") == AT_ONCE:
        pass
    return world


def cdl(*words):
    return CliRunner().invoke(main, ["export", *map(str, words)])


def said(*words):
    done = cdl(*words)
    assert done.exit_code == 0, done.output
    return done.stdout


def refused(*words):
    done = cdl(*words)
    assert done.exit_code != 0
    assert "Traceback" not in done.output
    (sentence,) = done.stderr.strip().splitlines()
    return sentence.removeprefix("Error: ")


def test_the_bundle_is_checked_with_the_exported_key_and_nothing_else(signed):
    key = SSlibKey.from_crypto(load_pem_public_key(said("--public-key").encode()))
    lines = said("news-1", "--as", "intoto").splitlines()
    payloads = []
    for line in lines:
        envelope = Envelope.from_dict(json.loads(line))
        envelope.verify([key], threshold=1)
        payloads.append(json.loads(envelope.payload))
    digest = signed.resources.get(Release, "default", "news-1").spec.digest.removeprefix("sha256:")
    assert [p["predicateType"] for p in payloads] == [
        "https://slsa.dev/provenance/v1",
        "https://cdl.dev/attestations/approval/v1",
    ]
    assert all(p["subject"][0]["digest"]["sha256"] == digest for p in payloads)


def test_a_deployment_stands_for_what_it_serves(signed):
    assert said("shop", "--as", "cyclonedx") == said("news-1", "--as", "cyclonedx")


@pytest.mark.parametrize(
    ("form", "part"),
    [
        ("cyclonedx", '"machine-learning-model"'),
        ("model-card", "# news, version 1"),
        ("model-card-html", "<h1>news, version 1</h1>"),
        ("openlineage", '"eventType": "COMPLETE"'),
    ],
)
def test_every_form_is_the_same_on_screen_and_in_a_file(signed, tmp_path, form, part):
    text = said("news-1", "--as", form)
    assert part in text
    done = cdl("news-1", "--as", form, "-o", tmp_path / "out")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", f"wrote {tmp_path / 'out'}\n")
    assert (tmp_path / "out").read_text() == text


def test_the_card_knows_the_gates_when_the_experiment_speaks_of_another_release_too(signed):
    assert "| accuracy | 0.9 | 0.5 |" in said("news-1", "--as", "model-card")
    signed.resources.apply(experiment_document(learning_rate=0.2))
    signed.settle()
    assert "| accuracy | 0.9 | 0.5 |" in said("news-1", "--as", "model-card")


def test_what_is_not_signed_yet_is_no_bundle(world):
    assert refused("news-1", "--as", "intoto") == (
        "release news-1: nothing is signed yet; an operator that looks after Experiments does that at once"
    )


def place(world, *path):
    found = world.resources.get(Release, "default", "news-1").spec.members
    for name in path:
        found = found[name]
    return Path(urlsplit(found["uri"]).path)


def test_a_document_that_is_not_what_was_kept_is_never_told_of(signed):
    report = place(signed, "evaluation", "report")
    report.write_bytes(report.read_bytes() + b" ")
    sentence = refused("news-1", "--as", "model-card")
    assert sentence.startswith("news-1: evaluation.report: artifact file:///")
    assert "expected" in sentence
    report.unlink()
    assert "there is no such file" in refused("news-1", "--as", "model-card")


def test_an_envelope_that_was_changed_is_not_passed_on(signed):
    approval = Path(urlsplit(signed.resources.get(Release, "default", "news-1").status.approval.attestation).path)
    approval.write_bytes(approval.read_bytes().replace(b"payloadType", b"payloadtype"))
    assert refused("news-1", "--as", "intoto").startswith("news-1: approval: artifact file:///")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("news-9", "--as", "intoto"), "news-9: found no such Release, model@version or ModelDeployment; "),
        (("news-1",), "export: allowed is a NAME with --as, or --public-key alone"),
        ((), "export: allowed is a NAME with --as, or --public-key alone"),
        (("news-1", "--as", "intoto", "--public-key"), "export: allowed is a NAME with --as, or --public-key alone"),
        (("--as", "intoto"), "export: allowed is a NAME with --as, or --public-key alone"),
        (
            ("news-1", "--as", "model-card", "-o", "/nowhere/card.md"),
            "--output: cannot write /nowhere/card.md: No such",
        ),
    ],
)
def test_what_cannot_be_exported_is_one_sentence(signed, words, sentence):
    assert refused(*words).startswith(sentence)


def test_no_key_is_made_to_be_shown(home):
    home.mkdir()
    assert refused("--public-key").startswith("--public-key: no key is at hand")
    assert list(home.iterdir()) == []


def test_a_key_that_the_settings_name_wrongly_is_named(home, tmp_path, monkeypatch):
    monkeypatch.setenv("CDL_SIGNING_KEY", str(tmp_path / "none.pem"))
    assert refused("--public-key").startswith(f"CDL_SIGNING_KEY: {tmp_path / 'none.pem'}: No such file")


# --- what the page about signatures tells people to type -------------------------------------------------------


def block(language, first):
    """The block of that language whose text begins so."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (found,) = (each for each in blocks if each.startswith(first))
    return found


@pytest.fixture
def exported(signed, tmp_path):
    """What the first block of the page writes."""
    folder = tmp_path / "exported"
    folder.mkdir()
    assert cdl("news-1", "--as", "intoto", "-o", folder / "bbc-news-1.intoto.jsonl").exit_code == 0
    assert cdl("--public-key", "-o", folder / "release.pub").exit_code == 0
    return folder


def tried(folder, *command):
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def spoil(folder):
    (folder / "release.pub").write_text(signer(5).public_key)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the page is about openssl")
def test_openssl_checks_the_signatures(exported):
    script = block("sh", "python3 - <<")
    done = tried(exported, "bash", "-e", "-c", script)
    assert (done.returncode, done.stdout.count("Signature Verified Successfully")) == (0, 2), done.stderr
    assert '"predicateType": "https://slsa.dev/provenance/v1"' in done.stdout
    spoil(exported)
    assert tried(exported, "bash", "-e", "-c", script).returncode != 0


def test_securesystemslib_checks_the_signatures(exported):
    program = block("python", "import json")
    done = tried(exported, sys.executable, "-c", program)
    assert done.stdout.split() == ["https://slsa.dev/provenance/v1", "https://cdl.dev/attestations/approval/v1"]
    spoil(exported)
    assert "VerificationError" in tried(exported, sys.executable, "-c", program).stderr
