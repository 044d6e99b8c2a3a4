"""What a Release was made in, as OpenLineage events: two runs, what each read and what it wrote."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .names import uuid_of
from .provenance import EXPERIMENT_LABEL
from .statement import member

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import JsonValue

    from .papers import Papers
    from .statement import Table

SPEC = "https://openlineage.io/spec"
EVENT = f"{SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
Span = tuple["datetime | None", "datetime | None"]


def run_events(papers: Papers) -> tuple[Table, ...]:
    """Tell of training and evaluation, each with its start and its end.

    Where nobody knows any more when they ran, both are told with the moment at which the Release was written.
    """
    release = papers.release
    train, test, checkpoint = _side(papers, "train"), _side(papers, "test"), _checkpoint(papers)
    said = papers.experiment
    trained: Span = (said.run.started_at, said.run.finished_at) if said and said.run else (None, None)
    measured: Span = (None, None)
    if said and said.evaluation:
        measured = (said.evaluation.started_at, said.evaluation.finished_at)
    config, report = member(release, "experiment", "config"), member(release, "evaluation", "report")
    training = _Run(papers, "train", member(release, "experiment").get("run"), trained)
    evaluation = _Run(papers, "evaluate", member(release, "evaluation").get("run"), measured)
    return (
        *training.events([train, _kept(papers, config)], [checkpoint]),
        *evaluation.events([checkpoint, test], [_kept(papers, report)], _figures(papers)),
    )


class _Run:
    """One run of one job."""

    def __init__(self, papers: Papers, job: str, run: JsonValue, span: Span) -> None:
        metadata, written = papers.release.metadata, papers.release.metadata.creation_timestamp or LONG_AGO
        self._papers = papers
        self._name = f"{metadata.labels.get(EXPERIMENT_LABEL) or papers.release.spec.model}.{job}"
        self._namespace = f"cdl/{metadata.namespace}"
        self._id = uuid_of("openlineage", self._namespace, self._name, run)
        self._begun, self._ended = span[0] or span[1] or written, span[1] or written

    def events(self, inputs: list[Table], outputs: list[Table], figures: Table | None = None) -> Iterator[Table]:
        read: list[JsonValue] = [each for each in inputs if each]
        wrote: list[JsonValue] = [each for each in outputs if each]
        yield self._event("START", self._begun, {}, read, [])
        yield self._event("COMPLETE", self._ended, figures or {}, read, wrote)

    def _event(
        self, kind: str, at: datetime, facets: Table, inputs: list[JsonValue], outputs: list[JsonValue]
    ) -> Table:
        return {
            "eventType": kind,
            "eventTime": at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "producer": _producer(self._papers),
            "schemaURL": EVENT,
            "run": {"runId": self._id, "facets": facets},
            "job": {"namespace": self._namespace, "name": self._name, "facets": _job(self._papers)},
            "inputs": inputs,
            "outputs": outputs,
        }


def _job(papers: Papers) -> Table:
    code, commit = member(papers.release, "code", "model"), member(papers.release, "git").get("commit")
    kind: Table = {"processingType": "BATCH", "integration": "CDL", "jobType": "EXPERIMENT"}
    facets: Table = {"jobType": _facet(papers, "2-0-3/JobTypeJobFacet", kind)}
    if code.get("uri"):
        # The archive is what ran, byte for byte; the commit is where people find it.
        where: Table = {"type": "archive", "url": code["uri"], "version": commit or code.get("digest")}
        facets["sourceCodeLocation"] = _facet(papers, "1-0-1/SourceCodeLocationJobFacet", where)
    return facets


def _figures(papers: Papers) -> Table:
    """The metrics, as tags of the run: OpenLineage has no facet for what a model was measured to do."""
    tags: list[JsonValue] = [
        {"key": name, "value": repr(value), "source": "EVALUATION"} for name, value in sorted(papers.metrics.items())
    ]
    return {"tags": _facet(papers, "1-0-0/TagsRunFacet", {"tags": tags})}


def _side(papers: Papers, side: str) -> Table:
    said = member(papers.release, "data", side)
    return _dataset(papers, "pfs", str(said.get("repo")), said.get("commit")) if said else {}


def _checkpoint(papers: Papers) -> Table:
    said, name = member(papers.release, "checkpoint"), papers.release.metadata.name
    return _dataset(papers, "checkpoint", str(said.get("uri") or said.get("uuid") or name), said.get("digest"))


def _kept(papers: Papers, said: Table) -> Table:
    return _dataset(papers, "artifact", str(said.get("uri")), said.get("digest")) if said.get("uri") else {}


def _dataset(papers: Papers, kind: str, name: str, version: JsonValue) -> Table:
    """A dataset in a namespace; one whose name is an address is called by what is behind the scheme."""
    scheme, _, path = name.partition("://")
    namespace, called = (scheme, path) if path else (kind, name)
    facets: Table = {}
    if version:
        facets["version"] = _facet(papers, "1-0-1/DatasetVersionDatasetFacet", {"datasetVersion": version})
    return {"namespace": namespace, "name": called, "facets": facets}


def _facet(papers: Papers, schema: str, said: Table) -> Table:
    name = schema.rpartition("/")[2]
    return {"_producer": _producer(papers), "_schemaURL": f"{SPEC}/facets/{schema}.json#/$defs/{name}", **said}


def _producer(papers: Papers) -> str:
    return f"https://cdl.dev/cdl/{papers.builder_version}"
