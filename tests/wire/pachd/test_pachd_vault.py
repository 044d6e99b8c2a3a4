"""The vault: files of some repositories are for the evaluator alone, and everything that could copy them for none."""

import hashlib
import json
import subprocess
import sys

import grpc
import pytest
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs, pps

from cdl.training import TrainingError
from cdl.training.data import fetch_version
from cdl.training.versions import Dataset
from tests.wire.pachd.conftest import Pachd

TOKENS = {"platform": "canary-of-the-platform", "evaluator": "canary-of-the-evaluator"}
TRAIN, TEST = {"/one.txt": b"seen"}, {"/two.txt": b"hidden"}


def filled(make, folder):
    """A server with a train side and a test side, and their commits."""
    shown = {who: hashlib.sha256(token.encode()).hexdigest() for who, token in TOKENS.items()}
    (folder / "vault.json").write_text(json.dumps({"repositories": ["*-test"], "tokens": shown}))
    server = make("--vault", str(folder / "vault.json"))
    server.client = Client.from_pachd_address(server.address, auth_token=TOKENS["platform"])
    sides = {"train": TRAIN, "test": TEST}
    server.commits = {side: server.put(server.repo(f"news-{side}"), files) for side, files in sides.items()}
    return server


@pytest.fixture(scope="module")
def guarded(own_module_pachd, tmp_path_factory):
    return filled(own_module_pachd, tmp_path_factory.mktemp("vault"))


@pytest.fixture(scope="module")
def own_module_pachd(tmp_path_factory):
    made = []

    def make(*options):
        made.append(Pachd(tmp_path_factory.mktemp("guarded"), *options).start())
        return made[-1]

    yield make
    for server in made:
        server.end()
        assert not [token for token in TOKENS.values() if token in server.errors]


def client(guarded, who=""):
    return Client.from_pachd_address(guarded.address, auth_token=TOKENS.get(who, who) or None)


def content(guarded, side, who="", commit=None):
    file = pfs.File(commit=commit or guarded.commits[side], path="/")
    return b"".join(piece.value for piece in client(guarded, who).pfs.get_file_tar(file=file))


def test_anybody_reads_the_train_side(guarded):
    assert b"seen" in content(guarded, "train")


@pytest.mark.parametrize("who", ["evaluator", "platform"])
def test_the_evaluator_reads_both_sides(guarded, who):
    assert b"hidden" in content(guarded, "test", who)
    assert b"seen" in content(guarded, "train", who)


@pytest.mark.parametrize("who", ["", "a-token-that-was-guessed"])
@pytest.mark.parametrize("named", ["repo", "branch"])
def test_nobody_else_reads_the_test_side_however_it_is_named(guarded, who, named):
    repo = guarded.commits["test"].repo
    here = {
        "repo": pfs.Commit(repo=repo, id=guarded.commits["test"].id),
        "branch": pfs.Commit(branch=pfs.Branch(repo=repo, name="master")),
    }[named]
    with pytest.raises(grpc.RpcError) as denied:
        content(guarded, "test", who, here)
    assert denied.value.code() is grpc.StatusCode.PERMISSION_DENIED
    assert denied.value.details().endswith("is the test side, which only the evaluator may read")


@pytest.mark.parametrize(
    "reads",
    [
        lambda c, f: list(c.pfs.walk_file(file=f)),
        lambda c, f: list(c.pfs.list_file(file=f)),
        lambda c, f: list(c.pfs.glob_file(commit=f.commit, pattern="/*")),
        lambda c, f: c.pfs.inspect_file(file=f),
        lambda c, f: list(c.pfs.diff_file(new_file=f)),
    ],
)
def test_not_even_its_names_are_told(guarded, reads):
    with pytest.raises(grpc.RpcError) as denied:
        reads(client(guarded), pfs.File(commit=guarded.commits["test"], path="/two.txt"))
    assert denied.value.code() is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("who", ["", "evaluator"])
@pytest.mark.parametrize(
    "writes",
    [
        lambda c: c.pps.create_pipeline(
            pipeline=pps.Pipeline(name="thief"),
            input=pps.Input(pfs=pps.PfsInput(repo="news-test", glob="/", name="in")),
            transform=pps.Transform(cmd=["sh"], stdin=["cp -r /pfs/in /pfs/out"]),
        ),
        lambda c: c.pfs.create_repo(repo=pfs.Repo(name="mine")),
        lambda c: list(c.pps.list_job()),
    ],
)
def test_only_the_platform_may_do_what_could_copy_it(guarded, who, writes):
    with pytest.raises(grpc.RpcError) as denied:
        writes(client(guarded, who))
    assert denied.value.code() is grpc.StatusCode.PERMISSION_DENIED


def test_each_look_and_each_attempt_is_noted_and_no_token_is(own_pachd, tmp_path):
    server = filled(own_pachd, tmp_path)
    content(server, "test", "evaluator")
    with pytest.raises(grpc.RpcError):
        content(server, "test")
    assert server.end() == 0
    where = f"news-test@{server.commits['test'].id[:12]}"
    assert server.errors.splitlines() == [
        f"vault: GetFileTAR of {where} by evaluator: let",
        f"vault: GetFileTAR of {where} by anybody: denied",
    ]


def test_anybody_may_look_at_what_there_is(guarded):
    assert {info.repo.name for info in client(guarded).pfs.list_repo()} == {"news-train", "news-test"}
    assert client(guarded).pfs.inspect_commit(commit=guarded.commits["test"]).commit.id


def dataset(guarded, side, token=""):
    host, port = guarded.address.removeprefix("grpc://").split(":")
    return Dataset(host, int(port), "default", f"news-{side}", guarded.commits[side].id, token=token)


def test_a_trial_that_asks_for_the_test_side_is_told_so_in_one_sentence(guarded, tmp_path):
    assert (fetch_version(dataset(guarded, "train"), tmp_path) / "one.txt").read_bytes() == b"seen"
    with pytest.raises(TrainingError) as told:
        fetch_version(dataset(guarded, "test"), tmp_path)
    assert "news-test@" in str(told.value)
    assert str(told.value).endswith("is the test side, which only the evaluator may read")
    assert str(told.value).count("\n") == 0
    assert not list(tmp_path.rglob("two.txt"))
    found = fetch_version(dataset(guarded, "test", TOKENS["evaluator"]), tmp_path)
    assert (found / "two.txt").read_bytes() == b"hidden"


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("{", "does not name repositories and tokens"),
        ("{}", "does not name repositories and tokens"),
        ('{"repositories": [], "tokens": {}}', "needs repositories, and a token of platform and of evaluator"),
    ],
)
def test_rules_that_say_nothing_are_refused_before_anything_is_served(tmp_path, said, sentence):
    (tmp_path / "vault.json").write_text(said)
    command = [sys.executable, "-m", "cdl.embedded.pachd", "--data", str(tmp_path / "d"), "--port", "0"]
    done = subprocess.run(
        [*command, "--vault", str(tmp_path / "vault.json")], check=False, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert sentence in done.stderr
