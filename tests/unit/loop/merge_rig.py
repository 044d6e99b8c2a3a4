"""A project on a forge, and an operator: people push, review, merge; resources follow as `cdl gitops` applies them."""

from __future__ import annotations

from cdl.api.conditions import ConditionType
from cdl.api.meta import AUTHORS_ANNOTATION, PROJECT_ANNOTATION, REVISION_ANNOTATION, Key
from cdl.api.v1alpha1 import DataPipeline, Experiment, Release
from cdl.loop.release import AT_ONCE, Releases
from cdl.testing.builders import experiment_document, pipeline_document
from cdl.testing.world import World

PROJECT = "team/news"
MAIN = "news"


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

    def apply(self, namespace, sha, **annotations):
        """Apply what a commit says."""
        notes = {REVISION_ANNOTATION: sha, AUTHORS_ANNOTATION: "developer@example.org", PROJECT_ANNOTATION: PROJECT}
        for kind, document in (
            (DataPipeline, pipeline_document()),
            (Experiment, experiment_document(**{"approval": {"policy": "MergeRequest"}} | self.said.get(sha, {}))),
        ):
            meta = {**document["metadata"], "namespace": namespace, "annotations": notes | annotations}
            self.world.resources.put(kind.read({**document, "metadata": meta}))

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

    def trained(self, namespace):
        return [r for r in self.world.training.runs if r.owner.namespace == namespace]
