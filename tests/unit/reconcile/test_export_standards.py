"""What leaves for other tools, judged by the standards' own schemas and types."""

from __future__ import annotations

import json
import re
import uuid

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from google.protobuf.json_format import Parse, ParseError
from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
from in_toto_attestation.v1.statement_pb2 import Statement
from openlineage.client import event_v2
from openlineage.client.facet_v2 import dataset_version_dataset, job_type_job, source_code_location_job, tags_run

from cdl.api.v1alpha1.release import ApprovalState, MergeRequestRef
from cdl.reconcile.release.approval import approval
from cdl.reconcile.release.bom import bill_of_materials
from cdl.reconcile.release.openlineage import run_events
from cdl.reconcile.release.provenance import provenance
from tests.unit.reconcile.paper_trail import A, B, bare, papers, pending

SITUATIONS = {"whole": papers, "pending": lambda: pending(papers()), "bare": bare}


@pytest.fixture(params=SITUATIONS)
def found(request):
    return SITUATIONS[request.param]()


def hexed(sha256):
    return sha256.removeprefix("sha256:")


# --- in-toto and SLSA ---------------------------------------------------------------------------------------------


def test_provenance_is_a_statement_and_a_predicate_of_the_standards(found):
    said = provenance(found.release, "0.1.0")
    statement = Parse(json.dumps(said), Statement())  # refuses what the standard does not know
    assert (statement.type, statement.predicate_type) == (
        "https://in-toto.io/Statement/v1",
        "https://slsa.dev/provenance/v1",
    )
    predicate = Parse(json.dumps(said["predicate"]), Provenance())
    assert predicate.build_definition.build_type.startswith("https://cdl.dev/")
    assert predicate.run_details.builder.id == "https://cdl.dev/operator"
    for each in (*statement.subject, *predicate.build_definition.resolved_dependencies):
        assert each.digest or each.uri, each  # a descriptor says at least one of them


def test_provenance_is_about_the_release_and_each_file_of_the_model():
    found = papers().release
    said = provenance(found, "0.1.0")["subject"]
    assert {s["name"]: s["digest"]["sha256"] for s in said} == {
        "bbc-news-3": hexed(found.spec.digest),
        "weights.pt": hexed(A),
        "words.json": hexed(B),
    }


def test_provenance_names_everything_that_went_in():
    definition = provenance(papers().release, "0.1.0")["predicate"]["buildDefinition"]
    assert [d["name"] for d in definition["resolvedDependencies"]] == [
        "git",
        "code/model",
        "code/serve",
        "data",
        "data/train",
        "data/test",
        "labels",
        "transforms",
        "environment",
    ]
    assert definition["externalParameters"]["hyperparameters"] == {"learning_rate": 0.001, "layers": [64, 32]}


def test_code_that_was_not_committed_is_not_passed_off_as_a_commit():
    said = provenance(papers(git={"commit": "c0ffee-dirty", "authors": []}).release, "0.1.0")
    (git,) = (d for d in said["predicate"]["buildDefinition"]["resolvedDependencies"] if d["name"] == "git")
    assert (git["digest"], git["annotations"]) == ({"gitCommit": "c0ffee"}, {"uncommittedChanges": True})
    Parse(json.dumps(said["predicate"]), Provenance())


def test_equal_releases_have_equal_provenance():
    assert provenance(papers().release, "0.1.0") == provenance(papers().release, "0.1.0")


def test_the_judge_of_statements_refuses_what_is_none():
    with pytest.raises(ParseError):
        Parse(json.dumps(provenance(papers().release, "1") | {"predicatetype": "x"}), Statement())


def test_an_approval_is_a_statement_of_the_standard():
    found = papers().release
    said = approval(found, found.status.approval)
    statement = Parse(json.dumps(said), Statement())
    assert statement.predicate_type == "https://cdl.dev/attestations/approval/v1"
    assert statement.subject[0].digest["sha256"] == hexed(found.spec.digest)
    assert said["predicate"] | {"metrics": 0} == {
        "decision": "Approved",
        "model": "bbc-news",
        "version": 3,
        "by": "maria",
        "at": "2026-03-04T05:06:07Z",
        "reason": "better than version 2",
        "expires": None,
        "mergeRequest": None,
        "metrics": 0,
        "production": [
            {
                "release": "bbc-news-2",
                "digest": "",
                "deployments": [],
                "metrics": {"accuracy": 0.96},
                "differences": {"accuracy": 0.0153},
            }
        ],
    }


def test_an_approval_by_merge_request_names_it():
    found = papers().release
    request = {"url": "https://gitlab.example.test/team/news/-/merge_requests/3", "number": 3, "sha": "a" * 40}
    decision = found.status.approval.model_copy(update={"merge_request": MergeRequestRef(**request)})
    assert approval(found, decision)["predicate"]["mergeRequest"] == request


def test_what_was_adopted_says_so_in_its_provenance_and_what_was_trained_does_not():
    origin = {"namespace": "news-mr-3", "name": "news-1", "digest": "sha256:" + "a" * 64, "trainedOn": {}}
    found = papers().release
    members = {**found.spec.members, "git": {**found.spec.members["git"], "adoptedFrom": origin}}
    adopted = found.model_copy(update={"spec": found.spec.model_copy(update={"members": members})})
    inner = [provenance(r, "1")["predicate"]["buildDefinition"]["internalParameters"] for r in (adopted, found)]
    assert [i.get("adoptedFrom") for i in inner] == [origin, None]


