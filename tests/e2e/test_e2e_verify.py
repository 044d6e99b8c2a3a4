"""Whatever is changed or lost behind our back, `cdl verify` names exactly that, and nothing else."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from determined.common.api import authentication, bindings
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs, pps

from cdl.api.v1alpha1.release import MEMBERS
from cdl.cli import main
from cdl.embedded.stack import Stack

INTACT, BROKEN, UNREACHABLE = 0, 1, 3
TRAIN, STEP = "tiny-validate-train", "tiny-validate-train"


def git(folder, *words):
    named = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "init.defaultBranch=main")
    done = subprocess.run(["git", *named, "-C", folder, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


class Shop:
    """One served Release of the tiny project, the engines behind it, and everything that can be done to them."""

    def __init__(self, place):
        self.place, self.project = place, place.project
        git(self.project, "init", "--quiet")
        git(self.project, "add", ".")
        git(self.project, "commit", "--quiet", "-m", "a project")
        place.environment["CDL_VERIFY_INTERVAL"] = "2s"
        place.run()
        self.release = place.get("release", "tiny-1")
        self.members = self.release["spec"]["members"]
        ports = json.loads((place.home / "ports.json").read_text())
        self.pachd = Client.from_pachd_address(f"127.0.0.1:{ports['pachd']}")
        self.master = authentication.login(f"http://127.0.0.1:{ports['determined']}", "determined", "")

    def leave_alone(self):
        """End the operator, which would mend what is broken."""
        operator = Stack(self.place.home.resolve()).running().get("operator")
        if operator is not None:
            os.kill(operator.pid, signal.SIGTERM)

    def until(self, holds, seconds=60):
        """Wait until the Release is as it should be, and give it."""
        deadline = time.monotonic() + seconds
        while not holds(found := self.place.get("release", "tiny-1")["status"]):
            assert time.monotonic() < deadline, found
            time.sleep(0.2)
        return found

    def verify(self, *words):
        """Give the exit code and the parts that are not intact, by what became of them."""
        asked = ["verify", "tiny-1", "--git", str(self.project), "-o", "json", *words]
        # in this process: starting Python thirty times takes longer than all there is to verify
        answer = CliRunner().invoke(main, asked, env=self.place.environment)
        assert answer.stdout, answer.output
        (judged,) = json.loads(answer.stdout)
        assert judged["release"] == "tiny-1"
        assert set(MEMBERS) <= {f["member"] for f in judged["findings"]}
        states = {f"{f['member']} {f['path']}": f["state"] for f in judged["findings"]}
        return answer.exit_code, {what: state for what, state in states.items() if state != "intact"}

    def file(self, uri):
        """Where a member's file lies."""
        return Path(uri.removeprefix("file://"))

    @contextlib.contextmanager
    def other(self, uri, content=b"something else"):
        """Let other bytes lie at a place."""
        place = self.file(uri)
        before = place.read_bytes() if place.exists() else None
        if content is None:
            place.unlink()
        else:
            place.write_bytes(content)
        try:
            yield
        finally:
            place.unlink(missing_ok=True)
            if before is not None:
                place.write_bytes(before)

    @contextlib.contextmanager
    def sql(self, database, change, undo):
        """Change rows of an engine, and change them back."""
        self.execute(database, *change)
        try:
            yield
        finally:
            self.execute(database, *undo)

    def pipeline(self, name):
        """Give the SDK's handle."""
        return pps.Pipeline(project=pfs.Project(name="default"), name=name)

    def execute(self, database, text, *values):
        """Run one statement on an engine's own database; pachd is made to forget what it remembers."""
        with contextlib.closing(sqlite3.connect(self.place.home / database, timeout=30)) as db:
            found = db.execute(text, values).fetchall()
            db.commit()
        self.pachd.pps.delete_pipeline(pipeline=self.pipeline("nobody"))
        return found

    @property
    def checkpoint(self):
        return self.members["checkpoint"]


PACHD, MASTER, STORE = "pachd/pachd.sqlite", "determined/master.db", "resources.db"
OF_TRAIN = (
    "commit_id = (SELECT max(c.id) FROM commits c JOIN repos r ON r.id = c.repo"
    f" WHERE r.name = '{TRAIN}' AND r.type = 'user')"
)


