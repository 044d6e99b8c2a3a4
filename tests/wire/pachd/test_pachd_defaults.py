"""Defaults of pipeline specs: the cluster's, a project's, and what a spec says itself."""

import json
import signal

import pytest
from pachyderm_sdk.api import pfs, pps

from tests.wire.pachd.refusals import refused

NEWS = pfs.Project(name="default")


@pytest.fixture
def server(own_pachd):
    server = own_pachd()
    server.put(server.repo("raw"), {"/a": b"1"})
    return server


def spec(name, **fields):
    source = {"pfs": {"repo": "raw", "glob": "/*", "name": "in"}}
    return json.dumps({"pipeline": {"name": name}, "input": source, "transform": {"cmd": ["true"]}, **fields})


def create(server, name, **fields):
    server.client.pps.create_pipeline_v2(create_pipeline_request_json=spec(name, **fields))
    return pps.Pipeline(name=name)


def details(server, pipeline):
    return server.client.pps.inspect_pipeline(pipeline=pipeline, details=True).details


def wrapped(**fields):
    return json.dumps({"createPipelineRequest": fields})


def test_there_are_none_at_first(server):
    assert server.client.pps.get_cluster_defaults().cluster_defaults_json == "{}"
    assert server.client.pps.get_project_defaults(project=NEWS).project_defaults_json == "{}"
    assert refused(server.client.pps.get_project_defaults, project=pfs.Project(name="nowhere"))[0] == "NOT_FOUND"


def test_the_nearer_word_counts_and_null_takes_away(server):
    client = server.client
    client.pps.set_cluster_defaults(
        cluster_defaults_json=wrapped(
            datumTries=5, description="of the cluster", autoscaling=True, resourceRequests={"cpu": 2, "memory": "1G"}
        )
    )
    client.pps.set_project_defaults(
        project=NEWS, project_defaults_json=wrapped(datum_tries=6, resource_requests={"memory": None, "disk": "2G"})
    )
    plain = details(server, create(server, "plain"))
    assert (plain.datum_tries, plain.description, plain.autoscaling) == (6, "of the cluster", True)
    requests = plain.resource_requests
    assert (requests.cpu, requests.memory, requests.disk) == (2, "", "2G")
    own = details(server, create(server, "own", datum_tries=1, autoscaling=False, description=None))
    assert (own.datum_tries, own.description, own.autoscaling) == (1, "", False)
    # What the user wrote is kept as it was; the effective spec says what came of it.
    info = client.pps.inspect_pipeline(pipeline=pps.Pipeline(name="plain"))
    assert json.loads(info.user_spec_json) == json.loads(spec("plain"))
    assert json.loads(info.effective_spec_json)["datumTries"] == "6"
    # They survive, and a spec that comes as a message gets them too.
    server.end(signal.SIGKILL)
    server.start()
    assert json.loads(server.client.pps.get_cluster_defaults().cluster_defaults_json)
    old = server.pipeline(pfs.Repo(name="raw"), "true", name="old")
    assert details(server, old).datum_tries == 6


def test_pipelines_follow_only_when_asked_and_only_where_something_changes(server):
    client = server.client
    plain, own = create(server, "plain"), create(server, "own", datumTries=9)
    cron = {"cross": [{"pfs": {"repo": "raw", "glob": "/*", "name": "in"}}, {"cron": {"name": "t", "spec": "@never"}}]}
    ticking = create(server, "ticking", input=cron, datumTries=9)
    wanted = wrapped(datumTries=4)
    assert client.pps.set_cluster_defaults(cluster_defaults_json=wanted).affected_pipelines == []
    assert details(server, plain).datum_tries == 3
    dry = client.pps.set_cluster_defaults(cluster_defaults_json=wrapped(datumTries=8), regenerate=True, dry_run=True)
    assert [p.name for p in dry.affected_pipelines] == ["plain"]
    assert client.pps.get_cluster_defaults().cluster_defaults_json == wanted
    done = client.pps.set_cluster_defaults(cluster_defaults_json=wanted, regenerate=True)
    assert [p.name for p in done.affected_pipelines] == ["plain"]
    versions = {p.name: client.pps.inspect_pipeline(pipeline=p).version for p in (plain, own, ticking)}
    assert versions == {"plain": 2, "own": 1, "ticking": 1}
    assert details(server, plain).datum_tries == 4
    # The same once more changes nothing; a project's defaults lie over the cluster's.
    again = client.pps.set_cluster_defaults(cluster_defaults_json=wanted, regenerate=True)
    assert again.affected_pipelines == []
    over = client.pps.set_project_defaults(
        project=NEWS, project_defaults_json=wrapped(datumTries=2), regenerate=True, reprocess=True
    )
    assert [p.name for p in over.affected_pipelines] == ["plain"]
    assert server.job(plain).data_processed == 1  # reprocessed, for so it was asked


def test_defaults_that_no_spec_could_have_are_refused(server):
    client = server.client
    for text, said in (
        ("nothing", "not JSON"),
        ("[]", "not a JSON object"),
        (wrapped(colour="blue"), "unknown field 'colour'"),
        (wrapped(datumTries="many"), "cannot be read"),
    ):
        code, found = refused(client.pps.set_cluster_defaults, cluster_defaults_json=text)
        assert (code, said in found) == ("INVALID_ARGUMENT", True), found
        assert (
            refused(client.pps.set_project_defaults, project=NEWS, project_defaults_json=text)[0] == "INVALID_ARGUMENT"
        )
    assert client.pps.get_cluster_defaults().cluster_defaults_json == "{}"
