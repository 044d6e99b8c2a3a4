"""The published contract of a forge, kept by python-gitlab on the embedded one; and what the driver makes of faults."""

from __future__ import annotations

import contextlib
import itertools
from concurrent.futures import ThreadPoolExecutor

import gitlab
import pytest

from cdl.engines.gitlab import GitLabForge, reading
from cdl.ports.errors import Conflict, NotPermitted, Rejected, Unavailable
from cdl.ports.forge import LEVELS, CommitState
from cdl.testing.forge_contract import ForgeContract
from tests.wire.drivers.deaf import Deaf
from tests.wire.forge.forges import ForgeServer, token

NAMES = itertools.count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    started = ForgeServer(tmp_path_factory.mktemp("forge") / "state").start()
    yield started
    assert started.stop() == 0


@pytest.fixture
def deaf(server):
    with Deaf(f"127.0.0.1:{server.port}").running() as between:
        yield between


@pytest.fixture
def project(server):
    fields = {"name": f"p{next(NAMES)}", "namespace_path": "team", "initialize_with_readme": True}
    return server.client("platform").projects.create(fields)


@pytest.fixture
def forge(deaf, project):
    forge = GitLabForge(deaf.url, token("validator"), project.path_with_namespace)
    yield forge
    forge._gitlab.session.close()


class TestGitLab(ForgeContract):
    @pytest.fixture(autouse=True)
    def _people(self, server, deaf, project):
        self.server, self.deaf, self.of = server, deaf, project.path_with_namespace
        self.count = itertools.count(1)
        self.clients = []
        yield
        for client in self.clients:
            client.session.close()

    @pytest.fixture
    def engine(self, deaf, server):
        # A user of its own, as in production: nobody but the platform speaks with its token.
        engine = GitLabForge(deaf.url, token("platform"), self.of, seconds=20)
        yield engine
        engine._gitlab.session.close()

    def person(self, name):
        client = self.server.client(name)
        self.clients.append(client)
        return client.projects.get(self.of, lazy=True)

    def pushed(self, engine, branch, author="developer"):
        actions = [{"action": "create", "file_path": f"{branch}/{next(self.count)}", "content": "x"}]
        project = self.person(author)
        fields = {"branch": branch, "commit_message": "Work", "actions": actions}
        names = {found.name for found in project.branches.list(get_all=True)}
        start = {} if branch in names else {"start_branch": "main"}
        return project.commits.create(fields | start).id

    def proposed(self, engine, branch, sha, *, draft=False, target="main"):
        fields = {"source_branch": branch, "target_branch": target, "title": "Draft: it" if draft else "It"}
        self.person("developer").mergerequests.create(fields)
        return engine.merge_request_of(branch)

    def ruled(self, engine, name, *people):
        fields = {"name": name, "approvals_required": 1, "usernames": list(people)}
        self.person("validator").approvalrules.create(fields)

    def shown(self, engine, markdown):
        secret, name = markdown.partition("](/uploads/")[2].removesuffix(")").split("/")
        project = self.person("guest")
        return project.manager.gitlab.http_get(
            f"/projects/{project.encoded_id}/uploads/{secret}/{name}", raw=True
        ).content

    def review_of(self, number, who="validator"):
        return self.person(who).mergerequests.get(number)

    def approved(self, engine, number, *, back=False):
        review = self.review_of(number)
        review.unapprove() if back else review.approve(sha=review.sha)

    def say(self, engine, number, body, *, ours=False):
        self.review_of(number, "platform" if ours else "validator").notes.create({"body": body})

    def heard(self, engine, number):
        listed = self.review_of(number).notes.list(get_all=True, sort="asc")
        return [note.body for note in listed if not note.system]

    def closed(self, engine, number):
        review = self.review_of(number)
        review.state_event = "close"
        review.save()

    def forbid(self, engine):
        project = self.person("validator")
        project.protectedbranches.delete("main")
        project.protectedbranches.create({"name": "main", "push_access_level": 0, "merge_access_level": 0})

    def lose_reply(self, engine):
        self.deaf.lose = True

    def writes(self, engine, sha, name):
        return len(
            self.person("validator").commits.get(sha, lazy=True).statuses.list(get_all=True, all=True, name=name)
        )


