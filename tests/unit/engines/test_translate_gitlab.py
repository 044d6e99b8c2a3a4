"""What GitLab shows and refuses, in our words."""

from __future__ import annotations

import pytest
import requests
from gitlab import exceptions as sdk

from cdl.engines.gitlab import reading
from cdl.engines.gitlab.door import door, there
from cdl.ports.errors import Conflict, NotPermitted, Rejected, Unavailable
from cdl.ports.forge import Approval, CommitState

FIRST, SECOND = "1" * 40, "2" * 40
VERSIONS = [
    {"id": 2, "head_commit_sha": SECOND, "created_at": "2026-01-01T12:00:00.000+02:00"},
    {"id": 1, "head_commit_sha": FIRST, "created_at": "2026-01-01T09:00:00.000Z"},
]
VALIDATOR = {"id": 7, "username": "validator"}


def through(error):
    with pytest.raises(Exception) as caught, door("asking"):  # noqa: PT011 - what it is is what the tests are about
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, NotPermitted) for status in (401, 403)),
        *((status, Conflict) for status in (404, 409)),
        *((status, Rejected) for status in (400, 405, 406, 422)),
        *((status, Unavailable) for status in (408, 425, 429, 500, 502, 503, 521)),
    ],
)
def test_a_status_says_what_must_happen_next(status, kind):
    assert type(through(sdk.GitlabCreateError("said", status))) is kind
    assert str(through(sdk.GitlabGetError("said\nmore", status))) == "asking: said"


def test_every_exception_of_the_client_has_a_home():
    own = [c for c in vars(sdk).values() if isinstance(c, type) and issubclass(c, sdk.GitlabError)]
    assert len(own) > 40
    for kind in own:
        assert isinstance(through(kind("said")), Conflict | NotPermitted | Rejected | Unavailable)
    assert type(through(requests.ConnectTimeout())) is Unavailable
    assert str(through(sdk.GitlabHttpError("<html>updating</html>", 502))) == "asking: GitLab answers 502"


def test_what_is_not_there_is_none_and_other_refusals_stay():
    def missing():
        raise sdk.GitlabGetError("no", 404)

    def forbidden():
        raise sdk.GitlabGetError("no", 403)

    assert there(missing) is None
    with pytest.raises(sdk.GitlabGetError):
        there(forbidden)


@pytest.mark.parametrize(
    ("at", "sha"),
    [
        ("2026-01-01T09:30:00Z", FIRST),
        ("2026-01-01T10:00:00.001Z", SECOND),
        ("2026-01-01T10:00:00.000Z", FIRST),  # the very moment of the push
        ("2026-01-01T09:00:00.000Z", None),
    ],
)
def test_an_approval_is_of_what_was_there_then(at, sha):
    found = reading.approval({"user": VALIDATOR, "approved_at": at}, frozenset(), VERSIONS, [])
    assert found == (Approval("validator", sha) if sha else None)


def test_an_older_gitlab_says_in_a_note_when_somebody_agreed():
    def note(user, body, at, *, system=True):
        return {"system": system, "author": {"id": user}, "body": body, "created_at": at}

    notes = [
        note(7, reading.APPROVED, "2026-01-01T09:30:00Z"),
        note(8, reading.APPROVED, "2026-01-01T11:00:00Z"),
        note(7, reading.APPROVED, "2026-01-01T11:00:00Z", system=False),
    ]
    assert reading.approval({"user": VALIDATOR}, frozenset(), VERSIONS, notes) == Approval("validator", FIRST)
    assert reading.approval({"user": VALIDATOR}, frozenset(), VERSIONS, []) is None


def test_an_author_is_known_by_name_mail_and_hidden_mail():
    commit = {"author_name": "Some Body", "author_email": "12-somebody@users.noreply.gitlab.test"}
    commit |= {"committer_name": "", "committer_email": None}
    authors = reading.written_by(commit)
    assert authors == {"some body", "12-somebody@users.noreply.gitlab.test", "somebody"}
    hidden = {"username": "x", "email": "12-SOMEBODY@users.noreply.gitlab.test"}
    for known_as in ({"username": "SomeBody"}, {"name": "Some Body"}, hidden):
        assert Approval("x", FIRST, reading.names(known_as)).is_by(authors)
    assert not Approval("validator", FIRST, reading.names(VALIDATOR)).is_by(authors)


@pytest.mark.parametrize(
    ("found", "merged"),
    [
        ({"state": "merged", "merge_commit_sha": SECOND}, SECOND),
        ({"state": "merged", "merge_commit_sha": None, "squash_commit_sha": SECOND}, SECOND),
        ({"state": "merged", "merge_commit_sha": None, "squash_commit_sha": None}, FIRST),
        ({"state": "opened", "merge_commit_sha": SECOND}, ""),  # GitLab tries a merge out and shows it
    ],
)
def test_what_the_target_got(found, merged):
    shown = {"iid": 3, "title": "t", "web_url": "u", "source_branch": "s", "target_branch": "main", "sha": FIRST}
    assert reading.merge_request(shown | found).merged_as == merged


def test_a_state_that_nobody_knows_is_not_an_end():
    assert reading.status({"name": "n", "status": "new-in-19"}).state is CommitState.PENDING
    assert reading.status({"name": "n", "status": "skipped"}).state is CommitState.CANCELED
