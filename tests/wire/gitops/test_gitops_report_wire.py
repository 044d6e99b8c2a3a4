"""What the embedded forge shows of what is followed, read by the real python-gitlab; and a reporter that is killed."""

import itertools
import time
from dataclasses import replace

import pytest
from requests.adapters import HTTPAdapter

from cdl.api.v1alpha1 import Release
from cdl.engines.gitlab import GitLabForge
from cdl.gitops.watch import beating
from cdl.testing.weather import Crash, Weather
from tests.unit.gitops.reporting_rig import HOME, Followed
from tests.wire.forge.forges import ForgeServer, token, until

NAMES = itertools.count(1)


class Wire(HTTPAdapter):
    """The way to the forge: a process may die before a request goes out, and before its answer comes in."""

    def __init__(self, weather):
        super().__init__()
        self.weather = weather

    def send(self, request, **how):
        self.weather.moment()
        answer = super().send(request, **how)
        self.weather.moment()
        return answer


class OnForge(Followed):
    """What is followed is on a real forge; people are python-gitlab."""

    def __init__(self, folder, server, project):
        self.server, self.project, self.numbers = server, project, itertools.count(1)
        super().__init__(folder)
        self.weather = Weather()
        self.clients = []
        self.forge = self.driver()
        self.reporter = self.again()

    def driver(self):
        forge = GitLabForge(self.server.url, token("platform"), self.project.path_with_namespace)
        forge._gitlab.session.mount("http://", Wire(self.weather))
        self.clients.append(forge._gitlab)
        return forge

    def close_clients(self):
        for client in self.clients:
            client.session.close()

    def push(self, branch):
        actions = [{"action": "create", "file_path": f"{branch}/{next(self.numbers)}", "content": "x"}]
        fields = {"branch": branch, "commit_message": "Work", "actions": actions}
        there = {found.name for found in self.project.branches.list(get_all=True)}
        return self.project.commits.create(fields | ({} if branch in there else {"start_branch": "main"})).id

    def push_main(self, **spec):
        sha = self.push("main")
        self.follow(sha, **spec)
        return sha

    def opened(self, branch):
        """A merge request that nobody previews."""
        self.push(branch)
        fields = {"source_branch": branch, "target_branch": "main", "title": f"Take {branch}"}
        self.project.mergerequests.create(fields)
        return self.forge.merge_request_of(branch)

    def propose(self, branch="lr", **spec):
        seen = self.opened(branch)
        self.preview(seen.number, seen.sha, **spec)
        return seen

    def notes(self, number):
        found = self.project.mergerequests.get(number).notes.list(get_all=True)
        return [note for note in found if not note.system]

    def note(self, number):
        (note,) = self.notes(number)
        return note.body.partition("\n")[2]

    def told_of(self, sha):
        return [(s.name, s.status) for s in self.project.commits.get(sha).statuses.list(get_all=True)]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    started = ForgeServer(tmp_path_factory.mktemp("forge") / "state").start()
    yield started
    assert started.stop() == 0


@pytest.fixture
def followed(server, tmp_path):
    people = server.client("validator")
    fields = {"name": f"r{next(NAMES)}", "namespace_path": "team", "initialize_with_readme": True}
    followed = OnForge(tmp_path, server, people.projects.create(fields))
    followed.push_main()
    followed.settle()
    followed.approve(HOME, "news-1")
    yield followed
    followed.close_clients()
    people.session.close()


