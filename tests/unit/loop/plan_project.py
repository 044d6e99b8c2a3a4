"""A project in a world: edited commit by commit, planned, and then really worked on."""

from __future__ import annotations

from hashlib import sha256

from cdl.api.meta import REVISION_ANNOTATION, Key
from cdl.api.v1alpha1 import DataPipeline, Experiment, ModelDeployment, Release
from cdl.api.v1alpha1.release import ApprovalState, ApprovalStatus
from cdl.loop.plan import Planner
from cdl.loop.release import record_approval
from cdl.reconcile.plan import Verdict
from cdl.testing.builders import deployment_document, experiment_document, pipeline_document, source_document
from cdl.testing.memory import archive
from cdl.testing.world import World

RUN, REUSE, ROLLOUT, WAIT = Verdict.RUN, Verdict.REUSE, Verdict.ROLLOUT, Verdict.WAIT
STEPS = [{"name": "clean", "uses": "text/clean"}, {"name": "again", "uses": "text/clean"}]
CODE = {"uri": "file:///m.tar.gz", "sha256": "a" * 64}
SERVE = {"uri": "file:///s.tar.gz", "sha256": "a" * 64, "entrypoint": "serve:Model"}
PIPELINE = Key("DataPipeline", "default", "news")
SILENT = dict.fromkeys(("DataPipeline", "Experiment", "ModelDeployment"), "it does not run")


class Project:
    """A project in a world, edited commit by commit."""

    def __init__(self, folder):
        self.world = World(folder)
        self.specs = {
            DataPipeline: {"steps": STEPS, "sources": [source_document()]},
            Experiment: {"code": {"archive": CODE, "serve": SERVE}},
            ModelDeployment: {},
        }
        self.revision = "1"

    def edit(self, kind, **spec):
        self.specs[kind] = {**self.specs[kind], **spec}

    def wanted(self):
        documents = (
            pipeline_document("news", **self.specs[DataPipeline]),
            experiment_document("news", **self.specs[Experiment]),
            deployment_document("news", **self.specs[ModelDeployment]),
        )
        note = {REVISION_ANNOTATION: self.revision}
        return [
            kind.read({**document, "metadata": {**document["metadata"], "annotations": note}})
            for kind, document in zip(self.specs, documents, strict=True)
        ]

    def plan(self, silent=()):
        planner = Planner(self.world.engines, self.world.now, self.world.data.programs, {k: SILENT[k] for k in silent})
        return planner.plan(self.wanted())

    def apply(self):
        """Put the resources, and let the loop work; give the stages that ran."""
        before = self.counts()
        for resource in self.wanted():
            self.world.resources.put(resource)
        self.world.settle()
        after = self.counts()
        return {name for name in after if after[name] != before.get(name, 0)}

    def publish(self, files):
        """Let the sources be other bytes, pinned by their checksum."""
        content = archive(files)
        uri = f"https://example.test/{sha256(content).hexdigest()[:8]}.tar"
        self.world.sources.places[uri] = content
        self.edit(DataPipeline, sources=[source_document(uri=uri, sha256=sha256(content).hexdigest())])

    def approve_all(self):
        """Let a person approve what waits, and the loop work."""
        for release in self.world.resources.list(Release):
            if not release.approved:
                digest = release.spec.digest
                said = ApprovalStatus(state=ApprovalState.APPROVED, by="ada", at=self.world.now, digest=digest)
                record_approval(self.world.engines, "default", release.metadata.name, said)
        self.world.settle()

    def counts(self):
        """What was ever done, read off the engines."""
        world = self.world
        found = {}
        for (_, side, _), count in world.data.commits.items():
            found[f"ingest ({side})"] = found.get(f"ingest ({side})", 0) + count
        for (side, step), done in world.data.processed(PIPELINE).items():
            found[f"{step} ({side})"] = done
        for run in world.training.runs:
            name = "evaluate" if run.wish.evaluates else "train"
            found[name] = found.get(name, 0) + 1
        found["release"] = len(world.resources.list(Release))
        found["rollout"] = len(world.serving.served)
        return found


def verdicts(plan):
    return {s.label: s.verdict for r in plan.resources for s in r.stages}


def running(plan):
    """What a plan says will be done, but for what leaves no trace at an engine."""
    busy = {Verdict.RUN, Verdict.ROLLOUT}
    return {name for name, verdict in verdicts(plan).items() if verdict in busy} - {"gate", "approve"}


def unsure(plan):
    return {s.label for r in plan.resources for s in r.stages if not s.sure}


def replaced(plan):
    """Steps whose workers are others, which leaves no trace in what they made."""
    return {s.label for r in plan.resources for s in r.stages if s.verdict is ROLLOUT and s.name != "rollout"}


def reasons(plan):
    return "; ".join(r for p in plan.resources for s in p.stages for r in s.reasons)
