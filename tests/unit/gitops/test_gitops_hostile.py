"""A repository that means harm is refused in one sentence, and what runs stays."""

import hashlib
import subprocess

import pytest

from cdl.gitops.git import Address, Limits
from cdl.ports.errors import Rejected
from cdl.reconcile.gitops import State
from tests.unit.gitops.gitops_rig import git

BOMB = "a: &a [x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a]\nc: [*b, *b, *b]\n"


def link(origin):
    (origin.work / "model" / "passwd").symlink_to("/etc/passwd")
    return origin.push()


def linked_resources(origin):
    (origin.work / "resources" / "more.yaml").symlink_to("../../../../secrets.yaml")
    return origin.push()


def submodule(origin):
    head = git(origin.work, "rev-parse", "HEAD")
    git(origin.work, "update-index", "--add", "--cacheinfo", f"160000,{head},model/sub")
    git(origin.work, "commit", "-q", "-m", "A submodule")
    git(origin.work, "push", "-q", "origin", "HEAD:main")


def bomb(origin):
    origin.write("resources/bomb.yaml", BOMB)
    return origin.push()


def deep(origin):
    origin.write("resources/deep.yaml", "[" * 100_000)
    return origin.push()


def large(origin):
    origin.write("resources/large.yaml", "# " + "x" * 1_100_000)
    return origin.push()


def binary(origin):
    (origin.work / "resources" / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    return origin.push()


def code_that_leads_out(origin):
    origin.change("resources/experiment.yaml", "file:../model", "file:///etc")
    return origin.push()


def a_tree_that_leads_out(origin):
    """Write what git itself would never write: a folder called `..`."""
    blob = bytes.fromhex(git(origin.bare, "rev-parse", "main:resources/experiment.yaml"))
    inner = b"100644 evil\0" + blob

    def tree(content):
        made = subprocess.run(
            ["git", "hash-object", "-t", "tree", "-w", "--stdin", "--literally"],
            cwd=origin.bare, input=content, capture_output=True, check=True,
        )  # fmt: skip
        return bytes.fromhex(made.stdout.decode().strip())

    top = tree(b"40000 ..\0" + tree(inner))
    commit = git(origin.bare, "commit-tree", "-m", "Out", top.hex())
    git(origin.bare, "update-ref", "refs/heads/main", commit)


HOSTILE = {
    link: "model/passwd: is a symbolic link, allowed: regular files",
    linked_resources: "resources/more.yaml: is a symbolic link, allowed: regular files",
    submodule: "model/sub: is a submodule, allowed: regular files",
    bomb: "resources/bomb.yaml: not readable as YAML: aliases (*a) are not allowed, found one in line 2",
    deep: "resources/deep.yaml: not readable as YAML",
    large: "resources/large.yaml: 1100002 bytes, allowed: at most 1000000",
    binary: "resources/bytes.yaml: not readable as YAML",
    code_that_leads_out: "resources/experiment.yaml: spec.code.archive.uri: found 'file:///etc', which leads out",
    a_tree_that_leads_out: "'../evil': leads out of the folder, or into git's own",
}


@pytest.mark.parametrize("harm", HOSTILE, ids=lambda harm: harm.__name__)
def test_harm_is_refused_in_one_sentence(follower, harm):
    first = follower.origin.push()
    follower.look()
    before = follower.store.changed_since(0)
    harm(follower.origin)
    record = follower.look()
    assert (record.state, record.last_applied) == (State.REFUSED, first)
    assert HOSTILE[harm] in record.message
    assert "\n" not in record.message
    assert str(follower.home) not in record.message
    assert follower.store.changed_since(0) == before
    assert not (follower.place / "trees").exists()


def test_a_fetch_that_does_not_end_is_ended_by_its_size(follower):
    first = follower.origin.push()
    follower.look()
    noise = b"".join(hashlib.sha256(str(i).encode()).digest() for i in range(60_000))
    (follower.origin.work / "model" / "noise.bin").write_bytes(noise)
    follower.origin.push()
    follower.limits = Limits(pack=1 << 20)
    record = follower.look()
    assert (record.state, record.last_applied) == (State.UNREACHABLE, first)
    assert "the repository sends more than 1 MiB" in record.message
    assert sum(p.stat().st_size for p in follower.place.rglob("*") if p.is_file()) < 2 << 20


def test_hooks_and_attributes_of_a_repository_do_nothing(follower):
    follower.origin.push()
    follower.look()
    hook = follower.place / "mirror.git" / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntouch hooked\nexit 1\n")
    hook.chmod(0o755)
    follower.origin.write(".gitattributes", "model/** export-ignore\n* ident filter=evil\n")
    last = follower.origin.push()
    assert follower.look().last_applied == last
    assert not list(follower.place.rglob("hooked"))


@pytest.mark.parametrize("url", ["ext::sh -c touch% /tmp/x", "--upload-pack=touch", "", "gopher://host/x", "fd::17"])
def test_an_address_that_runs_something_is_refused(url):
    with pytest.raises(Rejected, match="--repo: found"):
        Address.of(url)


def test_what_proves_who_we_are_is_apart_from_the_address():
    address = Address.of("https://ada:s3cr%2Fet@git.example.org:8443/team/cdl.git")
    assert address.url == "https://git.example.org:8443/team/cdl.git"
    assert address.proof == "ada:s3cr/et"
    assert "s3cr/et" in address.secrets
