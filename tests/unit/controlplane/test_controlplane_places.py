"""Programs are taken from the first place that has them; who named one gets that one or a refusal."""

from pathlib import Path

import pytest

from cdl.embedded.controlplane import debian, download
from cdl.embedded.controlplane.binaries import NEEDED, Binaries, ControlPlaneError, cache, keep, kept
from cdl.embedded.controlplane.find import _Search, kubectl

ETCD, APISERVER, MANAGER = NEEDED


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """Nobody's own programs are found."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", "")
    return tmp_path


def put(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names or NEEDED:
        (folder / name).write_text("#!/bin/false\n")
        (folder / name).chmod(0o755)
    return folder


def search(places, last=None, **environment):
    said = []
    told = {"XDG_DATA_HOME": str(places / "data"), **{k: str(v) for k, v in environment.items()}}
    made = _Search(told, said.append, last, fetch=False)
    return [(one.origin, *(path.parent.name for path in one.paths)) for one in made.candidates()], made.reasons, said


def store(places, version):
    return places / "data" / "kubebuilder-envtest" / "k8s" / f"{version}-linux-{download.architecture()}"


def test_places_are_asked_in_the_order_promised(places):
    put(cache() / "v1.31.0")
    put(cache() / f"v1.20.2{debian.SUFFIX}")
    put(cache() / "v1.9.0")
    put(store(places, "1.30.0"))
    put(store(places, "1.4.0"))
    assets, path = put(places / "assets"), put(places / "bin")
    found, _, _ = search(places, KUBEBUILDER_ASSETS=assets, PATH=path)
    assert [origin for origin, *_ in found] == [
        "KUBEBUILDER_ASSETS",
        *["the store of setup-envtest"] * 2,
        "PATH",
        *["cdl's cache"] * 3,
    ]
    assert [folder for _, _, folder, _ in found] == [
        "assets",
        store(places, "1.30.0").name,
        store(places, "1.4.0").name,
        "bin",
        "v1.31.0",
        f"v1.20.2{debian.SUFFIX}",
        "v1.9.0",
    ]


def test_what_was_used_last_goes_first_but_not_before_what_is_named(places):
    put(cache() / "v1.31.0")
    before = put(places / "before")
    last = Binaries(*(before / name for name in NEEDED), origin="the last start")
    assert search(places, last)[0][0][0] == "the last start"
    named, _, _ = search(places, last, CDL_ETCD=put(places / "mine", ETCD) / ETCD)
    assert named == [("cdl's cache", "mine", "v1.31.0", "v1.31.0")]


def test_a_named_server_is_the_only_candidate_and_is_completed_from_elsewhere(places):
    put(cache() / "v1.31.0")
    mine = put(places / "mine", APISERVER, ETCD)
    assert search(places, CDL_APISERVER=mine / APISERVER)[0] == [("CDL_APISERVER", "mine", "mine", "v1.31.0")]


@pytest.mark.parametrize("variable", ["CDL_APISERVER", "CDL_ETCD", "CDL_CONTROLLER_MANAGER"])
def test_a_named_program_that_is_none_is_refused(places, variable):
    (places / "text").write_text("no program")
    with pytest.raises(ControlPlaneError, match=rf"^{variable}: found '.*text', allowed: a program that can be run$"):
        search(places, **{variable: places / "text"})


def test_a_named_server_that_does_not_work_is_not_replaced_by_another(places):
    mine = put(places / "mine")
    made = _Search({"CDL_APISERVER": str(mine / APISERVER)}, lambda _: None, None, fetch=False)
    (one,) = made.candidates()
    with pytest.raises(ControlPlaneError, match=r"^CDL_APISERVER: it is broken$"):
        made.pass_over(one.origin, "it is broken")


def test_a_server_without_its_companions_takes_them_from_elsewhere_or_is_passed_over(places):
    assets = put(places / "assets", APISERVER)
    found, reasons, said = search(places, KUBEBUILDER_ASSETS=assets)
    assert found == []
    assert f"{assets}/{APISERVER}: there is no etcd, kube-controller-manager to go with it" in reasons[0]
    assert said[0].startswith("passed over KUBEBUILDER_ASSETS")
    put(cache() / "v1.31.0")
    found, _, _ = search(places, KUBEBUILDER_ASSETS=assets)
    assert found[0] == ("KUBEBUILDER_ASSETS", "v1.31.0", "assets", "v1.31.0")


def test_the_companion_of_the_same_version_is_preferred(places):
    assets = put(places / "assets", APISERVER, ETCD)
    (assets / APISERVER).write_text("#!/bin/sh\necho Kubernetes v1.30.0\n")
    put(cache() / "v1.31.0")
    put(cache() / "v1.30.0", MANAGER)
    assert search(places, KUBEBUILDER_ASSETS=assets)[0][0] == ("KUBEBUILDER_ASSETS", "assets", "assets", "v1.30.0")


def test_an_assets_folder_without_programs_is_said(places):
    _, reasons, _ = search(places, KUBEBUILDER_ASSETS=places / "nothing")
    assert "holds no kube-apiserver" in reasons[0]


def test_what_an_older_recipe_built_and_what_cannot_be_run_is_not_taken(places):
    put(cache() / "v1.20.2-debian.0")
    (put(cache() / "v1.30.0") / APISERVER).chmod(0o644)
    assert search(places)[0] == []


def test_what_was_used_last_is_remembered_until_it_is_gone(places):
    folder = put(places / "mine")
    record = places / "binaries.json"
    assert kept(record) is None
    keep(record, Binaries(*(folder / name for name in NEEDED), origin="PATH"))
    assert kept(record).paths == tuple(folder / name for name in NEEDED)
    (folder / ETCD).unlink()
    assert kept(record) is None
    record.write_text('["torn')
    assert kept(record) is None


def test_a_persons_own_kubectl_goes_before_the_one_beside_the_server(places, monkeypatch):
    folder = put(places / "mine", *NEEDED)
    binaries = Binaries(*(folder / name for name in NEEDED), origin="here")
    with pytest.raises(ControlPlaneError, match="kubectl is neither on PATH"):
        kubectl(binaries)
    put(folder, "kubectl")
    assert kubectl(binaries) == folder / "kubectl"
    monkeypatch.setenv("PATH", str(put(places / "bin", "kubectl")))
    assert kubectl(binaries) == places / "bin" / "kubectl"


def test_the_cache_is_where_the_desktop_says_or_below_home(places, monkeypatch):
    assert cache() == places / "cache" / "cdl" / "control-plane"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # to be ignored, says the specification
    monkeypatch.setenv("HOME", str(places))
    assert cache() == Path(places, ".cache", "cdl", "control-plane")
