"""The key that signs Releases: made once, read with care, and the same statement signed twice is one file."""

from __future__ import annotations

import base64
import stat
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)

from cdl.ports.errors import NotPermitted, Rejected
from cdl.stores.signing import Ed25519Signer, from_file, made_once

TYPE = "application/vnd.in-toto+json"


def private_pem(key, password=None):
    hidden = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, hidden).decode()


def public_pem(key):
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.fixture
def signer():
    return Ed25519Signer(Ed25519PrivateKey.generate())


def test_what_was_signed_opens_and_is_one_file_however_often_it_is_signed(signer):
    envelope = signer.sign(b'{"a":1}', TYPE)
    assert signer.opened(envelope, TYPE) == b'{"a":1}'
    assert signer.sign(b'{"a":1}', TYPE) == envelope
    assert signer.opened(envelope, TYPE) == b'{"a":1}'  # opening changes nothing


def test_the_signature_is_what_dsse_says_it_is(signer):
    envelope = signer.sign(b"hello", "text/x")
    signature = base64.b64decode(envelope["signatures"][0]["sig"])
    said = b"DSSEv1 6 text/x 5 hello"
    load_pem_public_key(signer.public_key.encode()).verify(signature, said)  # raises when it is wrong


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"payload": base64.b64encode(b"other").decode()}, "changed afterwards"),
        ({"payloadType": "text/plain"}, "holds 'text/plain', expected"),
        ({"signatures": []}, "not signed by a key that counts"),
        ({"signatures": None}, "no DSSE envelope"),
        ({"signatures": [{"keyid": "k", "sig": 7}]}, "no DSSE envelope"),
        ({"signatures": ["x"]}, "no DSSE envelope"),
        ({"payload": "%%%"}, "no DSSE envelope|changed afterwards"),
        ({"payload": None}, "no DSSE envelope"),
    ],
)
def test_a_changed_envelope_is_refused_in_a_sentence(signer, change, sentence):
    with pytest.raises(Rejected, match=sentence):
        signer.opened(signer.sign(b"{}", TYPE) | change, TYPE)


def test_a_strangers_signature_does_not_count(signer):
    stranger = Ed25519Signer(Ed25519PrivateKey.generate())
    with pytest.raises(Rejected, match="not signed by a key that counts"):
        signer.opened(stranger.sign(b"{}", TYPE), TYPE)


def test_the_first_process_makes_the_key_and_the_second_takes_it(tmp_path):
    path = tmp_path / "keys" / "release.pem"
    first = made_once(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert made_once(path).public_key == first.public_key == from_file(path).public_key
    assert [p.name for p in path.parent.iterdir()] == ["release.pem"]


def test_processes_that_come_at_once_agree(tmp_path):
    path = tmp_path / "keys" / "release.pem"
    program = (
        "import sys; from pathlib import Path; from cdl.stores.signing import made_once\n"
        "sys.stdin.readline(); print(made_once(Path(sys.argv[1])).public_key)"
    )
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for each in started:  # all have loaded; now they go
        each.stdin.write("\n")
        each.stdin.flush()
    said = {each.communicate()[0] for each in started}
    assert len(said) == 1
    assert said == {from_file(path).public_key + "\n"}
    assert [p.name for p in path.parent.iterdir()] == ["release.pem"]


def test_signatures_of_a_replaced_key_count_when_its_public_key_stands_beside(tmp_path):
    old, new = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    envelope = Ed25519Signer(old).sign(b"{}", TYPE)
    path = tmp_path / "release.pem"
    path.write_text("made by hand\n" + private_pem(new) + public_pem(old))
    signer = from_file(path)
    assert signer.opened(envelope, TYPE) == b"{}"
    assert (signer.public_key, signer.trusted) == (public_pem(new), public_pem(new) + public_pem(old))


def test_public_keys_alone_check_and_do_not_sign(tmp_path):
    key = Ed25519PrivateKey.generate()
    path = tmp_path / "release.pem"
    path.write_text(public_pem(key))
    signer = from_file(path)
    assert signer.opened(Ed25519Signer(key).sign(b"{}", TYPE), TYPE) == b"{}"
    assert signer.public_key == ""
    with pytest.raises(NotPermitted, match="public keys alone"):
        signer.sign(b"{}", TYPE)


SECRET = private_pem(Ed25519PrivateKey.generate())
OTHER_KIND = X25519PrivateKey.generate()


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("", "found no key in it"),
        ("\xff\xfe not PEM", "found no key in it"),
        (SECRET + SECRET, "found 2 private keys"),
        (SECRET.replace("MC4CAQAwBQYDK2VwBCIEI", "MC4CAQAwBQYDK2Vw____I"), "private key that cannot be read"),
        (private_pem(OTHER_KIND), "private key of another kind"),
        (private_pem(Ed25519PrivateKey.generate(), b"secret"), "behind a password"),
        (public_pem(OTHER_KIND), "public key of another kind"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "public key that cannot be read"),
    ],
)
def test_a_bad_key_file_is_refused_in_a_sentence_without_its_content(tmp_path, content, sentence):
    path = tmp_path / "release.pem"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(Rejected, match=sentence) as caught:
        from_file(path, "CDL_SIGNING_KEY")
    said = str(caught.value)
    assert said.startswith(f"CDL_SIGNING_KEY: {path}: ")
    assert "\n" not in said
    assert not [line for line in content.splitlines() if len(line) > 30 and line in said]


def test_a_missing_key_file_is_named(tmp_path):
    with pytest.raises(
        Rejected, match=r"CDL_SIGNING_KEY: .*none\.pem: No such file.*openssl genpkey -algorithm ed25519"
    ):
        from_file(tmp_path / "none.pem", "CDL_SIGNING_KEY")


def test_a_place_where_no_key_can_be_made_is_named(tmp_path):
    (tmp_path / "keys").write_text("a file")
    with pytest.raises(Rejected, match=r"cannot make the signing key .*release\.pem: "):
        made_once(tmp_path / "keys" / "release.pem")
