"""Keys and certificates are made once, kept while they are good, and made anew when they no longer fit."""

import base64
import stat
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cdl.embedded.controlplane import pki


@pytest.fixture
def authority(tmp_path):
    return pki.Authority(tmp_path / "pki", "ca")


def read(path):
    return x509.load_pem_x509_certificate(path.read_bytes())


def held(path):
    config = yaml.safe_load(path.read_text())
    user = config["users"][0]["user"]
    return config["clusters"][0]["cluster"], x509.load_pem_x509_certificate(
        base64.b64decode(user["client-certificate-data"])
    )


def names(subject, kind):
    return [attribute.value for attribute in subject.get_attributes_for_oid(kind)]


def test_a_server_certificate_is_for_its_hosts_and_signed_by_the_authority(authority):
    pair = authority.pair("api", hosts=("127.0.0.1", "localhost"))
    made = read(pair.certificate)
    made.verify_directly_issued_by(read(authority.certificate))
    assert [str(name.value) for name in made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value] == [
        "127.0.0.1",
        "localhost",
    ]
    assert ExtendedKeyUsageOID.SERVER_AUTH in made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert not made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert made.not_valid_before_utc < datetime.now(UTC) < made.not_valid_after_utc - timedelta(days=3000)


def test_a_client_certificate_serves_nothing(authority):
    made = read(authority.pair("somebody").certificate)
    assert list(made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.CLIENT_AUTH
    ]


def test_keys_are_their_owners_alone(authority, tmp_path):
    authority.pair("api", hosts=("localhost",))
    pki.signing_key(tmp_path / "pki" / "tokens.key")
    pki.kubeconfig(tmp_path / "config", "https://127.0.0.1:1", authority, "ann", ())
    files = [*(tmp_path / "pki").iterdir(), tmp_path / "config"]
    assert len(files) == 6
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_what_is_good_is_kept_and_what_no_longer_fits_is_made_anew(authority, tmp_path):
    first = authority.pair("api", hosts=("localhost",)).certificate.read_bytes()
    again = pki.Authority(tmp_path / "pki", "ca")
    assert again.pair("api", hosts=("localhost",)).certificate.read_bytes() == first
    assert again.pair("api", hosts=("localhost", "10.0.0.1")).certificate.read_bytes() != first
    pair = again.pair("api", hosts=("localhost", "10.0.0.1"))
    pair.key.unlink()
    assert again.pair("api", hosts=("localhost", "10.0.0.1")).key.exists()


def test_a_new_authority_replaces_every_certificate(authority, tmp_path):
    pair = authority.pair("api", hosts=("localhost",))
    config = pki.kubeconfig(tmp_path / "config", "https://127.0.0.1:1", authority, "ann", ())
    before = (pair.certificate.read_bytes(), config.read_bytes())
    authority.certificate.write_text("torn")
    other = pki.Authority(tmp_path / "pki", "ca")
    other.pair("api", hosts=("localhost",))
    pki.kubeconfig(config, "https://127.0.0.1:1", other, "ann", ())
    assert read(pair.certificate).verify_directly_issued_by(read(other.certificate)) is None
    assert (pair.certificate.read_bytes(), config.read_bytes()) != before
    assert held(config)[0]["certificate-authority-data"] == base64.b64encode(other.certificate.read_bytes()).decode()


def test_a_certificate_about_to_expire_is_made_anew(authority, monkeypatch):
    monkeypatch.setattr(pki, "DAYS_IN_YEAR", 2)  # ten "years" are twenty days
    old = authority.pair("api", hosts=("localhost",)).certificate.read_bytes()
    monkeypatch.undo()
    assert authority.pair("api", hosts=("localhost",)).certificate.read_bytes() != old


def test_a_kubeconfig_says_who_one_is(authority, tmp_path):
    path = pki.kubeconfig(tmp_path / "deep" / "config", "https://127.0.0.1:1", authority, "ann", ("readers", "writers"))
    cluster, certificate = held(path)
    assert cluster["server"] == "https://127.0.0.1:1"
    assert names(certificate.subject, NameOID.COMMON_NAME) == ["ann"]
    assert names(certificate.subject, NameOID.ORGANIZATION_NAME) == ["readers", "writers"]


@pytest.mark.parametrize(
    ("server", "user", "groups"),
    [("https://127.0.0.1:2", "ann", ()), ("https://127.0.0.1:1", "bob", ()), ("https://127.0.0.1:1", "ann", ("more",))],
)
def test_a_kubeconfig_is_left_alone_until_it_is_for_another(authority, tmp_path, server, user, groups):
    path = tmp_path / "config"
    pki.kubeconfig(path, "https://127.0.0.1:1", authority, "ann", ())
    first = path.read_bytes()
    pki.kubeconfig(path, "https://127.0.0.1:1", authority, "ann", ())
    assert path.read_bytes() == first
    pki.kubeconfig(path, server, authority, user, groups)
    assert path.read_bytes() != first


@pytest.mark.parametrize("text", ["", "{", "clusters: []", "clusters: [{cluster: {}}]\nusers: [{user: 3}]", "- 1"])
def test_a_spoilt_kubeconfig_is_written_again(authority, tmp_path, text):
    path = tmp_path / "config"
    path.write_text(text)
    pki.kubeconfig(path, "https://127.0.0.1:1", authority, "ann", ())
    assert held(path)[0]["server"] == "https://127.0.0.1:1"


def test_the_signing_key_stays(tmp_path):
    first = pki.signing_key(tmp_path / "pki" / "tokens.key").read_bytes()
    assert pki.signing_key(tmp_path / "pki" / "tokens.key").read_bytes() == first