def history_rewritten(shop):
    @contextlib.contextmanager
    def done():
        before = git(shop.project, "rev-parse", "HEAD")
        git(shop.project, "commit", "--quiet", "--amend", "-m", "it was always like this")
        yield
        git(shop.project, "reset", "--quiet", "--hard", before)

    return done()


def label_edited(shop):
    ((path,),) = shop.execute(
        PACHD, f"SELECT path FROM changes WHERE {OF_TRAIN} AND path LIKE '/up/%' ORDER BY path LIMIT 1"
    )
    change = f"UPDATE changes SET path = ? WHERE {OF_TRAIN} AND path = ?"
    return shop.sql(PACHD, (change, "/down/edited.txt", path), (change, path, "/down/edited.txt"))


FILES_OF_TRAIN = f"SELECT path FROM changes WHERE {OF_TRAIN} AND path LIKE '/up/%' ORDER BY path LIMIT 1"


def first_file(state):
    """Name the file that `data_changed` and `data_removed` touch."""

    def named(shop):
        ((path,),) = shop.execute(PACHD, FILES_OF_TRAIN)
        return {f"data train {path}": state}

    return named


def data_changed(shop):
    query = f"SELECT path, digest FROM changes WHERE {OF_TRAIN} AND path LIKE '/up/%' ORDER BY path LIMIT 2"
    (path, mine), (_, others) = shop.execute(PACHD, query)
    change = f"UPDATE changes SET digest = ? WHERE {OF_TRAIN} AND path = ?"
    return shop.sql(PACHD, (change, others, path), (change, mine, path))


def data_removed(shop):
    change = f"UPDATE changes SET path = ? WHERE {OF_TRAIN} AND path = ?"
    ((path,),) = shop.execute(PACHD, FILES_OF_TRAIN)
    return shop.sql(PACHD, (change, "/_hidden.txt", path), (change, path, "/_hidden.txt"))


def step_changed(shop):
    query = "SELECT s.user_json, s.pipeline FROM specs s JOIN pipelines p ON p.id = s.pipeline WHERE p.name = ?"
    ((spec, pipeline),) = shop.execute(PACHD, query, STEP)
    noted = json.loads(spec)
    noted["metadata"]["annotations"]["cdl.dev/code"] = "another"
    change = "UPDATE specs SET user_json = ? WHERE pipeline = ?"
    return shop.sql(PACHD, (change, json.dumps(noted), pipeline), (change, spec, pipeline))


def version_metadata_changed(shop):
    @contextlib.contextmanager
    def patched():
        def patch(metadata):
            body = bindings.v1PatchModelVersion(metadata=metadata)
            bindings.patch_PatchModelVersion(shop.master, body=body, modelName="tiny", modelVersionNum=1)

        found = bindings.get_GetModelVersion(shop.master, modelName="tiny", modelVersionNum=1)
        patch({"cdl.dev/digest": "sha256:" + "0" * 64})
        yield
        patch(found.modelVersion.metadata)

    return patched()


def version_points_elsewhere(shop):
    query = "SELECT uuid FROM checkpoints WHERE uuid != ? AND state = 'COMPLETED' LIMIT 1"
    ((other,),) = shop.execute(MASTER, query, shop.checkpoint["uuid"])
    change = "UPDATE model_versions SET checkpoint = ?"
    return shop.sql(MASTER, (change, other), (change, shop.checkpoint["uuid"]))


def checkpoint_forgotten(shop):
    change = "UPDATE checkpoints SET state = ? WHERE uuid = ?"
    uuid = shop.checkpoint["uuid"]
    return shop.sql(MASTER, (change, "DELETED", uuid), (change, "COMPLETED", uuid))


def run_config_changed(shop):
    run = shop.members["experiment"]["run"]
    ((asked,),) = shop.execute(MASTER, "SELECT original FROM experiments WHERE id = ?", run)
    other = yaml.safe_load(asked)
    other["hyperparameters"]["epochs"] = 5
    change = "UPDATE experiments SET original = ? WHERE id = ?"
    return shop.sql(MASTER, (change, yaml.safe_dump(other), run), (change, asked, run))


def run_relabelled(shop):
    @contextlib.contextmanager
    def done():
        run = int(shop.members["experiment"]["run"])
        label = f"cdl-key={shop.members['experiment']['key']}"
        bindings.delete_DeleteExperimentLabel(shop.master, experimentId=run, label=label)
        yield
        bindings.put_PutExperimentLabel(shop.master, experimentId=run, label=label)

    return done()


