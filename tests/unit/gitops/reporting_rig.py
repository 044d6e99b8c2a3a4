"""A project that is followed, engines in memory, a forge in memory, and a reporter that may die at any moment."""

import json
from dataclasses import replace

from cdl.api.meta import MANAGED_BY_LABEL, PROJECT_ANNOTATION, REVISION_ANNOTATION
from cdl.api.v1alpha1 import KINDS, Release, parse
from cdl.gitops.recalled import Memory
from cdl.gitops.report import Reporter
from cdl.gitops.scene import Scene, Target
from cdl.gitops.viewing import Viewer
from cdl.loop.diff import gather
from cdl.loop.plan import Planner
from cdl.loop.release import Releases
from cdl.reconcile.gitops import State
from cdl.reconcile.release import APPROVED_DIGEST, DECIDED_AT, DECIDED_BY, DECISION_REASON
from cdl.testing import builders
from cdl.testing.memory import MemoryForge
from cdl.testing.world import World

HOME = "production"
PROJECT = "news"
KINDS_OF_PREVIEWS = ("DataPipeline", "Experiment")


class Shelf:
    """The store in memory, as people and `cdl gitops` see it."""

    def __init__(self, resources):
        self._resources = resources

    def get(self, kind, namespace, name):
        return self._resources.get(kind, namespace, name)

    def list(self, kind, namespace=None):
        return self._resources.list(kind, namespace)

    def documents(self, kind=None, namespace=None):
        kinds = [KINDS[kind]] if kind else KINDS.values()
        return tuple(json.loads(r.model_dump_json(by_alias=True)) for k in kinds for r in self.list(k, namespace))


class Heard(MemoryForge):
    """Remembers every text of a note, also those that stood there for a moment only."""

    def __init__(self):
        super().__init__()
        self.texts = []

    def note(self, number, key, body):
        self.texts.append(body)
        return super().note(number, key, body)


class Followed:
    """Production, merge requests with previews, and the clock of whoever waits."""

    def __init__(self, folder):
        self.world = World(folder)
        self.forge = self.world.forge = Heard()
        self.folder = folder
        self.now = 0.0
        self.said = []
        self.plans = 0
        self.secrets = ()
        self.previews = {}
        self.main = None
        self.reporter = self.again()

    def again(self, forge=None, folder="told"):
        """A reporter that knows nothing but what is kept."""
        viewer = Viewer(Shelf(self.world.resources), self._facts, self._plan, self.secrets, lambda: self.now)
        memory = Memory(self.folder / folder)
        return Reporter(forge or self.forge, viewer, memory, lambda: self.now, self.said.append)

    def _facts(self, release):
        return gather(self.world.artifacts, self.world.data, release)

    def _plan(self, wanted):
        self.plans += 1
        return Planner(self.world.engines, self.world.now).plan(wanted)

    # --- what happens ---

    def documents(self, namespace, project, learning_rate=0.1, sha="", **spec):
        made = [
            builders.pipeline_document(),
            builders.experiment_document(learning_rate=learning_rate, **({"approval": {"policy": "Manual"}} | spec)),
            builders.deployment_document(),
        ]
        for one in made:
            one["metadata"] |= {"namespace": namespace, "labels": {MANAGED_BY_LABEL: project}}
            if sha:
                one["metadata"]["annotations"] = {REVISION_ANNOTATION: sha, PROJECT_ANNOTATION: "team/news"}
        return made

    def push_main(self, **spec):
        """Production follows a new commit."""
        sha = self.forge.push("main")
        self.follow(sha, **spec)
        return sha

    def follow(self, sha, **spec):
        """Production applies a commit."""
        keys = self.apply(self.documents(HOME, PROJECT, sha=sha, **spec))
        self.main = Target(PROJECT, HOME, sha, State.APPLIED, f"{sha[:12]} is applied: 3 resources", keys)

    def propose(self, branch="lr", **spec):
        """Somebody opens a merge request, and it is previewed."""
        seen = self.forge.propose(branch, self.forge.push(branch))
        self.preview(seen.number, seen.sha, **spec)
        return seen

    def preview(self, number, sha, **spec):
        """Apply a head."""
        project = f"{PROJECT}-mr-{number}"
        made = [d for d in self.documents(project, project, sha=sha, **spec) if d["kind"] in KINDS_OF_PREVIEWS]
        keys = self.apply(made)
        sentence = f"{sha[:12]} is applied: 2 resources"
        merged = tuple(self.documents(HOME, PROJECT, sha=sha, **spec))
        url = f"https://forge.test/project/-/merge_requests/{number}"
        target = Target(project, project, sha, State.APPLIED, sentence, keys, number, url, merged)
        self.previews[number] = target

    def apply(self, documents):
        """Write what a commit says."""
        resources = [parse(document, KINDS) for document in documents]
        for resource in resources:
            self.world.resources.put(resource)
        return tuple(resource.key for resource in resources)

    def close(self, number):
        """A merge request goes: its resources are pruned, its Releases stay."""
        target = self.previews.pop(number)
        for key in target.inventory:
            self.world.resources.delete(key)
        self.settle()

    def approve(self, namespace, name, by="vera", verdict=APPROVED_DIGEST):
        """A person decides about a Release, and the platform takes it over."""
        store = self.world.resources
        release = store.get(Release, namespace, name)
        notes = {verdict: release.spec.digest, DECIDED_BY: by, DECIDED_AT: self.world.now.isoformat()}
        notes[DECISION_REASON] = "looked at it"
        meta = release.metadata.model_copy(update={"annotations": {**release.metadata.annotations, **notes}})
        store.put(release.model_copy(update={"metadata": meta}))
        self.settle()

    def settle(self):
        """Let operators work until nothing moves."""
        for _ in range(2):
            self.world.settle()
            hand = Releases(self.world.engines, lambda: self.world.now)
            for release in self.world.resources.list(Release):
                for _ in range(5):
                    hand.turn(release.metadata.namespace, release.metadata.name)

    def work(self):
        """Let operators take one turn each, and a minute pass."""
        keys = self.world.keys()
        for key in keys:
            self.world.turn(key)
        self.world.advance()

    # --- what is seen ---

    @property
    def scene(self):
        return Scene("main", "team/news", (self.main, *self.previews.values()))

    def beat(self, seconds=1.0, times=1):
        for _ in range(times):
            self.now += seconds
            self.reporter.beat(self.scene)

    def note(self, number):
        """The one note of a merge request, as it was written."""
        (note,) = self.forge.reviews[number].notes
        return note.body.partition("\n")[2]

    def statuses(self, sha):
        return {s.name: s for s in self.forge.statuses(sha)}

    def change(self, number, **fields):
        self.previews[number] = replace(self.previews[number], **fields)
