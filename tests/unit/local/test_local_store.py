"""The SQLite store beyond its port: what the command line does, and what can be wrong with the file."""

from __future__ import annotations

import multiprocessing
import resource as limits
import signal
import sqlite3
import threading

import pytest
from pydantic import ValidationError

from cdl.api.conditions import Reason
from cdl.api.meta import APPLIED_BY_ANNOTATION, Key
from cdl.api.v1alpha1 import DataPipeline, Experiment, Release
from cdl.api.v1alpha1.datapipeline import DataPipelineStatus
from cdl.local import LocalStore
from cdl.local import file as local_file
from cdl.ports.errors import Conflict, NotPermitted, Rejected, Unavailable
from cdl.testing.builders import experiment_document, pipeline_document, release, release_document
from tests.unit.kube.rule_examples import CHANGES

NEWS = Key("DataPipeline", "default", "news")
HELD = ("cdl.dev/engines",)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "home" / "resources.db"


@pytest.fixture
def store(path):
    store = LocalStore(path)
    yield store
    store.close()


def news(store):
    return store.get(DataPipeline, "default", "news")


def noted(name="news", annotations=None, labels=None, **spec):
    document = pipeline_document(name, **spec)
    document["metadata"] |= {"annotations": annotations or {}, "labels": labels or {}}
    return document


def spoil(path, statement, *values):
    """Write behind the store's back."""
    with sqlite3.connect(path) as db:
        db.execute(statement, values)
    db.close()


# --- who applied it --------------------------------------------------------------------------------------------------


def test_a_new_spec_is_signed_over_whatever_the_document_says(path):
    forged = {APPLIED_BY_ANNOTATION: "somebody else", "team": "a"}
    for user, spec, who in (("ada", {}, "ada"), ("bob", {}, "ada"), ("bob", {"interval": "1m"}, "bob")):
        store = LocalStore(path, user)
        store.apply(noted(annotations=forged, **spec))
        assert news(store).metadata.annotations == {APPLIED_BY_ANNOTATION: who, "team": "a"}
        assert store.apply(noted(annotations=forged, **spec))[0] == "unchanged"
        store.close()


def test_a_spec_that_nobody_signed_is_not_signed_by_who_leaves_it_as_it_is(store, path):
    store.apply(noted())
    other = LocalStore(path, "bob")
    other.apply(noted(labels={"team": "a"}))
    assert news(other).metadata.annotations == {}
    other.close()


# --- apply -----------------------------------------------------------------------------------------------------------


def test_apply_says_what_it_did(store):
    assert store.apply(pipeline_document())[0] == "created"
    assert store.apply(pipeline_document())[0] == "unchanged"
    outcome, resource = store.apply(pipeline_document(interval="5m"))
    assert (outcome, resource) == ("configured", news(store))
    assert (resource.spec.interval, resource.metadata.generation) == ("5m", 2)


def test_a_default_written_out_is_no_change(store):
    store.apply(pipeline_document())
    assert store.apply(pipeline_document(interval="10m", suspend=False))[0] == "unchanged"


def test_apply_takes_its_own_labels_away_and_leaves_those_of_others(store):
    store.apply(noted(annotations={"mine": "1", "both": "1"}, labels={"team": "a"}))
    store.annotate(NEWS, "theirs", "1")
    outcome, resource = store.apply(noted(annotations={"both": "2"}))
    assert outcome == "configured"
    assert resource.metadata.annotations == {"both": "2", "theirs": "1"}
    assert resource.metadata.labels == {}
    assert resource.metadata.generation == 1


def test_what_apply_set_to_what_others_had_set_is_its_own_from_then_on(store):
    store.apply(noted())
    store.annotate(NEWS, "shared", "1")
    assert store.apply(noted(annotations={"shared": "1"}))[0] == "unchanged"
    assert store.apply(noted())[1].metadata.annotations == {}


def test_apply_takes_no_served_metadata_and_no_status_from_a_document(store):
    document = pipeline_document()
    document["metadata"] |= {
        "uid": "mine",
        "generation": 7,
        "resourceVersion": "99",
        "deletionTimestamp": "2026-01-01T00:00:00Z",
    }
    document["status"] = {"progress": "9/9"}
    resource = store.apply(document)[1]
    assert resource.metadata.uid != "mine"
    assert (resource.metadata.generation, resource.metadata.deleting) == (1, False)
    assert resource.status == DataPipelineStatus()
    assert store.apply(resource.plain())[0] == "unchanged"


