"""Between Pachyderm's types and ours."""

from __future__ import annotations

import inspect
import json

import grpc
import pytest
from betterproto.lib.google.protobuf import BytesValue
from hypothesis import given
from hypothesis import strategies as st
from pachyderm_sdk import errors as sdk
from pachyderm_sdk.api import pfs, pps

from cdl.api.canonical import digest
from cdl.api.meta import Key
from cdl.api.v1alpha1.datapipeline import DataPipelineSpec, Labels, Side
from cdl.engines.pachyderm import difference, door, programs, translate, wire
from cdl.engines.pachyderm.labels import labelled
from cdl.engines.pachyderm.wire import Entry
from cdl.ports.errors import Conflict, NotPermitted, PortError, Rejected, Unavailable
from cdl.reconcile.datapipeline import Report, wishes

OWNER = Key("DataPipeline", "default", "news")
PREFIX = "/opt/cdl/pipelines"


class Fault(grpc.RpcError, grpc.Call):
    def __init__(self, code, details="it is so\nand more"):
        self._code, self._details = code, details

    def code(self):
        return self._code

    def details(self):
        return self._details

    add_callback = cancel = initial_metadata = is_active = time_remaining = trailing_metadata = None


def through(error: BaseException) -> PortError:
    with pytest.raises(PortError) as caught, door.door("doing it"):
        raise error
    assert "\n" not in str(caught.value)
    return caught.value


def test_every_grpc_code_has_a_home():
    assert set(grpc.StatusCode) == door.SAYS_NO.keys() | door.NEVER_AN_ERROR


def test_every_exception_of_the_sdk_has_a_home():
    own = [c for _, c in inspect.getmembers(sdk, inspect.isclass) if c.__module__ == sdk.__name__]
    assert {c for c in own if issubclass(c, Exception)} == door.SDK_SAYS_NO.keys()


@pytest.mark.parametrize("code", [c for c in grpc.StatusCode if c is not grpc.StatusCode.OK])
def test_every_code_leaves_as_one_of_ours(code):
    assert type(through(Fault(code))) is door.SAYS_NO[code]


def test_a_lost_race_says_look_again():
    refused = "parent commit news-train@1 has not been finished"
    assert isinstance(through(Fault(grpc.StatusCode.UNKNOWN, refused)), Conflict)


def test_a_refusal_keeps_pachyderms_own_words():
    assert str(through(Fault(grpc.StatusCode.UNKNOWN, "glob is wrong"))) == "doing it: glob is wrong"


def test_no_connection_is_unavailable():
    assert isinstance(through(ConnectionError("Could not connect\n")), Unavailable)


def test_authentication_is_a_matter_of_rights():
    assert isinstance(through(sdk.AuthServiceNotActivated("the auth service is not activated")), NotPermitted)


def test_every_job_state_is_translated():
    assert set(translate.JOB_STATE) == set(pps.JobState)
    assert all(state.name.endswith(word) for state, word in translate.JOB_STATE.items())
    assert set(translate.JOB_STATE.values()) >= translate.LOST


def test_every_pipeline_state_is_translated():
    assert set(translate.PIPELINE_BROKEN) == set(pps.PipelineState)


PATHS = st.from_regex(r"/[a-z]{1,8}(/[a-z0-9 ._-]{1,8}){0,3}", fullmatch=True)


@given(PATHS, st.binary(max_size=300))
def test_an_added_file_has_the_sdks_own_bytes(tmp_path_factory, path, content):
    file = tmp_path_factory.getbasetemp() / "content"
    file.write_bytes(content)
    (sent,) = wire.added(path, file)
    told = pfs.ModifyFileRequest().parse(sent).add_file
    assert told.path == path
    assert (told.raw or b"") == content


def test_a_large_file_is_sent_in_pieces(tmp_path, monkeypatch):
    monkeypatch.setattr(wire, "PIECE", 10)
    (tmp_path / "f").write_bytes(bytes(range(25)))
    told = [pfs.ModifyFileRequest().parse(m).add_file for m in wire.added("/f", tmp_path / "f")]
    assert [len(t.raw) for t in told] == [10, 10, 5]
    assert b"".join(t.raw for t in told) == bytes(range(25))


def test_emptying_and_fetching_have_the_sdks_own_bytes():
    assert wire.emptied() == bytes(pfs.ModifyFileRequest(delete_file=pfs.DeleteFile(path="/")))
    source = pfs.AddFileUrlSource(url="file:///x" * 40, recursive=True)
    assert wire.fetched("/", source.url) == bytes(pfs.ModifyFileRequest(add_file=pfs.AddFile(path="/", url=source)))