def measured_otherwise(shop):
    joined = "metrics m JOIN trials t ON t.id = m.trial_id"
    query = f"SELECT m.id, m.metrics FROM {joined} WHERE t.experiment_id = ? AND m.kind = 'evaluation'"
    ((key, told),) = shop.execute(MASTER, query, shop.members["evaluation"]["run"])
    change = "UPDATE metrics SET metrics = ? WHERE id = ?"
    return shop.sql(MASTER, (change, told.replace('"n":', '"m":').replace('"n" :', '"m":'), key), (change, told, key))


def release_edited(shop):
    ((document,),) = shop.execute(STORE, "SELECT document FROM resource WHERE kind = 'Release'")
    edited = json.loads(document)
    edited["spec"]["members"]["labels"]["rows"] += 1
    change = "UPDATE resource SET document = ? WHERE kind = 'Release'"
    return shop.sql(STORE, (change, json.dumps(edited)), (change, document))


def flipped(shop):
    place = f"{shop.checkpoint['uri']}/words.json"
    content = bytearray(shop.file(place).read_bytes())
    content[len(content) // 2] ^= 1
    return shop.other(place, bytes(content))


MUTATIONS = {
    "git history rewritten": (history_rewritten, {"git commit": "missing"}),
    "model archive replaced": (lambda s: s.other(s.members["code"]["model"]["uri"]), {"code model": "changed"}),
    "serve archive replaced": (lambda s: s.other(s.members["code"]["serve"]["uri"]), {"code serve": "changed"}),
    "serve archive deleted": (lambda s: s.other(s.members["code"]["serve"]["uri"], None), {"code serve": "missing"}),
    "data file changed": (data_changed, {"data files": "changed"}, first_file("changed")),
    "data file removed": (
        data_removed,
        {"data files": "changed", "labels snapshot": "unasked"},
        first_file("missing"),
    ),
    "list of files changed": (
        lambda s: s.other(s.release["metadata"]["annotations"]["cdl.dev/files"]),
        {"release files": "changed"},
    ),
    "label row edited": (label_edited, {"labels snapshot": "changed", "data files": "unasked"}),
    "step changed": (step_changed, {"transforms steps": "changed"}),
    "config changed": (
        lambda s: s.other(s.members["experiment"]["config"]["uri"]),
        {"experiment config": "changed"},
    ),
    "run asked for otherwise": (run_config_changed, {"experiment run config": "changed"}),
    "run relabelled": (run_relabelled, {"experiment key": "changed"}),
    "checkpoint byte flipped": (flipped, {"checkpoint words.json": "changed"}),
    "checkpoint file deleted": (
        lambda s: s.other(f"{s.checkpoint['uri']}/words.json", None),
        {"checkpoint words.json": "missing"},
    ),
    "checkpoint file added": (
        lambda s: s.other(f"{s.checkpoint['uri']}/backdoor.py"),
        {"checkpoint backdoor.py": "changed"},
    ),
    "checkpoint forgotten by the engine": (checkpoint_forgotten, {"checkpoint engine": "missing"}),
    "version metadata changed": (version_metadata_changed, {"checkpoint registry": "changed"}),
    "version points elsewhere": (version_points_elsewhere, {"checkpoint registry": "changed"}),
    "evaluation report changed": (
        lambda s: s.other(s.members["evaluation"]["report"]["uri"]),
        {"evaluation report": "changed"},
    ),
    "measured otherwise": (measured_otherwise, {"evaluation run": "changed"}),
    "lock changed": (lambda s: s.other(s.members["environment"]["lock"]["uri"]), {"environment lock": "changed"}),
    "document changed": (
        lambda s: s.other(s.release["metadata"]["annotations"]["cdl.dev/document"]),
        {"release document": "changed"},
    ),
    "provenance changed": (lambda s: s.other(s.release["status"]["provenance"]), {"release provenance": "changed"}),
    "approval changed": (
        lambda s: s.other(s.release["status"]["approval"]["attestation"]),
        {"release approval": "changed"},
    ),
}


@pytest.fixture(scope="module")
def busy_shop(shared_place):
    return Shop(shared_place)


@pytest.fixture(scope="module")
def shop(busy_shop):
    busy_shop.leave_alone()
    return busy_shop


def verified(status):
    return next((c for c in status["conditions"] if c["type"] == "Verified"), {"status": "not yet"})


def test_what_a_deployment_serves_is_verified_by_its_name(busy_shop):
    answer = busy_shop.place.cdl("verify", "tiny", "--git", busy_shop.project)
    assert answer.returncode == INTACT, answer.stdout + answer.stderr
    assert "every member of tiny-1 that was asked for is intact" in answer.stdout


def test_an_operator_verifies_by_itself_and_voids_what_is_broken(busy_shop):
    first = busy_shop.until(lambda status: verified(status)["status"] == "True")
    assert first["verifiedAt"]
    assert first["approval"]["state"] == "Approved"
    with flipped(busy_shop):
        broken = busy_shop.until(lambda status: status["approval"]["state"] == "Void")
    assert verified(broken)["reason"] == "MemberChanged"
    assert "checkpoint words.json has changed" in verified(broken)["message"]
    busy_shop.until(lambda status: verified(status)["status"] == "True")


def test_an_untouched_release_is_intact(shop):
    assert shop.verify() == (INTACT, {})


@pytest.mark.parametrize("mutation", MUTATIONS.values(), ids=MUTATIONS)
def test_verify_names_exactly_what_was_done(shop, mutation):
    mutate, named, *files = mutation
    named = {what: state for part in (named, *(of(shop) for of in files)) for what, state in part.items()}
    with mutate(shop):
        assert shop.verify() == (BROKEN, named)


def test_everything_was_put_back(shop):
    assert shop.verify() == (INTACT, {})


def test_an_edited_release_is_named_itself(shop):
    with release_edited(shop):
        answer = shop.place.cdl("verify", "tiny-1", "-o", "json")
        (judged,) = json.loads(answer.stdout)
    assert answer.returncode == BROKEN
    assert [(f["member"], f["path"], f["state"]) for f in judged["findings"]] == [("release", "digest", "changed")]


def served(shop):
    """Start the model server on the Release as it is now; give its exit code and its last words."""
    parameters = [
        {"name": "release_uri", "value": shop.release["metadata"]["annotations"]["cdl.dev/document"], "type": "STRING"},
        {"name": "release_digest", "value": shop.release["spec"]["digest"], "type": "STRING"},
        {"name": "interface", "value": "{}", "type": "STRING"},
    ]
    told = {"PREDICTIVE_UNIT_PARAMETERS": json.dumps(parameters), "PREDICTIVE_UNIT_HTTP_SERVICE_PORT": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "cdl.serving"],
        env={**os.environ, **told},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("mutation", "member"),
    [
        ("checkpoint byte flipped", "checkpoint"),
        ("checkpoint file deleted", "checkpoint"),
        ("model archive replaced", "code.model"),
        ("serve archive replaced", "code.serve"),
        ("document changed", "release document"),
    ],
)
def test_the_model_server_does_not_start_from_a_tampered_set(shop, mutation, member):
    mutate, *_ = MUTATIONS[mutation]
    with mutate(shop):
        code, words = served(shop)
    assert code == 3
    assert member in words


def test_offline_reads_stored_files_alone(shop):
    with flipped(shop), version_metadata_changed(shop):
        code, found = shop.verify("--offline")
    assert code == BROKEN
    assert {what for what, state in found.items() if state != "unasked"} == {"checkpoint words.json"}


def test_a_deleted_data_commit_is_named(shop):
    shop.pachd.pps.delete_pipeline(pipeline=shop.pipeline(STEP), force=True)  # its repository goes with it
    code, found = shop.verify()
    assert code == BROKEN
    assert {what for what, state in found.items() if state != "unasked"} == {"data train commit"}
    assert {what for what, state in found.items() if state == "unasked"} == {"labels snapshot"}


def test_who_does_not_answer_is_told_apart_from_what_is_lost(shop):
    os.kill(Stack(shop.place.home.resolve()).running()["pachd"].pid, signal.SIGKILL)
    code, found = shop.verify()
    assert code == UNREACHABLE
    assert {what.split()[0] for what in found} == {"data", "labels", "transforms"}
    assert set(found.values()) == {"unreachable"}
