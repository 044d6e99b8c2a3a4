"""Chapter 6 on a project that takes seconds: from a push to a served answer, a rejection, a promotion and a revert."""

import contextlib
import gzip
import json
import os
import signal
import stat
from base64 import b64encode
from pathlib import Path

import pytest

from cdl.api.conditions import ConditionType, Reason
from cdl.api.v1alpha1 import Experiment, ModelDeployment, Release
from cdl.api.v1alpha1.release import ApprovalState
from demos.gitops.eyes import Eyes
from demos.gitops.platform import PRODUCTION, Platform, substance
from demos.gitops.project import EXPERIMENT, Edit, Project
from demos.gitops.turns import Story
from tests.e2e.conftest import notes, write_notes

TINY = Project(
    "tiny",
    Path(__file__).parent / "tiny",
    ("Search a smaller range", (Edit(EXPERIMENT, "maxval: 2.0", "maxval: 1.5"),)),
    ("Take every word for a sign of falling", (Edit("model/words.py", "words[name]", "words[CLASSES[0]]"),)),
)
SECRET_FILES = {"tokens.json", "platform.git", "webhook.secret"}


class Played:
    """A story that came to its end, and what was seen on the way."""

    def __init__(self, folder, eyes=Eyes):
        data = folder / "data"
        data.mkdir()
        write_notes(data, notes(32))
        self.platform = Platform(folder / "home", data, limit=300)
        self.platform.start_afresh()
        self.platform.open_forge()
        self.story = Story(self.platform, TINY, eyes=eyes(self.platform))
        self.path = TINY.path

    def play(self):
        story = self.story
        story.set_up()
        self.first = story.first_model()
        self.released = self.in_production()
        self.slowly = story.rejected()
        self.kept = self.in_production()
        self.better = story.promoted()
        self.replaced = self.in_production()
        self.back = story.reverted(self.better)
        return self

    def in_production(self):
        """What answers, and what stands for it."""
        experiment = self.platform.find(Experiment, PRODUCTION, "tiny")
        deployment = self.platform.find(ModelDeployment, PRODUCTION, "tiny")
        release = self.platform.find(Release, PRODUCTION, deployment.status.release)
        return experiment, deployment, release

    def candidate(self, turn):
        """The Release that a merge request showed."""
        (found,) = self.platform.all(Release, f"tiny-mr-{turn.number}")
        return found

    def request(self, turn):
        return self.story.who("data-scientist").request(self.path, turn.number)

    def notes(self, turn):
        return self.story.who("data-scientist").notes(self.path, turn.number, "platform")

    def statuses(self, turn):
        """Name and state of everything a head says of itself, however often it was said."""
        project = self.story.who("data-scientist").project(self.path)
        head = project.commits.get(self.request(turn).sha, lazy=True)
        return sorted((one.name, one.status) for one in head.statuses.list(iterator=True))


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    made = Played(tmp_path_factory.mktemp("story"))
    try:
        yield made.play()
    finally:
        made.platform.cdl("stop")


def test_every_merge_request_came_to_its_end(played):
    ends = [(turn.outcome, played.request(turn).state) for turn in played.story.turns]
    assert ends == [("promoted", "merged"), ("rejected", "closed"), ("promoted", "merged"), ("reverted", "merged")]


def test_each_merge_request_has_one_note_and_one_status_a_name(played):
    for turn in played.story.turns:
        assert len(played.notes(turn)) == 1
        names = [name for name, _ in played.statuses(turn)]
        assert len({*names}) == len(names)
        assert f"cdl/tiny-mr-{turn.number}/Experiment/tiny" in names
        assert f"cdl/sync/tiny-mr-{turn.number}" in names


def test_the_statuses_say_what_became_of_it(played):
    for turn in (played.first, played.better, played.back):
        assert dict(played.statuses(turn))[f"cdl/tiny-mr-{turn.number}/Experiment/tiny"] == "success"
    assert dict(played.statuses(played.slowly))[f"cdl/tiny-mr-{played.slowly.number}/Experiment/tiny"] == "failed"


def test_what_fails_its_gate_never_came_near_production(played):
    assert played.platform.all(Release, f"tiny-mr-{played.slowly.number}") == ()
    assert played.released[2].spec == played.kept[2].spec
    assert played.kept[1].status.release == played.released[1].status.release


def test_production_trained_nothing(played):
    for experiment, _, _ in (played.released, played.replaced):
        assert experiment.status.condition(ConditionType.TRAINED).reason is Reason.ADOPTED
    runs = {
        turn.number: played.candidate(turn).spec.members["experiment"]["run"] for turn in (played.first, played.better)
    }
    assert runs[played.first.number] != runs[played.better.number]
    assert played.released[2].spec.members["experiment"]["run"] == runs[played.first.number]
    assert played.replaced[2].spec.members["experiment"]["run"] == runs[played.better.number]
    assert played.candidate(played.back).spec.members["experiment"]["run"] == runs[played.first.number]