def test_what_is_read_is_tried_again(forge, deaf, project):
    deaf.refuse = 2
    assert forge.statuses(project.commits.list(get_all=False)[0].id) == ()


def test_what_is_written_is_not_tried_again(forge, deaf, project):
    sha = project.commits.list(get_all=False)[0].id
    assert forge.statuses(sha) == ()
    deaf.lose = True
    with pytest.raises(Unavailable):
        forge.set_status(sha, "cdl/train", CommitState.RUNNING)
    assert sum(method == "POST" for method, _ in deaf.passed) == 1
    forge.set_status(sha, "cdl/train", CommitState.RUNNING)
    assert sum(method == "POST" for method, _ in deaf.passed) == 1


@pytest.mark.parametrize(
    ("who", "of", "error"),
    [("nobody", "", NotPermitted), ("reporter", "", NotPermitted), ("validator", "team/none", Conflict)],
)
def test_a_refusal_is_one_of_ours_and_names_no_token(server, project, who, of, error):
    forge = GitLabForge(server.url, token(who), of or project.path_with_namespace)
    with contextlib.closing(forge._gitlab.session), pytest.raises(error) as caught:
        forge.set_status(project.commits.list(get_all=False)[0].id, "cdl/train", CommitState.RUNNING)
    assert token(who) not in str(caught.value)


def test_nobody_there_is_said(project):
    forge = GitLabForge("http://127.0.0.1:9", token("validator"), project.path_with_namespace, seconds=2)
    with contextlib.closing(forge._gitlab.session), pytest.raises(Unavailable, match="does not answer"):
        forge.merge_request_of("main")


def test_a_page_instead_of_an_answer_is_said_in_few_words(forge, deaf):
    deaf.refuse = 9
    with pytest.raises(Unavailable, match="answers 502"):
        forge.merge_request_of("main")


def test_what_squashing_and_merging_made_leads_back(forge, project):
    fields = {"branch": "b", "start_branch": "main", "commit_message": "x"}
    head = project.commits.create(fields | {"actions": [{"action": "create", "file_path": "f", "content": "x"}]}).id
    fields = {"source_branch": "b", "target_branch": "main", "title": "b", "squash": True}
    review = project.mergerequests.create(fields)
    commit = forge.merge(review.iid, head)
    done = project.mergerequests.get(review.iid)
    assert len({head, commit, done.squash_commit_sha}) == 3
    found = [forge.merge_request_of(sha) for sha in (head, commit, done.squash_commit_sha)]
    assert [one.number for one in found] == [review.iid] * 3


def test_a_gitlab_that_lists_no_merge_commits_is_looked_through(project):
    """Older versions know of a merge request by the commits in it alone."""
    fields = {"branch": "b", "start_branch": "main", "commit_message": "x"}
    head = project.commits.create(fields | {"actions": [{"action": "create", "file_path": "f", "content": "x"}]}).id
    review = project.mergerequests.create({"source_branch": "b", "target_branch": "main", "title": "b"})
    review.merge()
    merged = project.mergerequests.get(review.iid).attributes
    assert reading.made(merged, merged["merge_commit_sha"])
    assert not reading.made(merged, head)
    assert reading.made(merged | {"merge_commit_sha": None, "sha": head}, head)  # a fast-forward makes no commit
    assert not reading.made(merged | {"state": "opened", "merge_commit_sha": None}, head)


RULE = {"id": 1, "name": "validators", "rule_type": "regular", "approved_by": [{"id": 7}], "source_rule": None}


