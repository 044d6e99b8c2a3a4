"""`cdl pachctl` against the embedded pachd: what fingers know works, and mistakes get one sentence."""

from __future__ import annotations

import itertools
import json

import pytest
from click.testing import CliRunner

from cdl.cli import main

NUMBERS = itertools.count(1)


def ran(*words, given=None):
    return CliRunner().invoke(main, ["pachctl", *(str(word) for word in words)], input=given)


def said(*words, given=None):
    answer = ran(*words, given=given)
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def refused(*words, given=None):
    answer = ran(*words, given=given)
    assert answer.exit_code == 1, answer.output
    assert len(answer.stderr.splitlines()) == 1, answer.stderr
    return answer.stderr


@pytest.fixture
def repo(pachd, tmp_path, monkeypatch):
    """A repository of its own; the settings name the embedded pachd."""
    monkeypatch.setenv("CDL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CDL_PACHD", pachd.address)
    monkeypatch.delenv("CDL_KUBECONFIG", raising=False)
    name = f"habit{next(NUMBERS)}"
    said("create", "repo", name, "-d", "raw texts")
    return name


def spec_of(repo, script='cp "$in" /pfs/out/', **more):
    return {
        "pipeline": {"name": f"{repo}-copy"},
        "transform": {"cmd": ["sh"], "stdin": [script]},
        "input": {"pfs": {"repo": repo, "glob": "/*", "name": "in"}},
        **more,
    }


def newest(pipeline):
    (job,) = raw("list", "job", "-p", pipeline, "-n", 1)
    return f"{pipeline}@{job['job']['id']}"


def raw(*words):
    """Every document of a raw listing."""
    text, found, reader = said(*words, "--raw").strip(), [], json.JSONDecoder()
    while text:
        document, end = reader.raw_decode(text)
        found.append(document)
        text = text[end:].lstrip()
    return found


def test_files_go_in_and_come_out(repo, tmp_path):
    folder = tmp_path / "in"
    (folder / "tech").mkdir(parents=True)
    (folder / "tech/1.txt").write_text("a phone")
    (folder / "big.bin").write_bytes(b"x" * 3_000_000)
    said("put", "file", f"{repo}@master:/all", "-r", "-f", folder)
    said("put", "file", f"{repo}@master:/one.txt", "-f", "-", given="from standard input")
    said("put", "file", f"{repo}@master:/one.txt", "-a", "-f", "-", given=", and more")
    assert said("get", "file", f"{repo}@master:/one.txt") == "from standard input, and more"
    said("get", "file", f"{repo}@master:/all/big.bin", "-o", tmp_path / "big")
    assert (tmp_path / "big").read_bytes() == b"x" * 3_000_000
    said("get", "file", f"{repo}@master:/", "-r", "-o", tmp_path / "out")
    out = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert out == {"all/tech/1.txt", "all/big.bin", "one.txt"}
    listing = said("list", "file", f"{repo}@master:/all").splitlines()
    assert [line.split() for line in listing[1:]] == [["/all/big.bin", "file", "3000000"], ["/all/tech/", "dir", "7"]]
    assert [f["file"]["path"] for f in raw("glob", "file", f"{repo}@master:/all/**.txt")] == ["/all/tech/1.txt"]
    said("put", "file", f"{repo}@master:/one.txt", "-f", "-", given="new")  # replaces
    assert said("get", "file", f"{repo}@master:/one.txt") == "new"
    assert ["M", "/one.txt", "file", "3"] in [x.split() for x in said("diff", "file", f"{repo}@master").splitlines()]
    assert len(raw("list", "commit", f"{repo}@master")) == 4
    assert len(raw("list", "commit", repo, "-n", 2)) == 2
    assert raw("list", "branch", repo)[0]["branch"]["name"] == "master"
    before = raw("list", "commit", repo)[1]["commit"]["id"]
    assert said("get", "file", f"{repo}@{before}:/one.txt") == said("get", "file", f"{repo}@master^:/one.txt")
    assert json.loads(said("inspect", "commit", f"{repo}@master"))["size_bytes_upper_bound"] == "3000010"
    assert repo in said("list", "repo")