def test_apply_refuses_what_is_no_resource(store):
    with pytest.raises(ValidationError):
        store.apply(pipeline_document(suspend="yes"))
    with pytest.raises(ValueError, match="kind: found 'Pod'"):
        store.apply({"kind": "Pod"})
    assert store.documents() == ()


def test_what_is_being_deleted_cannot_be_changed_but_applied_unchanged(store):
    store.apply(pipeline_document())
    store.write_finalizers(NEWS, HELD, news(store).metadata.resource_version)
    store.delete(NEWS)
    assert store.apply(pipeline_document())[0] == "unchanged"
    with pytest.raises(Conflict, match="DataPipeline default/news: is being deleted"):
        store.apply(pipeline_document(interval="5m"))


def test_a_release_never_changes(store):
    store.create(release(git={"commit": "a"}))
    before = store.get(Release, "default", "news-1")
    with pytest.raises(Rejected, match="Release default/news-1: spec: a Release never changes"):
        store.apply(release_document(git={"commit": "b"}))
    assert store.apply(release_document(git={"commit": "a"}))[0] == "unchanged"
    assert store.get(Release, "default", "news-1") == before


@pytest.mark.parametrize(("old", "new", "place", "message"), CHANGES.values(), ids=CHANGES)
def test_a_change_is_judged_as_admission_judges_it(store, old, new, place, message):
    key = store.apply(old)[1].key
    if not message:
        assert store.apply(new)[0] == ("unchanged" if new == old else "configured")
        return
    before = store.documents()
    with pytest.raises(Rejected) as caught:
        store.apply(new)
    assert str(caught.value) == f"{key}: {place}: {message}"
    assert caught.value.reason is Reason.INVALID_SPEC
    assert store.documents() == before


def test_another_of_the_same_name_may_be_another(store):
    old, new, _, _ = CHANGES["renamed model"]
    store.delete(store.apply(old)[1].key)
    assert store.apply(new)[0] == "created"


def test_a_created_resource_keeps_its_own_annotations_when_it_is_applied(store):
    made = release()
    store.create(made.model_copy(update={"metadata": made.metadata.model_copy(update={"annotations": {"at": "x"}})}))
    assert store.apply(release_document())[1].metadata.annotations == {"at": "x"}


# --- delete, annotate, list ------------------------------------------------------------------------------------------


def test_delete_says_whether_there_was_anything(store):
    assert store.delete(NEWS) is False
    store.apply(pipeline_document())
    assert store.delete(NEWS) is True
    assert news(store) is None


def test_a_second_delete_changes_nothing(store):
    store.apply(pipeline_document())
    store.write_finalizers(NEWS, HELD, news(store).metadata.resource_version)
    assert store.delete(NEWS) is True
    leaving = news(store)
    assert store.delete(NEWS) is True
    assert news(store) == leaving


def test_annotate_writes_once(store):
    store.apply(pipeline_document())
    store.annotate(NEWS, "cdl.dev/requestedAt", "now")
    asked = news(store)
    assert (asked.metadata.requested_at, asked.metadata.generation) == ("now", 1)
    store.annotate(NEWS, "cdl.dev/requestedAt", "now")
    assert news(store) == asked


def test_only_what_is_there_can_be_annotated(store):
    with pytest.raises(Rejected, match="DataPipeline default/news: there is no such resource"):
        store.annotate(NEWS, "a", "b")


def test_documents_are_what_a_person_can_read(store):
    store.apply(pipeline_document())
    store.apply(experiment_document())
    assert [d["kind"] for d in store.documents()] == ["DataPipeline", "Experiment"]
    (only,) = store.documents("Experiment", "default")
    assert Experiment.read(only) == store.get(Experiment, "default", "news")
    assert store.documents("Experiment", "other") == ()


# --- changed_since ---------------------------------------------------------------------------------------------------


def test_every_change_is_told_once(store):
    version, keys = store.changed_since(0)
    assert keys == ()
    store.apply(pipeline_document())
    version, keys = store.changed_since(version)
    assert keys == (NEWS,)
    assert store.changed_since(version) == (version, ())
    store.write_status(NEWS, DataPipelineStatus(progress="1/4"), news(store).metadata.resource_version)
    version, keys = store.changed_since(version)
    assert keys == (NEWS,)
    store.delete(NEWS)
    version, keys = store.changed_since(version)
    assert keys == (NEWS,)
    assert store.changed_since(version) == (version, ())


