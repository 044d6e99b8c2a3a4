"""The story: who does what between a push and its end, and what the platform makes of it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from cdl.api.conditions import ConditionType
from cdl.api.v1alpha1 import DataPipeline, Experiment, ModelDeployment, Release
from cdl.cli.asking import loading
from cdl.cli.timing import ran

from .clock import Turn
from .eyes import Eyes, headline
from .people import Refused
from .platform import PRODUCTION, Stuck, holds, substance
from .project import DATA, REVIEWED, ROOT, Edit, write

if TYPE_CHECKING:
    from pathlib import Path

    from .people import Person
    from .platform import Platform
    from .project import Project

FIRST = "first-model"


class Story:
    """What becomes of one project."""

    def __init__(
        self, platform: Platform, project: Project, data: tuple[Edit, ...] = (), eyes: Eyes | None = None
    ) -> None:
        """Play it on a platform whose forge is open; `data` are edits of what the data pipeline says."""
        self.platform = platform
        self.project = project
        self.eyes = eyes or Eyes(platform)
        self.turns: list[Turn] = []
        self._data = data

    def who(self, role: str) -> Person:
        """Give somebody of the team."""
        return self.platform.people[role]

    # --- what happens once --------------------------------------------------------------------------------------------

    def set_up(self) -> None:
        """Make the repository, have it followed, and let the data engineer's pipeline go straight to production."""
        project, eyes = self.project, self.eyes
        eyes.say("devops-engineer", f"cdl forge follow {project.path}")
        self.platform.cdl("forge", "follow", project.path)
        setter = self.who("devops-engineer")
        folder = setter.clone(project.path)
        (folder / "README.md").write_text(f"# {project.name}\n\nWhat production is kept true to: branch main.\n")
        write(ROOT / "templates" / "every", folder, "CODEOWNERS")
        setter.commit(folder, "Set the repository up")
        setter.push(folder, "main")
        engineer = self.who("data-engineer")
        mine = engineer.branch(project.path, "data")
        write(project.source, mine, DATA)
        for edit in self._data:
            edit.make(mine)
        engineer.commit(mine, "Say where the data comes from and what it must look like")
        engineer.push(mine, "data")
        setter.git(folder, "pull", "--quiet", "--ff-only", "origin", "data")
        sha = setter.push(folder, "main")
        eyes.say("devops-engineer", f"pushed the data engineer's pipeline to main: {sha[:12]}")
        self.eyes.on_production(project.name)
        self.platform.until("the data is ready in production", self._data_ready, self.eyes.look)

    def _data_ready(self) -> bool:
        found = self.platform.find(DataPipeline, PRODUCTION, self.project.name)
        return holds(found, ConditionType.READY)

    # --- merge requests -----------------------------------------------------------------------------------------------

    def first_model(self) -> Turn:
        """Bring a first model into production: data scientist and software engineer work on one branch."""
        scientist, folder = self._begin(FIRST)
        write(self.project.source, folder, "model", "samples", "resources/experiment.yaml")
        REVIEWED.make(folder)
        scientist.commit(folder, "Train a first model")
        scientist.push(folder, FIRST)
        engineer = self.who("software-engineer")
        theirs = engineer.branch(self.project.path, FIRST)
        engineer.git(theirs, "reset", "--quiet", "--hard", f"origin/{FIRST}")
        write(self.project.source, theirs, "serve", "resources/modeldeployment.yaml")
        engineer.commit(theirs, "Answer over HTTP")
        engineer.push(theirs, FIRST)
        scientist.git(folder, "pull", "--quiet", "--ff-only", "origin", FIRST)
        return self._promoted(scientist, folder, FIRST, "A first model")

    def rejected(self) -> Turn:
        """Try what does not learn: the gate says so, and the validator closes the merge request."""
        title, edits = self.project.worse
        scientist, folder = self._begin("slowly")
        for edit in edits:
            edit.make(folder)
        scientist.commit(folder, title)
        turn, sha = self._pushed(scientist, folder, "slowly", title)
        experiment = self._judged(turn, sha)
        if not holds(experiment, ConditionType.STALLED):
            message = f"{self.project.name}: what should not have learned was released as {experiment.status.release}"
            raise Stuck(message)
        validator = self.who("validator")
        validator.close(self.project.path, turn.number, "Below its gate: not for production.")
        self.eyes.say("validator", f"closed !{turn.number}: below its gate, not for production")
        turn.decided = turn.ended = time.time()
        turn.outcome = "rejected"
        return turn

    def promoted(self) -> Turn:
        """Try a change that may be merged."""
        title, edits = self.project.better
        scientist, folder = self._begin("better")
        for edit in edits:
            edit.make(folder)
        scientist.commit(folder, title)
        return self._promoted(scientist, folder, "better", title)

    def reverted(self, what: Turn) -> Turn:
        """Take a merged change back by a merge request: the Release before it answers again, and nothing trains."""
        scientist, folder = self._begin("back")
        scientist.git(folder, "revert", "--no-edit", "--mainline", "1", self._merged_as(what))
        return self._promoted(scientist, folder, "back", f"Revert !{what.number}: {what.title}", outcome="reverted")

    # --- the steps of a merge request ---------------------------------------------------------------------------------

    def _begin(self, branch: str) -> tuple[Person, Path]:
        scientist = self.who("data-scientist")
        return scientist, scientist.branch(self.project.path, branch)

    def _merged_as(self, turn: Turn) -> str:
        return str(self.who("data-scientist").request(self.project.path, turn.number).merge_commit_sha)

    def _pushed(self, who: Person, folder: Path, branch: str, title: str) -> tuple[Turn, str]:
        """Push and open a merge request: from here on the clock runs."""
        project = self.project
        turn = Turn(project.name, 0, title, pushed=time.time())
        sha = who.push(folder, branch)
        turn.number = who.open(project.path, branch, title, "What it runs and how it does, the platform tells below.")
        self.turns.append(turn)
        self.eyes.heading(f"{project.name} !{turn.number}: {title}")
        address = who.request(project.path, turn.number).web_url
        self.eyes.say(who.name, f"pushed {sha[:12]} to {branch} and opened {address}")
        self.eyes.on(project.path, project.name, turn.number, sha)
        return turn, sha

    def preview(self, turn: Turn) -> Experiment | None:
        """Give the Experiment of a merge request."""
        return self.platform.find(Experiment, f"{self.project.name}-mr-{turn.number}", self.project.name)

    def _judged(self, turn: Turn, sha: str) -> Experiment:
        """Wait until the merge request says how its candidate does."""
        status = f"cdl/{self.project.name}-mr-{turn.number}/Experiment/{self.project.name}"
        scientist = self.who("data-scientist")

        def judged() -> bool:
            found = self.preview(turn)
            return found is not None and bool(found.status.release or holds(found, ConditionType.STALLED))

        def said() -> bool:
            state, _ = scientist.statuses(self.project.path, sha).get(status, ("", ""))
            # what runs cannot be said to wait, in GitLab's words; the note can
            return "approval" in self.note(turn) or state in {"failed", "success"}

        self.platform.until("the candidate is judged", judged, self.eyes.look)
        turn.told = self.platform.until("the merge request says so", said, self.eyes.look)
        found = self.preview(turn)
        if found is None:
            message = f"{self.project.name}-mr-{turn.number}: its Experiment is gone"
            raise Stuck(message)
        turn.worked += ran(found)
        data = self.platform.find(DataPipeline, found.metadata.namespace, self.project.name)
        ready = data.status.condition(ConditionType.DATA_READY) if data is not None else None
        turn.data = ready.last_transition_time.timestamp() if ready and ready.last_transition_time else 0
        return found

    def _promoted(self, who: Person, folder: Path, branch: str, title: str, outcome: str = "promoted") -> Turn:
        turn, sha = self._pushed(who, folder, branch, title)
        candidate = self._judged(turn, sha)
        before = self.platform.served(self.project.name)
        self._refuse_author(turn, sha)
        self.who("validator").approve(self.project.path, turn.number, sha)
        self.eyes.say("validator", f"read the note and approved !{turn.number} at {sha[:12]}")
        turn.decided = self.platform.until("the approval counts", lambda: self._approved(candidate), self.eyes.look)
        merged = self.who("devops-engineer").merge(self.project.path, turn.number, sha)
        turn.merged = time.time()
        self.eyes.say("devops-engineer", f"merged !{turn.number} as {merged[:12]}")
        turn.ended = self.platform.until(
            f"{merged[:12]} is served", lambda: self._serves(candidate, merged), self.eyes.look
        )
        turn.outcome = outcome
        self._answers(turn, before)
        return turn

    def _refuse_author(self, turn: Turn, sha: str) -> None:
        """Let who wrote it approve it: that counts for nothing."""
        scientist = self.who("data-scientist")
        try:
            scientist.approve(self.project.path, turn.number, sha)
            self.eyes.say(scientist.name, "approved their own work, which counts for nothing")
        except Refused as refused:
            self.eyes.say(scientist.name, f"may not approve their own work: {refused}")

    def _approved(self, experiment: Experiment) -> bool:
        release = self.platform.release_of(experiment)
        return release is not None and release.approved

    def _serves(self, candidate: Experiment, merged: str) -> bool:
        """Say whether production answers with what the merge request showed."""
        shown = self.platform.release_of(candidate)
        experiment = self.platform.find(Experiment, PRODUCTION, self.project.name)
        deployment = self.platform.find(ModelDeployment, PRODUCTION, self.project.name)
        if shown is None or experiment is None or deployment is None or experiment.metadata.revision != merged:
            return False
        mine = self.platform.release_of(experiment)
        same = mine is not None and substance(mine) == substance(shown)
        return (
            same and deployment.status.release == experiment.status.release and holds(deployment, ConditionType.READY)
        )

    def _answers(self, turn: Turn, before: str) -> None:
        """Ask the served model, and say where the time went."""
        deployment = self.platform.find(ModelDeployment, PRODUCTION, self.project.name)
        if deployment is None:
            return
        load = loading(deployment)
        turn.worked += [load] if load is not None else []
        told = self.platform.cdl(
            "predict", self.project.name, *map(os.path.relpath, self.project.samples), "-n", PRODUCTION
        )
        for line in told.rstrip().splitlines():
            self.eyes.say("cdl predict", " ".join(line.split()))
        release = self.platform.find(Release, PRODUCTION, deployment.status.release)
        by = release.status.approval.by if release is not None else ""
        self.eyes.say(
            PRODUCTION,
            f"{before or 'nothing'} -> {deployment.status.release}, approved by {by}, {turn.wall:.1f} s after the push",
        )

    def note(self, turn: Turn) -> str:
        """Give the headline of a merge request's note."""
        notes = self.who("data-scientist").notes(self.project.path, turn.number, "platform")
        return headline(notes[0]) if notes else ""