@given(PATHS, st.integers(0, 2**62), st.binary(min_size=32, max_size=32), st.sampled_from(pfs.FileType))
def test_a_file_info_is_read_as_the_sdk_reads_it(path, size, content, kind):
    commit = pfs.Commit(repo=pfs.Repo(name="r"), id="c" * 32)
    told = pfs.FileInfo(file=pfs.File(commit=commit, path=path), file_type=kind, size_bytes=size, hash=content)
    found = wire._file_info(bytes(told))
    assert found == (Entry(path, content.hex(), size) if kind is pfs.FileType.FILE else None)


def test_bytes_values_are_what_the_sdk_calls_raw():
    assert BytesValue().parse(bytes(BytesValue(value=b"x"))).value == b"x"


def spec_of(step: dict, **more) -> dict:
    spec = DataPipelineSpec.model_validate({"steps": [step], **more})
    (wish,) = wishes(spec, {"text/clean": "code", "checks": "code"})
    return json.loads(translate.pipeline_spec(OWNER, Side.TRAIN, wish, "news-train", "cdl/steps:1", PREFIX))


def test_a_built_in_step_runs_its_program_in_our_image():
    spec = spec_of({"name": "clean", "uses": "text/clean", "env": {"A": "1"}})
    assert spec["pipeline"] == {"project": {"name": "default"}, "name": "news-clean-train"}
    assert spec["transform"] == {
        "image": "cdl/steps:1",
        "cmd": ["python3", "/opt/cdl/pipelines/text/clean/step.py"],
        "env": {"A": "1", "CDL_STEP": "clean"},
    }
    assert spec["input"]["pfs"] == {
        "project": "default",
        "repo": "news-train",
        "branch": "master",
        "glob": "/[!_]*",
        "name": "in",
    }


def test_a_step_of_ones_own_is_passed_through():
    spec = spec_of({"name": "mine", "image": "me/mine:1", "cmd": ["sh", "-c", "true"]})
    assert (spec["transform"]["image"], spec["transform"]["cmd"]) == ("me/mine:1", ["sh", "-c", "true"])


def test_checks_travel_in_the_words_of_the_spec():
    check = {"name": "enough", "field": "text", "minLength": 20, "onFail": "reject"}
    spec = spec_of({"name": "validate", "uses": "checks"}, checks=[check])
    assert json.loads(spec["transform"]["env"]["CDL_CHECKS"]) == [check]


def test_resources_are_requested_and_limited():
    step = {"name": "c", "uses": "checks", "resources": {"cpu": 1, "memory": "512Mi", "gpu": 1}, "parallelism": 3}
    spec = spec_of(step)
    assert spec["resourceRequests"] == {"cpu": 1, "memory": "512Mi"}
    assert spec["resourceLimits"]["gpu"] == {"type": "nvidia.com/gpu", "number": "1"}
    assert spec["parallelismSpec"] == {"constant": "3"}


def test_no_resources_ask_for_nothing():
    spec = spec_of({"name": "c", "uses": "checks"})
    assert (spec["resourceRequests"], spec.get("resourceLimits")) == ({}, None)


@pytest.mark.parametrize("text", ["", "{}", "no json", "[]", '{"metadata": null}', '{"metadata": {"annotations": 3}}'])
def test_a_strangers_pipeline_has_no_notes(text):
    assert translate.notes_of(pps.PipelineInfo(user_spec_json=text)) == {}


def test_an_unset_time_is_no_time():
    assert translate.moment(pfs.CommitInfo().parse(b"").finished) is None


def test_reports_add_up_and_junk_counts_nothing():
    one = {"accepted": 2, "rejected": {"short": 1}, "labels": {"rows": 2}}
    two = {"accepted": 3, "rejected": {"short": 1, "odd": 4}, "labels": {"rows": 5}}
    junk = [b"no json", b"[1]", b'{"accepted": "many", "labels": 3, "rejected": [1]}']
    found = translate.report_of([json.dumps(one).encode(), json.dumps(two).encode(), *junk])
    assert found == Report(accepted=5, rejected={"odd": 4, "short": 2}, label_rows=7)


TABLES = {
    "/a.csv": b"id,label\n2,tech\n1,sport\n",
    "/more/b.jsonl": b'{"id": 3, "label": "tech"}\n{"id": 1, "label": "sport"}\n',
    "/split.csv": b"id,label\n1,sport\n2,tech\n3,tech\n",
    "/torn.csv": b"id,label\n1,sport\n1,tech\n",
}
FILES = [Entry("/sport/1.txt", "aa", 1), Entry("/tech/1.txt", "bb", 1), Entry("/readme", "cc", 1)]


