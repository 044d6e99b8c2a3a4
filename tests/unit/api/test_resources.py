"""Resources are values: with defaults, frozen, written and read back the same."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cdl.api.canonical import canonical, digest, short
from cdl.api.duration import length
from cdl.api.meta import Key, Metadata
from cdl.api.v1alpha1 import KINDS, DataPipeline, Experiment, ModelDeployment, Release, parse
from cdl.api.v1alpha1.experiment import GateStatus
from cdl.api.v1alpha1.release import ApprovalState, ApprovalStatus, ReleaseStatus
from cdl.testing.builders import (
    deployment_document,
    document,
    experiment_document,
    pipeline_document,
    release,
    release_document,
)

DOCUMENTS = [pipeline_document(), experiment_document(), deployment_document(), release_document()]
EVERY_KIND = pytest.mark.parametrize("plain", DOCUMENTS, ids=[d["kind"] for d in DOCUMENTS])


@EVERY_KIND
def test_what_is_written_is_read_back(plain):
    resource = parse(plain, KINDS)
    assert parse(resource.plain(), KINDS) == resource
    assert parse(yaml.safe_load(yaml.safe_dump(resource.plain())), KINDS) == resource


@EVERY_KIND
def test_what_was_written_by_a_person_stays(plain):
    written = parse(plain, KINDS).plain()
    assert (
        written["spec"].items() >= {k: v for k, v in plain["spec"].items() if not isinstance(v, (dict, list))}.items()
    )
    assert written["kind"] == plain["kind"]


@EVERY_KIND
def test_nobody_can_change_a_resource(plain):
    resource = parse(plain, KINDS)
    with pytest.raises(ValidationError, match="frozen"):
        resource.kind = "Other"
    with pytest.raises(ValidationError, match="frozen"):
        resource.spec.model = None
    with pytest.raises(ValidationError, match="frozen"):
        resource.metadata.name = "other"


@EVERY_KIND
def test_a_resource_is_called_by_its_key(plain):
    resource = parse(plain, KINDS)
    assert resource.key == Key(plain["kind"], "default", plain["metadata"]["name"])
    assert str(resource.key) == f"{plain['kind']} default/{plain['metadata']['name']}"


def test_a_data_pipelines_defaults():
    spec = DataPipeline.read(document("DataPipeline", "news", {})).spec
    assert (spec.suspend, spec.interval, spec.timeout, spec.deletion_policy) == (False, "10m", "6h", "Delete")
    assert (spec.sources, spec.split, spec.steps, spec.checks, spec.schedule, spec.pachyderm) == (
        (),
        None,
        (),
        (),
        "",
        (),
    )
    assert (spec.labels.source, spec.labels.path) == ("parent", "*labels*")


def test_a_step_and_a_split_have_defaults():
    spec = DataPipeline.read(
        document("DataPipeline", "news", {"split": {}, "steps": [{"name": "clean", "uses": "text/clean"}]})
    ).spec
    assert (spec.split.test, spec.split.seed, spec.split.by, spec.split.stratify) == (0.2, 42, "content", "parent")
    (step,) = spec.steps
    assert (step.glob, step.parallelism, step.env, step.cmd, step.image) == ("/[!_]*", 1, {}, (), None)


def test_an_experiments_defaults():
    least = {
        "data": {"pipeline": "news"},
        "code": {"archive": {"uri": "file:model"}},
        "config": {},
        "model": {"name": "news"},
    }
    spec = Experiment.read(document("Experiment", "news", least)).spec
    assert (spec.evaluation.entrypoint, spec.evaluation.gates) == ("evaluate:evaluate", ())
    assert (spec.approval.policy, spec.approval.role) == ("Manual", "validator")
    assert (spec.retrain.on_data, spec.budget.max_duration, spec.budget.max_slot_hours) == (True, None, None)
    assert spec.warm_start.policy == "none"


def test_a_model_deployments_defaults():
    spec = ModelDeployment.read(deployment_document()).spec
    assert (spec.model.policy, spec.model.version) == ("LatestApproved", None)
    assert (spec.predictor.replicas, spec.predictor.protocols) == (1, ("v2", "seldon"))
    assert (spec.backend, spec.rollout.strategy, spec.monitoring.log) == ("seldon-v1", "bluegreen", False)
    assert (spec.interface.inputs, spec.interface.outputs) == ((), ())


def test_metadata_that_others_wrote_is_kept():
    plain = pipeline_document()
    plain["metadata"] |= {"managedFields": [{"manager": "kubectl"}], "ownerReferences": []}
    written = DataPipeline.read(plain).plain()["metadata"]
    assert written["managedFields"] == [{"manager": "kubectl"}]
    assert written["ownerReferences"] == []


def test_metadata_says_where_it_comes_from_and_whether_it_goes():
    silent = Metadata(name="news")
    told = Metadata(
        name="news",
        annotations={"cdl.dev/revision": "abc", "cdl.dev/requestedAt": "now"},
        deletion_timestamp=datetime(2026, 1, 1, tzinfo=UTC),
    )
    assert (silent.revision, silent.requested_at, silent.deleting) == ("", "", False)
    assert (told.revision, told.requested_at, told.deleting) == ("abc", "now", True)


def test_a_yaml_date_is_text():
    plain = experiment_document(config={"name": date(2026, 1, 1)})
    assert Experiment.read(plain).spec.config == {"name": "2026-01-01"}


def test_a_configuration_is_kept_as_it_is():
    config = {"a": None, "nested": {"b": [1, 2.5, "x", True, None]}, "snake_case": {"camelCase": 1}}
    read = Experiment.read(experiment_document(config=config))
    assert read.spec.config == config
    assert read.plain()["spec"]["config"] == config


def test_a_gate_without_a_value_can_be_written_and_read():
    status = GateStatus(metric="accuracy", passed=False)
    assert GateStatus.model_validate(status.model_dump(by_alias=True, exclude_none=True)) == status


@pytest.mark.parametrize(
    ("state", "about", "approved"),
    [
        (ApprovalState.APPROVED, None, True),
        (ApprovalState.APPROVED, "sha256:other", False),
        (ApprovalState.PENDING, None, False),
        (ApprovalState.REJECTED, None, False),
        (ApprovalState.VOID, None, False),
    ],
)
def test_an_approval_is_about_one_digest(state, about, approved):
    made = release()
    approval = ApprovalStatus(state=state, by="ada", digest=about or made.spec.digest)
    assert made.model_copy(update={"status": ReleaseStatus(approval=approval)}).approved is approved


def test_a_fresh_release_is_not_approved():
    assert not Release.read(release_document()).approved


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", timedelta(seconds=90)),
        ("10m", timedelta(minutes=10)),
        ("1h30m", timedelta(minutes=90)),
        ("1d", timedelta(days=1)),
        ("0s", timedelta()),
    ],
)
def test_lengths_of_time(text, expected):
    assert length(text) == expected


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text("abcé"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc"), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_one_meaning_has_one_canonical_form(value):
    assert canonical(json.loads(canonical(value))) == canonical(value)
    assert digest(value) == digest(value)
    assert digest(value).startswith("sha256:")
    assert short(value) == digest(value)[7:19]


@given(st.dictionaries(st.text("abcdef", min_size=1), JSON, max_size=5))
def test_the_order_of_keys_has_no_meaning(value):
    assert digest(dict(reversed(value.items()))) == digest(value)


def test_what_has_no_canonical_form_is_refused():
    with pytest.raises(ValueError, match="NaN or Infinity"):
        canonical({"lr": float("inf")})
    with pytest.raises(ValueError, match="lone surrogate"):
        canonical("\udc00")
    with pytest.raises(ValueError, match="holds 9007199254740993, a whole number that a double cannot hold"):
        canonical({"seed": [2**53 + 1]})


@pytest.mark.parametrize(
    ("value", "spelled"),
    [
        (1.0, b"1"),
        (-0.0, b"0"),
        (1e20, b"100000000000000000000"),
        (10**20, b"100000000000000000000"),
        (2**63, b"9223372036854775808"[:15] + b"6000"),
        (1e21, b"1e+21"),
        (1e-7, b"1e-7"),
        (0.00001, b"0.00001"),
        (0.5, b"0.5"),
        (True, b"true"),
        ({"a": [2.0, {"b": [3.0, "4.0", None]}]}, b'{"a":[2,{"b":[3,"4.0",null]}]}'),
    ],
)
def test_a_number_is_spelled_as_rfc_8785_says(value, spelled):
    assert canonical(value) == spelled
