"""What stands behind an answer: nodes, and edges that lead from each thing to what it was made from."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cdl.reconcile.experiment.warm import start_behind
from cdl.reconcile.origin import adopted_from

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from pydantic import JsonValue

    from cdl.api.v1alpha1 import DataPipeline, Experiment, ModelDeployment, Release

PREDICTION = re.compile(r"(?P<release>[0-9a-f]{12})-.+", re.DOTALL)
"""The model server calls an answer by the first digits of its Release's digest, and by the request's own id."""


@dataclass(frozen=True, slots=True)
class Node:
    """One thing, with what is known of it."""

    id: str
    kind: str
    """What sort of thing it is: as the members of a Release are called, or a resource's kind."""
    title: str
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Edge:
    """A thing and what it came from."""

    source: str
    target: str
    relation: str


@dataclass(frozen=True, slots=True)
class Graph:
    """The walk; the first node is where it begins."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    def plain(self) -> dict[str, JsonValue]:
        """Write it as JSON data."""
        nodes: list[JsonValue] = [
            {"id": n.id, "kind": n.kind, "title": n.title, "facts": dict(n.facts)} for n in self.nodes
        ]
        edges: list[JsonValue] = [{"from": e.source, "to": e.target, "relation": e.relation} for e in self.edges]
        return {"nodes": nodes, "edges": edges}


@dataclass(frozen=True, slots=True)
class Behind:
    """What the walk is made of; a resource that is gone is None, and the members still tell what it was."""

    release: Release
    deployments: tuple[ModelDeployment, ...] = ()
    experiment: Experiment | None = None
    pipeline: DataPipeline | None = None
    prediction: str = ""
    synthetic: bool = False


def release_named_by(prediction: str, releases: Iterable[Release]) -> tuple[Release, ...] | None:
    """Give the Releases that may have made this answer; None: that is no id of an answer."""
    match = PREDICTION.fullmatch(prediction)
    if match is None:
        return None
    return tuple(r for r in releases if r.spec.digest.startswith(f"sha256:{match['release']}"))


def graph(behind: Behind) -> Graph:
    """Walk from the answer, or from what serves the Release, to code, environment and sources."""
    walk = _Walk(behind)
    walk.serving()
    walk.deciding()
    walk.training()
    walk.data()
    return Graph(tuple(walk.nodes.values()), tuple(walk.edges))


@dataclass(slots=True)
class _Walk:
    behind: Behind
    nodes: dict[str, Node] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)

    def serving(self) -> None:
        it, release = self.behind, self.behind.release
        answer = self.put("prediction", it.prediction, []) if it.prediction else ""
        above = [self._deployment(each) for each in it.deployments]
        name = self.put("release", release.metadata.name, [("digest", release.spec.digest)])
        for deployment in above:
            self.link(deployment, name, "serves")
        for each in (above or [name]) if answer else ():
            self.link(answer, each, "answered by")

    def _deployment(self, found: ModelDeployment) -> str:
        status, model = found.status, found.spec.model
        policy = f"{model.policy} {model.version}" if model.version else model.policy.value
        rows = [("address", status.url), ("policy", policy), ("before", status.previous_release)]
        return self.put("deployment", found.metadata.name, rows)

    def deciding(self) -> None:
        release = self.behind.release
        said, name = release.status.approval, f"release/{release.metadata.name}"
        compared = ", ".join(p.release for p in said.production)
        rows = [
            ("decided by", said.by),
            ("at", said.at.isoformat(timespec="seconds") if said.at else ""),
            ("reason", said.reason),
            ("merge request", said.merge_request.url if said.merge_request else ""),
            ("good until", said.expires_at.isoformat(timespec="seconds") if said.expires_at else ""),
            *_figures(said.metrics),
            ("compared with", compared),
            ("attestation", said.attestation),
        ]
        by = f" by {said.by}" if said.by else ""
        self.link(name, self.put("approval", f"{said.state.value}{by}", rows), "decided in")
        if release.status.provenance:
            statement = self.put("provenance", "signed statement", [("address", release.status.provenance)])
            self.link(name, statement, "attested by")
        measured = self.member("evaluation")
        rows = [("entrypoint", _text(measured.get("entrypoint"))), *_figures(_table(measured.get("metrics")))]
        evaluation = self.put("evaluation", f"run {_text(measured.get('run'))}", [*rows, *_kept(measured, "report")])
        self.link(name, evaluation, "measured in")
        serve = self.member("code", "serve")
        if serve:
            rows = [("entrypoint", _text(serve.get("entrypoint"))), *_of(serve, "digest", "uri")]
            code = self.put("serving code", _brief(serve.get("digest")), rows)
            self.link(name, code, "answers with")

    def training(self) -> None:
        checkpoint, run, environment = self.member("checkpoint"), self.member("experiment"), self.member("environment")
        files = [(file, _text(digest)) for file, digest in _table(checkpoint.get("files")).items()]
        weights = self.put(
            "checkpoint", _text(checkpoint.get("uuid")), [*_of(checkpoint, "digest", "uri"), *files[:MOST_FILES]]
        )
        self.link(self.one("evaluation"), weights, "of")
        figures = [(str(name), _text(value)) for name, value in _table(run.get("hparams")).items()]
        rows = [*_of(run, "metric", "seed", "key"), *self._adopted(), *figures]
        trial = self.put("trial", f"run {_text(run.get('run'))}, trial {_text(run.get('trial'))}", rows)
        self.link(weights, trial, "saved by")
        made_by = self.behind.experiment.metadata.name if self.behind.experiment else self.behind.release.spec.model
        experiment = self.put("experiment", made_by, _kept(run, "config"))
        self.link(trial, experiment, "asked for by")
        model = self.member("code", "model")
        code = self.put("code", _brief(model.get("digest")), _of(model, "digest", "uri"))
        self.link(trial, code, "ran")
        packages = _table(environment.get("packages"))
        rows = [
            *_of(environment, "python", "image"),
            *((str(name), _text(version)) for name, version in packages.items()),
            *_kept(environment, "lock"),
        ]
        self.link(trial, self.put("environment", f"Python {_text(environment.get('python'))}", rows), "ran in")
        self._git(code)
        self._warm(trial)

    def _warm(self, trial: str) -> None:
        """What the trial began with, where that were no random weights."""
        start = start_behind(self.behind.release.spec.members)
        if start is None:
            return
        rows = [("policy", start.policy.value), ("checkpoint", start.checkpoint), ("digest", start.digest)]
        weights = self.put("weights", start.release or start.checkpoint, [*rows, ("frozen", ", ".join(start.freeze))])
        self.link(trial, weights, "began with")

    def _adopted(self) -> list[tuple[str, str]]:
        """Whose trial it is, where nothing was trained for this Release."""
        origin = adopted_from(self.behind.release.spec.members)
        if not origin:
            return []
        other = f"{_text(origin.get('namespace'))}/{_text(origin.get('name'))}"
        return [("adopted from", other), ("its digest", _text(origin.get("digest")))]

    def _git(self, code: str) -> None:
        git = self.member("git")
        authors = git.get("authors")
        rows = [("commit", _text(git.get("commit")))]
        rows += [("author", _text(author)) for author in (authors if isinstance(authors, list) else ())]
        commit = self.put("git", _text(git.get("commit"))[:12] or "no commit", rows)
        above = [code, self.one("experiment")]
        if "serving code" in {n.kind for n in self.nodes.values()}:
            above.append(self.one("serving code"))
        for each in above:
            self.link(each, commit, "comes from")

    def data(self) -> None:
        data, labels = self.member("data"), self.member("labels")
        named = [("dataset", _text(data.get("version"))), ("pipeline", _text(data.get("pipeline")))]
        if self.behind.synthetic:
            named.append(("data", "SYNTHETIC look-alikes"))
        for side, above, relation in (("train", "trial", "learned from"), ("test", "evaluation", "measured on")):
            place = self.member("data", side)
            rows = [*_of(place, "repo", "commit"), *named]
            commit = self.put("data", f"{side} {_text(place.get('commit'))[:12]}", rows)
            self.link(self.one(above), commit, relation)
        snapshot = self.put("labels", _brief(labels.get("snapshot")), _of(labels, "snapshot", "rows"))
        transforms = self.put("transforms", _brief(self.member("transforms").get("digest")), self._steps())
        for commit in [n.id for n in self.nodes.values() if n.kind == "data"]:
            self.link(commit, snapshot, "labelled by")
            self.link(commit, transforms, "made by")
        for source in self._sources():
            self.link(transforms, source, "read")
            self.link(snapshot, source, "taken from")

    def _steps(self) -> list[tuple[str, str]]:
        digest = [("digest", _text(self.member("transforms").get("digest")))]
        if not self._is_todays():
            return [*digest, ("steps", "the DataPipeline says others by now, or is gone")]
        steps = self.behind.pipeline.spec.steps if self.behind.pipeline else ()
        return [*digest, *((s.name, s.uses or " ".join(s.cmd)) for s in steps)]

    def _sources(self) -> Iterator[str]:
        pipeline = self.behind.pipeline
        since = "" if self._is_todays() else "as the DataPipeline says now; this dataset is an older one"
        for source in pipeline.spec.sources if pipeline else ():
            rows = [("address", source.uri), ("sha256", source.sha256 or ""), ("note", since)]
            yield self.put("source", source.name, rows)

    def _is_todays(self) -> bool:
        """The pipeline's own spec made this dataset: nothing about it was changed since."""
        pipeline = self.behind.pipeline
        now = pipeline.status.dataset if pipeline else None
        return now is not None and now.version == self.member("data").get("version")

    def member(self, *path: str) -> Mapping[str, JsonValue]:
        found: JsonValue = self.behind.release.spec.members
        for name in path:
            found = found.get(name) if isinstance(found, dict) else None
        return found if isinstance(found, dict) else {}

    def one(self, kind: str) -> str:
        return next(n.id for n in self.nodes.values() if n.kind == kind)

    def put(self, kind: str, title: str, facts: Iterable[tuple[str, str]]) -> str:
        made = Node(f"{kind}/{title}", kind, title or "-", tuple((k, v) for k, v in facts if v))
        self.nodes[made.id] = made
        return made.id

    def link(self, source: str, target: str, relation: str) -> None:
        edge = Edge(source, target, relation)
        if edge not in self.edges:
            self.edges.append(edge)


MOST_FILES = 6


def _table(value: JsonValue) -> Mapping[str, JsonValue]:
    return value if isinstance(value, dict) else {}


def _of(member: Mapping[str, JsonValue], *names: str) -> list[tuple[str, str]]:
    return [(name, _text(member.get(name))) for name in names]


def _kept(member: Mapping[str, JsonValue], name: str) -> list[tuple[str, str]]:
    """A document that a member names, by digest and address."""
    kept = _table(member.get(name))
    return [(name, _text(kept.get("digest"))), (f"{name} at", _text(kept.get("uri")))]


def _figures(metrics: Mapping[str, JsonValue] | Mapping[str, float]) -> list[tuple[str, str]]:
    return [(str(name), _text(value)) for name, value in metrics.items()]


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _brief(digest: JsonValue) -> str:
    return _text(digest).removeprefix("sha256:")[:12]