def manifest(files, labels=None, rows=0):
    read = translate.read_by_training(files)
    found = labelled(read, labels or Labels(), rows, lambda path: TABLES[path])
    return translate.manifest(Side.TRAIN, "repo", "commit", read, found)


def test_a_manifest_does_not_depend_on_the_order():
    assert manifest(FILES) == manifest(FILES[::-1])


def test_notes_are_no_data():
    assert manifest([*FILES, Entry("/_reports/x.json", "dd", 1)]) == manifest(FILES)


def test_content_and_path_both_count():
    other = [FILES[0]._replace(hash="ab"), *FILES[1:]]
    renamed = [FILES[0]._replace(path="/sport/2.txt"), *FILES[1:]]
    assert len({manifest(f).digest for f in (FILES, other, renamed)}) == 3


def test_labels_are_the_parents_names():
    found = manifest(FILES)
    assert (found.files, found.label_rows) == (3, 2)
    moved = [FILES[0]._replace(path="/tech/1b.txt"), *FILES[1:]]
    assert manifest(moved).label_digest != found.label_digest
    assert manifest([FILES[0]._replace(hash="ab"), *FILES[1:]]).label_digest == found.label_digest


def test_the_digest_of_labels_stays_what_releases_name():
    files = [Entry("/train-images.gz", "aa", 1), Entry("/train-labels.gz", "bb", 1)]
    folders, lying = manifest(FILES), manifest(files, Labels.model_validate({"from": "file"}))
    assert folders.label_digest == digest([["/sport/1.txt", "sport"], ["/tech/1.txt", "tech"]])
    assert lying.label_digest == digest([["/train-labels.gz", "bb"]])


def columns(*paths, **column):
    labels = Labels.model_validate({"from": "column", "column": {"files": "*", **column}})
    return manifest([Entry(path, "aa", 1) for path in paths], labels)


def test_labels_of_a_column_do_not_depend_on_how_they_are_spread():
    spread, whole = columns("/a.csv", "/more/b.jsonl"), columns("/split.csv")
    assert spread.label_digest == whole.label_digest == digest([["1", "sport"], ["2", "tech"], ["3", "tech"]])
    assert (spread.label_rows, spread.label_fault) == (3, "")
    assert spread.digest != whole.digest


def test_only_the_files_that_are_named_hold_labels():
    assert columns("/a.csv", "/more/b.jsonl", files="*.csv").label_rows == 2
    assert columns("/a.csv", "/more/b.jsonl", files="more/*").label_rows == 2


def test_a_column_that_cannot_be_used_has_a_sentence_and_no_digest():
    found = columns("/torn.csv")
    assert (found.label_digest, found.label_rows) == ("", 0)
    assert "'tech', and 'sport' in /torn.csv row 1" in found.label_fault


def test_labels_are_files_when_they_are():
    files = [Entry("/train-images.gz", "aa", 1), Entry("/train-labels.gz", "bb", 1)]
    labels = Labels.model_validate({"from": "file"})
    assert (manifest(files, labels).label_rows, manifest(files, labels, 60_000).label_rows) == (1, 60_000)
    relabelled = [files[0], files[1]._replace(hash="cc")]
    assert manifest(relabelled, labels).label_digest != manifest(files, labels).label_digest
    assert (
        manifest([files[0]._replace(hash="cc"), files[1]], labels).label_digest == manifest(files, labels).label_digest
    )


def test_a_program_is_known_by_its_code_and_what_it_shares(tmp_path):
    (tmp_path / "text" / "clean").mkdir(parents=True)
    (tmp_path / "text" / "clean" / "step.py").write_text("1")
    (tmp_path / "pfs.py").write_text("1")
    first = programs.programs_below(tmp_path)
    assert set(first) == {"text/clean"}
    (tmp_path / "text" / "clean" / "test_step.py").write_text("1")
    assert programs.programs_below(tmp_path) == first
    (tmp_path / "pfs.py").write_text("2")
    assert programs.programs_below(tmp_path) != first


def test_a_folder_of_programs_that_is_not_there_has_none(tmp_path):
    assert programs.programs_below(tmp_path / "none") == {}


@pytest.mark.parametrize("name", ["a*b", "a[1]", "a(1).txt", "über.txt", "a@b", "tab\t"])
def test_a_path_pachyderm_does_not_take_is_refused_before_anything_is_written(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(Rejected, match="allowed in Pachyderm"):
        difference.listing_of(tmp_path)