def test_a_merge_request_is_told_until_it_is_served(followed):
    seen = followed.propose(learning_rate=0.05)
    followed.beat(times=2)
    assert "**Production trains again.**" in followed.note(1)
    followed.settle()
    followed.beat(times=2)
    assert "waits for a validator" in followed.note(1)
    assert sorted(followed.told_of(seen.sha)) == [
        ("cdl/news-mr-1/DataPipeline/news", "success"),
        ("cdl/news-mr-1/Experiment/news", "pending"),
        ("cdl/sync/news-mr-1", "success"),
    ]
    followed.approve("news-mr-1", "news-1")
    followed.beat(times=2)
    assert ("cdl/news-mr-1/Experiment/news", "success") in followed.told_of(seen.sha)
    merged = followed.forge.merge(1, seen.sha)
    followed.close(1)
    followed.follow(merged, learning_rate=0.05)
    followed.settle()
    followed.approve(HOME, "news-2")
    followed.beat(times=2)
    assert followed.note(1).startswith(f"### Merged as `{merged[:12]}`")
    assert "`news` serves `news-2` since" in followed.note(1)
    address = f"{seen.url}#note_{followed.notes(1)[0].id}"
    shown = followed.project.commits.get(merged).statuses.list(get_all=True)
    assert {status.target_url for status in shown} == {address}
    assert {status.status for status in shown} == {"success"}


def test_an_approval_that_is_revoked_before_the_merge_is_told_and_promotes_nothing(followed):
    """By python-gitlab as a person has it, on the forge that the operator asks."""
    followed.world.forge = followed.forge
    agreeing = followed.server.client("platform")
    sha = followed.opened("lr").sha
    review = agreeing.projects.get(followed.project.id, lazy=True).mergerequests.get(1, lazy=True)
    by_review, experiment = {"approval": {"policy": "MergeRequest"}}, "cdl/news-mr-1/Experiment/news"
    followed.preview(1, sha, learning_rate=0.05, **by_review)
    followed.settle()
    review.approve(sha=sha)
    followed.settle()
    followed.beat(times=2)
    assert (experiment, "success") in followed.told_of(sha)
    review.unapprove()
    followed.settle()
    followed.beat(times=2)
    assert [state for name, state in followed.told_of(sha) if name == experiment] == ["pending"]
    assert "waits again for a validator's approval" in followed.note(1)
    merged = followed.forge.merge(1, sha)
    followed.close(1)
    followed.follow(merged, learning_rate=0.05, **by_review)
    followed.settle()
    assert [r.metadata.name for r in followed.world.resources.list(Release, HOME) if r.approved] == ["news-1"]
    followed.beat(times=2)
    assert "news-2 waits for its merge request" in followed.note(1)
    agreeing.session.close()


def test_killed_at_every_request_there_is_one_note_and_one_status_a_name(followed):
    """Before a request is sent, and after the forge has done what nobody hears of."""
    followed.propose(learning_rate=0.05)
    followed.settle()
    first, moments = followed.previews.pop(1), 0
    for moment in range(0, 400, 3):  # every third, before a request as well as after one
        seen = followed.opened(f"b{moment}")
        followed.previews = {seen.number: replace(first, sha=seen.sha, merge_request=seen.number)}
        kept = f"told-{moment}"
        reporter, died = followed.again(followed.driver(), kept), False
        followed.weather.crash_in = moment
        for _ in range(3):
            try:
                followed.now += 1
                reporter.beat(followed.scene)
            except Crash:
                died, reporter = True, followed.again(followed.driver(), kept)
        assert "waits for a validator" in followed.note(seen.number)
        names = [name for name, _ in followed.told_of(seen.sha)]
        assert len(names) == len(set(names)) == 3
        moments += died
        if not died:
            break
    assert moments >= 6
    print(f"\nkilled at {moments} moments")


def test_the_end_of_training_reaches_the_merge_request(followed):
    """How long it takes is printed: five seconds are promised, and the beat is one."""
    seen = followed.propose(learning_rate=0.05)
    reporter = followed.again()
    reporter.clock = time.monotonic
    with beating(reporter.beat, lambda: followed.scene):
        until(lambda: followed.notes(1) and len(followed.told_of(seen.sha)) == 3)
        followed.settle()
        ended = time.monotonic()
        until(lambda: "waits for a validator" in followed.note(1))
        print(f"\nfrom the end of training to the note: {time.monotonic() - ended:.2f} s")
    assert ("cdl/news-mr-1/DataPipeline/news", "success") in followed.told_of(seen.sha)