def test_a_pipeline_from_its_spec_to_its_log(repo, tmp_path):
    spec = tmp_path / "spec.json"
    spec.write_text(json.dumps(spec_of(repo, 'echo took $(basename "$in"); cp "$in" /pfs/out/')))
    said("put", "file", f"{repo}@master:/a", "-f", "-", given="1")
    assert said("create", "pipeline", "-f", spec) == f"{repo}-copy\n"
    pipeline = f"{repo}-copy"
    assert said("wait", "job", newest(pipeline)) == "success\n"
    row = next(line for line in said("list", "job", "-p", pipeline).splitlines() if newest(pipeline)[-32:] in line)
    assert "1 + 0 / 1" in row
    assert said("get", "file", f"{pipeline}@master:/a") == "1"
    assert said("logs", "-j", newest(pipeline), "--inputs", "/a").count("took a") == 1
    assert "took" not in said("logs", "-p", pipeline, "--master", "--since", "1h")
    assert said("logs", "-j", newest(pipeline), "-f", "--tail", 1).strip()
    (datum,) = raw("list", "datum", newest(pipeline))
    assert "/a" in said("list", "datum", newest(pipeline))
    assert json.loads(said("inspect", "datum", newest(pipeline), datum["datum"]["id"]))["state"] == "SUCCESS"
    assert json.loads(said("inspect", "job", newest(pipeline)))["state"] == "JOB_SUCCESS"
    assert said("wait", "commit", f"{pipeline}@master").strip() == newest(pipeline)[-32:]
    spec.write_text(json.dumps(spec_of(repo, "exit 3", datum_tries=1)))
    said("update", "pipeline", "-f", spec, "--reprocess")
    answer = ran("wait", "job", newest(pipeline))
    assert (answer.exit_code, answer.stdout, "failed" in answer.stderr) == (1, "failure\n", True)
    assert json.loads(said("inspect", "pipeline", pipeline))["version"] == "2"
    said("stop", "pipeline", pipeline)
    assert "paused" in next(line for line in said("list", "pipeline").splitlines() if pipeline in line)
    said("start", "pipeline", pipeline)
    said("delete", "pipeline", pipeline)
    assert pipeline not in said("list", "pipeline")


def test_an_old_spec_in_yaml_and_camel_case(repo):
    text = f"""
        pipeline: {{name: {repo}-old}}
        transform: {{cmd: [sh], stdin: ["cp $in /pfs/out/"]}}
        input: {{atom: {{repo: {repo}, glob: "/*", name: in}}}}
        enableStats: true
        datumTries: 1
    """
    said("put", "file", f"{repo}@master:/a", "-f", "-", given="1")
    answer = ran("create", "pipeline", "-f", "-", given=text)
    assert (answer.exit_code, answer.stdout) == (0, f"{repo}-old\n")
    assert [line.split()[1] for line in answer.stderr.splitlines()] == ["enableStats", "input.atom"]
    assert said("wait", "job", newest(f"{repo}-old")) == "success\n"


def test_a_cron_is_run_by_hand(repo):
    spec = spec_of(repo, "true", input={"cron": {"name": "tick", "spec": "@never"}})
    said("create", "pipeline", "-f", "-", given=json.dumps(spec))
    said("run", "cron", f"{repo}-copy")
    assert len(raw("list", "file", f"{repo}-copy_tick@master")) == 1


@pytest.mark.parametrize(
    ("words", "given", "says"),
    [
        (["inspect", "commit", "{repo}@nowhere"], None, "branch default/{repo}@nowhere not found"),
        (["get", "file", "{repo}@master:/none"], None, "not found"),
        (["get", "file", "{repo}@master:/", "-r"], None, "-r needs -o FOLDER"),
        (["put", "file", "{repo}@master:/a", "-f", "/no/such"], None, "/no/such is not there"),
        (["put", "file", "{repo}@master:/a", "-f", "/etc"], None, "-r writes it"),
        (["put", "file", "{repo}@master", "-f", "-"], "x", "standard input has no name"),
        (["put", "file", "{repo}@master:/a*", "-f", "-"], "x", "printable ASCII"),
        (["list", "file", "not a name"], None, "REPO@BRANCH:PATH"),
        (["inspect", "job", "{repo}"], None, "PIPELINE@JOB"),
        (["inspect", "pipeline", "nobody"], None, "pipeline default/nobody not found"),
        (["delete", "pipeline", "nobody"], None, "not found"),
        (["create", "pipeline", "-f", "-"], "{", "is not JSON"),
        (["create", "pipeline", "-f", "-"], '{"pipeline": {"name": "x"}, "inptu": {}}', "unknown field 'inptu'"),
        (["create", "pipeline", "-f", "/no/such"], None, "No such file"),
        (["create", "repo", "{repo}"], None, "already exists"),
        (["logs"], None, "give one of -p PIPELINE and -j"),
        (["logs", "-p", "x", "--since", "soon"], None, "--since"),
        (["run", "cron", "nobody"], None, "not found"),
    ],
)
def test_a_mistake_gets_one_sentence(repo, words, given, says):
    text = refused(*(word.format(repo=repo) for word in words), given=given)
    assert says.format(repo=repo) in text


def test_nobody_answers(repo, monkeypatch):
    monkeypatch.setenv("CDL_PACHD", "grpc://127.0.0.1:1")
    assert "does not answer" in refused("list", "repo")