def test_what_is_served_is_what_was_shown_and_approved(played):
    for turn, (_, deployment, release) in ((played.first, played.released), (played.better, played.replaced)):
        shown = played.candidate(turn)
        assert substance(release) == substance(shown)
        taken = release.spec.members["git"]["adoptedFrom"]
        assert (taken["namespace"], taken["digest"]) == (shown.metadata.namespace, shown.spec.digest)
        assert deployment.status.release == release.metadata.name
        for approved in (release, played.candidate(turn)):
            approval = approved.status.approval
            assert (approval.state, approval.by) == (ApprovalState.APPROVED, "validator")
            assert (approval.merge_request.number, approval.merge_request.sha) == (
                turn.number,
                played.request(turn).sha,
            )


def test_the_revert_serves_the_old_release_again(played):
    _, deployment, release = played.in_production()
    assert deployment.status.release == played.released[1].status.release
    assert release.spec.digest == played.released[2].spec.digest
    assert release.spec.digest != played.replaced[2].spec.digest
    assert len(played.platform.all(Release, PRODUCTION)) == 2


def test_a_preview_serves_nobody_and_is_gone_with_its_merge_request(played):
    for turn in played.story.turns:
        namespace = f"tiny-mr-{turn.number}"
        assert played.platform.all(ModelDeployment, namespace) == ()
        assert played.platform.all(Experiment, namespace) == ()


def test_no_secret_is_where_others_read(played):
    home = played.platform.home
    tokens = [person.token for person in played.platform.people.values()]
    secrets = {
        *tokens,
        (home / "forge" / "webhook.secret").read_text(),
        b64encode(f"platform:{tokens[-1]}".encode()).decode(),
    }
    found = set()
    for path in home.rglob("*"):
        if not path.is_file() or path.is_symlink():
            continue
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            with contextlib.suppress(OSError, EOFError):
                content = gzip.decompress(content)
        if any(secret.encode() in content for secret in secrets):
            found.add(path)
    readable = {path for path in found if stat.S_IMODE(path.stat().st_mode) != 0o600}
    # the forge knows what it shows its hooks; nobody else may enter its folder
    assert {path.name for path in readable} <= {"forge.sqlite", "forge.sqlite-wal"}
    assert {path.parent for path in found} == {home / "forge"}
    assert stat.S_IMODE((home / "forge").stat().st_mode) == 0o700
    assert {path.name for path in found} - {path.name for path in readable} == SECRET_FILES
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes()
            assert not any(secret.encode() in words for secret in secrets)


def test_whose_own_work_it_is_cannot_approve_it_though_the_forge_lets_them(played):
    story, validator = played.story, played.story.who("validator")
    project = story.who("platform").project(played.path)
    project.merge_requests_author_approval = True
    project.save()
    folder = validator.branch(played.path, "own")
    Edit(EXPERIMENT, "maxval: 2.0", "maxval: 1.8").make(folder)
    validator.commit(folder, "Search as the validator likes")
    turn, sha = story._pushed(validator, folder, "own", "Search as the validator likes")
    candidate = story._judged(turn, sha)
    validator.approve(played.path, turn.number, sha)

    def waits(namespace):
        found = played.platform.find(Experiment, namespace, "tiny")
        waiting = found.status.condition(ConditionType.RECONCILING)
        return found if waiting and "approved by validator, who is an author" in waiting.message else None

    played.platform.until("the author is named", lambda: waits(f"tiny-mr-{turn.number}"), story.eyes.look)
    assert played.candidate(turn).status.approval.state is ApprovalState.PENDING
    before = played.in_production()[1].status.release
    story.who("devops-engineer").merge(played.path, turn.number, sha)
    played.platform.until("production waits", lambda: waits(PRODUCTION), story.eyes.look)
    experiment, deployment, _ = played.in_production()
    assert deployment.status.release == before
    assert not played.platform.release_of(experiment).approved
    assert substance(played.platform.release_of(experiment)) == substance(played.candidate(turn))
    assert candidate.status.run.id == experiment.status.run.id


class Saboteur(Eyes):
    """Kills the operator, the follower or both at every fifth news, and has them started again."""

    victims = (("operator",), ("gitops-tiny",), ("operator", "gitops-tiny"))

    def __init__(self, platform):
        super().__init__(platform)
        self.kills = 0
        self._news = 0

    def _once(self, who, what, more="", **how):
        known = len(self._told)
        super()._once(who, what, more, **how)
        self._news += len(self._told) - known
        if self._news == 5:
            self._news = 0
            self._kill(self.victims[self.kills % len(self.victims)])

    def _kill(self, names):
        for name in names:
            record = json.loads((self._platform.home / "processes" / f"{name}.json").read_text())
            os.kill(record["pid"], signal.SIGKILL)
        self.kills += 1
        self.say("chance", f"kill -9 {' '.join(names)}")
        self._platform.cdl("forge", "up")


@pytest.mark.slow
@pytest.mark.timeout(2400)
def test_killed_at_any_moment_there_is_one_of_everything(tmp_path):
    story = Played(tmp_path, Saboteur)
    try:
        story.play()
        assert story.story.eyes.kills >= 10
        test_each_merge_request_has_one_note_and_one_status_a_name(story)
        test_production_trained_nothing(story)
        test_what_is_served_is_what_was_shown_and_approved(story)
        test_the_revert_serves_the_old_release_again(story)
        test_a_preview_serves_nobody_and_is_gone_with_its_merge_request(story)
    finally:
        story.platform.cdl("stop")