def test_what_writes_nothing_is_not_told(store):
    store.apply(pipeline_document())
    version, _ = store.changed_since(0)
    store.apply(pipeline_document())
    store.write_status(NEWS, DataPipelineStatus(), news(store).metadata.resource_version)
    assert store.changed_since(version) == (version, ())


def test_a_version_of_another_store_tells_everything(store):
    store.apply(pipeline_document())
    assert store.changed_since(10_000)[1] == (NEWS,)


def test_deletions_are_remembered_but_not_for_ever(store, path, monkeypatch):
    monkeypatch.setattr("cdl.local.store.REMEMBERED_DELETIONS", 3)
    for n in range(6):
        store.apply(pipeline_document(f"news-{n}"))
        store.delete(Key("DataPipeline", "default", f"news-{n}"))
    assert [k.name for k in store.changed_since(0)[1]] == ["news-3", "news-4", "news-5"]


# --- what cannot be read ---------------------------------------------------------------------------------------------


@pytest.fixture
def damaged(store, path):
    """A store with a document that an older cdl might have written, between two good ones."""
    for name in ("a", "news", "z"):
        store.apply(pipeline_document(name))
    spoil(path, "UPDATE resource SET document = replace(document, '\"10m\"', '\"soon\"') WHERE name = 'news'")
    return store


def test_a_document_that_cannot_be_read_does_not_stop_the_others(damaged):
    assert [r.metadata.name for r in damaged.list(DataPipeline)] == ["a", "z"]
    assert [d["metadata"]["name"] for d in damaged.documents()] == ["a", "news", "z"]


def test_what_cannot_be_read_is_named_with_the_reason(damaged):
    ((key, sentence),) = damaged.unreadable()
    assert key == NEWS
    assert sentence.startswith("DataPipeline default/news: what is stored cannot be read: spec.interval: found 'soon'")
    with pytest.raises(Rejected, match=r"spec\.interval: found 'soon'") as refusal:
        news(damaged)
    assert refusal.value.reason is Reason.INVALID_SPEC


def test_what_cannot_be_read_can_be_applied_over_or_deleted(damaged):
    assert damaged.apply(pipeline_document())[0] == "configured"
    assert news(damaged).metadata.generation == 2
    assert damaged.unreadable() == ()


def test_what_cannot_be_read_can_be_deleted(damaged):
    assert damaged.delete(NEWS) is True
    assert damaged.unreadable() == ()


def test_a_kind_of_a_newer_cdl_is_left_alone_and_named(store, path):
    store.apply(pipeline_document())
    spoil(path, "UPDATE resource SET kind = 'Pipeline2'")
    ((key, sentence),) = store.unreadable()
    assert (key.kind, store.list(DataPipeline)) == ("Pipeline2", ())
    assert "unknown field" in sentence


# --- the file --------------------------------------------------------------------------------------------------------


def test_what_was_written_is_there_after_closing(store, path):
    store.apply(pipeline_document())
    store.close()
    again = LocalStore(path)
    assert news(again).spec.interval == "10m"
    again.close()


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_refused_in_one_sentence(tmp_path, content):
    path = tmp_path / "resources.db"
    path.write_bytes(content)
    with pytest.raises(Rejected, match=r"resources\.db: is not a store of cdl or is damaged") as refusal:
        LocalStore(path)
    assert "\n" not in str(refusal.value)
    assert path.read_bytes() == content


def test_another_programs_database_is_left_alone(tmp_path):
    path = tmp_path / "resources.db"
    spoil(path, "CREATE TABLE theirs (x)")
    with pytest.raises(Rejected, match="is a database of another program"):
        LocalStore(path)


def test_a_newer_cdls_store_is_left_alone(store, path):
    store.close()
    spoil(path, "PRAGMA user_version = 99")
    with pytest.raises(Rejected, match=r"written by a newer cdl \(format 99, this one reads up to 1\)"):
        LocalStore(path)


def test_a_damaged_page_is_one_sentence(store, path):
    for n in range(200):
        store.apply(pipeline_document(f"news-{n}"))
    store.close()
    content = bytearray(path.read_bytes())
    content[4096 * 2 : 4096 * 40] = b"\xff" * (4096 * 38)
    path.write_bytes(content)
    with pytest.raises(Rejected, match="is not a store of cdl or is damaged"):
        LocalStore(path).documents()


