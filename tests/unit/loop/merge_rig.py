"""A project on a forge, and an operator: people push, review, merge; resources follow as `cdl gitops` applies them."""

from __future__ import annotations

import json
from hashlib import sha256

from cdl.api.conditions import ConditionType, Reason
from cdl.api.meta import AUTHORS_ANNOTATION, PROJECT_ANNOTATION, REVISION_ANNOTATION, Key
from cdl.api.v1alpha1 import DataPipeline, Experiment, Release
from cdl.loop.release import AT_ONCE, Releases
from cdl.loop.verify import Witnesses, verify
from cdl.reconcile.release import APPROVED_DIGEST, DECIDED_AT, DECIDED_BY, REJECTED_DIGEST, Silence
from cdl.reconcile.release.statement import PAYLOAD_TYPE
from cdl.reconcile.summary import fact
from cdl.testing.builders import experiment_document, pipeline_document, source_document
from cdl.testing.memory import archive
from cdl.testing.world import NEWS, World

PROJECT = "team/news"
DIGEST = object()
NOTES = {"approved": APPROVED_DIGEST, "rejected": REJECTED_DIGEST, "by": DECIDED_BY, "at": DECIDED_AT}
MAIN = "news"
OTHER = "https://example.test/other.tar"


def preview(number):
    return f"news-mr-{number}"


class Town:
    """One operator, production and previews."""

    def __init__(self, folder):
        self.world = World(folder)
        self.forge = self.world.forge
        self.releases_turner = Releases(self.world.engines, lambda: self.world.now)
        self.said = {}
        """What a commit asks for."""
        self.sources = [source_document()]

    # --- git and the forge ---

    def commit(self, branch, author="developer", **spec):
        sha = self.forge.push(branch, author)
        self.said[sha] = spec
        return sha

    def propose(self, branch, author="developer", **spec):
        """Push and open a merge request, which is previewed."""
        sha = self.commit(branch, author, **spec)
        request = self.forge.propose(branch, sha, author)
        self.apply(preview(request.number), sha)
        return request

    def approve(self, number, who="validator", sha=""):
        review = self.forge.reviews[number]
        review.approvals[who] = sha or review.seen.sha

    def merge(self, number):
        """Merge, let production follow, and close the preview; what is merged is what was proposed."""
        review = self.forge.reviews[number]
        merged = self.forge.merge(number, review.seen.sha)
        self.said[merged] = self.said[review.seen.sha]
        self.apply(MAIN, merged)
        return merged

    # --- cdl gitops ---

    def wanted(self, namespace, sha, **annotations):
        """What a commit says, as it is applied into a namespace."""
        notes = {REVISION_ANNOTATION: sha, AUTHORS_ANNOTATION: "developer@example.org", PROJECT_ANNOTATION: PROJECT}
        spec = {"approval": {"policy": "MergeRequest"}} | self.said.get(sha, {})
        documents = {DataPipeline: pipeline_document(sources=self.sources), Experiment: experiment_document(**spec)}
        return [
            kind.read(
                {**document, "metadata": {"name": "news", "namespace": namespace, "annotations": notes | annotations}}
            )
            for kind, document in documents.items()
        ]

    def apply(self, namespace, sha, **annotations):
        """Apply what a commit says."""
        for resource in self.wanted(namespace, sha, **annotations):
            self.world.resources.put(resource)

    def drop(self, namespace):
        for kind in (Experiment, DataPipeline):
            self.world.resources.delete(Key(kind.__name__, namespace, "news"))

    # --- the operator ---

    def settle(self):
        self.world.settle()
        for release in self.world.resources.list(Release):
            while self.releases_turner.turn(release.metadata.namespace, release.metadata.name) == AT_ONCE:
                pass
        self.world.settle()

    # --- what there is ---

    def experiment(self, namespace=MAIN):
        return self.world.resources.get(Experiment, namespace, "news")

    def releases(self, namespace=MAIN):
        return self.world.resources.list(Release, namespace)

    def approvals(self, namespace=MAIN):
        return [(r.metadata.name, r.status.approval.by) for r in self.releases(namespace) if r.approved]

    def says(self, namespace=MAIN, kind=ConditionType.READY):
        condition = self.experiment(namespace).status.condition(kind)
        return condition.reason.value, condition.message

    def asked(self):
        """How often anybody asked the forge for a merge request."""
        return self.world.sky.calls.count("look for a merge request")

    def trained(self, namespace):
        return [r for r in self.world.training.runs if r.owner.namespace == namespace]

    def note(self, name="news-1", namespace=MAIN, **notes):
        """Leave a note on a Release, as `cdl approve` and `cdl reject` do."""
        release = self.world.resources.get(Release, namespace, name)
        meta = release.metadata
        said = {key: release.spec.digest if value is DIGEST else value for key, value in notes.items()}
        noted = meta.model_copy(update={"annotations": {**meta.annotations, **{NOTES[k]: v for k, v in said.items()}}})
        self.world.resources.put(release.model_copy(update={"metadata": noted}))

    def turn_all(self):
        keys = self.world.keys()
        for key in keys:
            self.world.turn(key)

    def settle_for(self, rounds):
        for _ in range(rounds):
            self.turn_all()
            self.world.advance()

    def rewrite(self, namespace):
        """Change a Release behind the platform's back, as whoever may write to the store can."""
        [release] = self.releases(namespace)
        self.world.resources.put(release.model_copy(update={"spec": release.spec.model_copy(update={"version": 9})}))

    def void(self, namespace, reason):
        """Let the rounds have found that something is missing."""
        [release] = self.releases(namespace)
        said = fact(ConditionType.VERIFIED, holds=False, reason=Reason(reason), message="data train commit is missing")
        status = release.status.model_copy(update={"conditions": (*release.status.conditions, said)})
        self.world.resources.write_status(release.key, status, release.metadata.resource_version)

    def other_data(self):
        """Publish one more document, and let every pipeline read it from now on."""
        content = archive(NEWS | {"sport/99.txt": "late news"})
        self.world.sources.places[OTHER] = content
        self.sources = [source_document(uri=OTHER, sha256=sha256(content).hexdigest())]

    def statement(self, release):
        uri = release.status.approval.attestation
        sha = uri.rpartition("/")[2].partition(".")[0]
        envelope = json.loads(self.world.artifacts.fetch(uri, sha).read_bytes())
        return json.loads(self.world.signer.opened(envelope, PAYLOAD_TYPE))

    def broken(self, release):
        """What `cdl verify` finds changed or missing; the weights in memory are nowhere."""
        world = self.world
        nowhere = Silence("no git repository", asked=False)
        asked = Witnesses(world.artifacts, world.resources, world.data, world.training, nowhere, world.signer)
        return [f.sentence for f in verify(asked, release) if f.state.broken and f.path != "weights"]


def waits(town, namespace=MAIN):
    """What an Experiment waits for, between how every such sentence begins and ends."""
    return waits_for(town, "news-1", namespace)


def waits_for(town, release, namespace):
    """What it waits for, of a Release of that name."""
    reason, message = town.says(namespace)
    assert reason == "WaitingForApproval"
    said, by_hand = f"{release} waits for its merge request: ", f"; or by hand: cdl approve {release}"
    assert message.startswith(said)
    assert message.endswith(by_hand)
    return message.removeprefix(said).removesuffix(by_hand)