# --- CycloneDX ----------------------------------------------------------------------------------------------------


def faults(bom):
    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bom))


def test_the_bill_of_materials_is_cyclonedx(found):
    assert faults(bill_of_materials(found)) is None


def test_the_judge_of_bills_refuses_what_is_none():
    assert faults(bill_of_materials(papers()) | {"modelcard": {}}) is not None


def test_the_bill_names_model_data_code_and_packages_and_hangs_together():
    bom = bill_of_materials(papers())
    parts = {part["bom-ref"]: part for part in bom["components"]}
    assert set(parts) == {
        "data:train",
        "data:test",
        "data:labels",
        "configuration",
        "code:model",
        "code:serve",
        "python",
        "pkg:pypi/numpy@2.4.6",
        "pkg:pypi/torch@2.13.0%2Bcpu",
    }
    assert bom["dependencies"] == [{"ref": "model", "dependsOn": list(parts)}]
    model = bom["metadata"]["component"]
    assert {f["name"]: f["hashes"][0]["content"] for f in model["components"]} == {
        "weights.pt": hexed(A),
        "words.json": hexed(B),
    }
    assert [r["type"] for r in model["externalReferences"]] == ["distribution", "attestation", "attestation"]
    assert {d["ref"] for d in model["modelCard"]["modelParameters"]["datasets"]} <= set(parts)


def test_the_bill_says_what_was_measured_overall_and_per_class():
    card = bill_of_materials(papers())["metadata"]["component"]["modelCard"]
    said = card["quantitativeAnalysis"]["performanceMetrics"]
    assert {"type": "accuracy", "value": "0.9753"} in said
    assert {"type": "recall", "value": "0.95", "slice": "tech"} in said


def test_equal_releases_have_the_same_serial_number_and_others_another():
    serial = bill_of_materials(papers())["serialNumber"]
    assert bill_of_materials(papers())["serialNumber"] == serial
    assert bill_of_materials(papers(labels={"snapshot": A, "rows": 1}))["serialNumber"] != serial
    assert uuid.UUID(serial).version == 8
    assert uuid.UUID(serial).variant == uuid.RFC_4122


# --- OpenLineage --------------------------------------------------------------------------------------------------

FACETS = {
    "version": dataset_version_dataset.DatasetVersionDatasetFacet,
    "jobType": job_type_job.JobTypeJobFacet,
    "sourceCodeLocation": source_code_location_job.SourceCodeLocationJobFacet,
    "tags": tags_run.TagsRunFacet,
}


def facets(said):
    """Build each facet by its own type, which refuses what it does not know, and compare what it calls itself."""
    for name, facet in said.items():
        inside = {key: value for key, value in facet.items() if not key.startswith("_")}
        if name == "tags":
            inside = {"tags": [tags_run.TagsRunFacetFields(**tag) for tag in inside["tags"]]}
        built = FACETS[name](**inside, producer=facet["_producer"])
        assert built._schemaURL == facet["_schemaURL"]
    return said


def judged(event):
    """The event as the standard's client builds it."""
    sides = {}
    for side, kind in (("inputs", event_v2.InputDataset), ("outputs", event_v2.OutputDataset)):
        sides[side] = [kind(**(each | {"facets": facets(each["facets"])})) for each in event[side]]
    built = event_v2.RunEvent(
        eventType=event_v2.RunState(event["eventType"]),
        eventTime=event["eventTime"],
        producer=event["producer"],
        run=event_v2.Run(**(event["run"] | {"facets": facets(event["run"]["facets"])})),
        job=event_v2.Job(**(event["job"] | {"facets": facets(event["job"]["facets"])})),
        **sides,
    )
    assert event.keys() == {"eventType", "eventTime", "producer", "schemaURL", "run", "job", "inputs", "outputs"}
    assert built.schemaURL == event["schemaURL"]
    return built


def test_each_event_is_openlineage(found):
    assert [judged(event).eventType.value for event in run_events(found)] == ["START", "COMPLETE"] * 2


def test_the_judge_of_events_refuses_what_is_none():
    event = run_events(papers())[0]
    event["job"]["facets"]["jobType"]["language"] = "python"
    with pytest.raises(TypeError, match="language"):
        judged(event)


def test_events_tell_the_walk_from_data_to_figures():
    begun, trained, _, measured = run_events(papers())
    assert begun["run"]["runId"] == trained["run"]["runId"] != measured["run"]["runId"]
    assert [d["name"] for d in trained["inputs"]] == ["bbc-news-train-clean", "/shelf/config.json"]
    assert trained["inputs"][0]["facets"]["version"]["datasetVersion"] == "1" * 32
    (checkpoint,) = trained["outputs"]
    assert checkpoint in measured["inputs"]
    assert {tag["key"]: tag["value"] for tag in measured["run"]["facets"]["tags"]["tags"]} == {
        "accuracy": "0.9753",
        "f1": "0.97",
    }
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", e["eventTime"]) for e in (begun, trained, measured))


def test_a_rejected_release_says_so_wherever_it_goes():
    found = papers()
    rejected = found.release.status.approval.model_copy(update={"state": ApprovalState.REJECTED})
    status = found.release.status.model_copy(update={"approval": rejected})
    release = found.release.model_copy(update={"status": status})
    assert approval(release, rejected)["predicate"]["decision"] == "Rejected"
    bom = bill_of_materials(bare().__class__(release=release, builder_version="1"))
    assert {"name": "cdl:approval", "value": "Rejected"} in bom["metadata"]["component"]["properties"]