def test_a_folder_in_the_way_is_one_sentence(tmp_path):
    (tmp_path / "resources.db").mkdir()
    with pytest.raises(NotPermitted, match="cannot be opened for writing"):
        LocalStore(tmp_path / "resources.db")


def test_a_file_where_the_folder_should_be_is_one_sentence(tmp_path):
    (tmp_path / "home").write_text("in the way")
    with pytest.raises(NotPermitted, match="cannot be made a folder for the resources"):
        LocalStore(tmp_path / "home" / "resources.db")


def test_a_writer_that_never_finishes_makes_others_give_up(store, path, monkeypatch):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store._file._connection.execute("PRAGMA busy_timeout = 50")
    with pytest.raises(Unavailable, match="another process has been writing"):
        store.apply(pipeline_document())
    other.execute("ROLLBACK")
    other.close()
    assert store.apply(pipeline_document())[0] == "created"


def test_a_full_disk_changes_nothing(store):
    store.apply(pipeline_document())
    before = news(store)
    store._file._connection.execute("PRAGMA max_page_count = 1")
    with pytest.raises(Unavailable, match="the disk is full; nothing was changed"):
        store.apply(experiment_document(config={"x": "y" * 400_000}))
    assert news(store) == before


def test_a_disk_that_fails_while_writing_loses_nothing(store):
    """A limit on the size of files is a full disk as SQLite's file sees it."""
    store.apply(pipeline_document())
    before, soft = news(store), limits.getrlimit(limits.RLIMIT_FSIZE)
    quiet = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits.setrlimit(limits.RLIMIT_FSIZE, (64 * 1024, soft[1]))
    try:
        with pytest.raises(Unavailable):
            store.apply(experiment_document(config={"x": "y" * 200_000}))
    finally:
        limits.setrlimit(limits.RLIMIT_FSIZE, soft)
        signal.signal(signal.SIGXFSZ, quiet)
    assert news(store) == before
    assert store.apply(experiment_document())[0] == "created"


# --- several at once -------------------------------------------------------------------------------------------------


def count_up(store, key, times):
    """Raise a number in the status, looking again after each conflict."""
    done = 0
    while done < times:
        resource = store.get(DataPipeline, key.namespace, key.name)
        progress = str(int(resource.status.progress or 0) + 1)
        try:
            store.write_status(key, DataPipelineStatus(progress=progress), resource.metadata.resource_version)
        except Conflict:
            continue
        done += 1


def open_and_count(path, times):
    store = LocalStore(path)
    store.apply(pipeline_document())
    count_up(store, NEWS, times)
    store.close()


def test_threads_lose_no_write(store):
    store.apply(pipeline_document())
    threads = [threading.Thread(target=count_up, args=(store, NEWS, 20)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert news(store).status.progress == "80"


def test_processes_lose_no_write_and_make_the_file_once(path):
    spawn = multiprocessing.get_context("spawn")
    processes = [spawn.Process(target=open_and_count, args=(path, 20)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [p.exitcode for p in processes] == [0, 0, 0]
    store = LocalStore(path)
    assert news(store).status.progress == "60"
    assert news(store).metadata.generation == 1
    store.close()


def test_a_change_of_another_process_is_told(store, path):
    version, _ = store.changed_since(0)
    other = LocalStore(path)
    other.apply(pipeline_document())
    other.close()
    assert store.changed_since(version)[1] == (NEWS,)


def test_what_another_process_is_writing_is_not_seen_half(store, path):
    store.apply(pipeline_document())
    before = news(store)
    other = local_file.File(path)
    with other.writing() as db:
        db.execute('UPDATE resource SET status = \'{"progress": "half"}\'')
        assert news(store) == before
    assert news(store).status.progress == "half"
    other.close()


def fail_half_way(store):
    with store._file.writing() as db:
        db.execute("DELETE FROM resource")
        raise RuntimeError


def test_a_write_that_fails_half_way_is_undone(store):
    store.apply(pipeline_document())
    before = store.changed_since(0)
    with pytest.raises(RuntimeError):
        fail_half_way(store)
    assert store.changed_since(0) == before
    assert news(store) is not None


def test_a_status_that_cannot_be_read_is_written_over(store, path):
    store.apply(pipeline_document())
    spoil(path, "UPDATE resource SET status = '{\"progress\": 7}'")
    version = store.documents()[0]["metadata"]["resourceVersion"]
    store.write_status(NEWS, DataPipelineStatus(progress="1/4"), version)
    assert news(store).status.progress == "1/4"