@pytest.mark.parametrize(
    ("overwritten", "rule", "counts"),
    [
        (False, {}, True),
        (False, {"rule_type": "any_approver"}, False),
        (False, {"rule_type": "code_owner"}, False),
        (False, {"approved_by": [{"id": 8}]}, False),
        (True, {}, False),  # whoever opened it may have written this one
        (True, {"source_rule": {"approvals_required": 1}}, True),
        (True, {"source_rule": {"approvals_required": 1}, "overridden": True}, False),
    ],
)
def test_only_a_rule_of_the_project_makes_a_role(overwritten, rule, counts):
    state = {"approval_rules_overwritten": overwritten, "rules": [RULE | rule]}
    assert reading.rules(state, 7) == ({"validators"} if counts else set())


@pytest.mark.parametrize(
    ("access", "last"), [(0, ""), (5, ""), (10, "guest"), (15, "guest"), (40, "maintainer"), (60, "owner")]
)
def test_a_level_may_what_the_ones_below_may(access, last):
    found = reading.levels(access)
    assert found == set(LEVELS[: LEVELS.index(last) + 1] if last else ())


def test_a_fork_is_told_from_a_branch(project):
    fields = {"branch": "b", "start_branch": "main", "commit_message": "x"}
    project.commits.create(fields | {"actions": [{"action": "create", "file_path": "f", "content": "x"}]})
    review = project.mergerequests.create({"source_branch": "b", "target_branch": "main", "title": "b"}).attributes
    sources = [review["source_project_id"], review["source_project_id"] + 1, None]
    assert [reading.merge_request(review | {"source_project_id": n}).fork for n in sources] == [False, True, True]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_forge_that_has_no_time_is_asked_later(forge, deaf, status):
    deaf.refuse, deaf.status = 9, status
    with pytest.raises(Unavailable, match=f"GitLab answers {status}"):
        forge.open_merge_requests("main")


def test_a_status_follows_its_commit_to_another_branch(forge, project, server):
    sha = project.commits.list(get_all=False)[0].id
    forge.set_status(sha, "cdl/train", CommitState.RUNNING)
    project.branches.create({"branch": "another", "ref": sha})
    forge.set_status(sha, "cdl/train", CommitState.SUCCESS)
    kept = project.commits.get(sha, lazy=True).statuses.list(get_all=True, all=True)
    assert [(status.name, status.status) for status in kept] == [("cdl/train", "success")]


def test_a_text_too_long_for_gitlab_is_cut(forge, project):
    sha = project.commits.list(get_all=False)[0].id
    for _ in range(2):
        forge.set_status(sha, "cdl/train", CommitState.FAILED, "word " * 100, "https://cdl.test/" + "x" * 300)
    (status,) = forge.statuses(sha)
    assert (len(status.description), status.url) == (255, "")


def test_a_key_cannot_end_its_comment(forge, project):
    fields = {"branch": "b", "start_branch": "main", "commit_message": "x"}
    project.commits.create(fields | {"actions": [{"action": "create", "file_path": "f", "content": "x"}]})
    review = project.mergerequests.create({"source_branch": "b", "target_branch": "main", "title": "b"})
    for _ in range(2):
        forge.note(review.iid, "a --> b", "hello")
    (note,) = [n for n in review.notes.list(get_all=True) if not n.system]
    assert note.body.count("-->") == 1
    with pytest.raises(Rejected):
        forge.note(review.iid, "empty", "x" * 1_000_001)


def test_two_of_us_at_once_leave_one_note(server, project):
    fields = {"branch": "b", "start_branch": "main", "commit_message": "x"}
    project.commits.create(fields | {"actions": [{"action": "create", "file_path": "f", "content": "x"}]})
    review = project.mergerequests.create({"source_branch": "b", "target_branch": "main", "title": "b"})
    both = [GitLabForge(server.url, token("platform"), project.path_with_namespace) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        addresses = list(pool.map(lambda forge: forge.note(review.iid, "report", "same"), both))
    for forge in both:
        forge._gitlab.session.close()
    (note,) = [n for n in review.notes.list(get_all=True) if not n.system]
    assert set(addresses) == {f"{review.web_url}#note_{note.id}"}


def test_the_client_is_the_real_one():
    assert gitlab.__version__ == "4.5.0"
