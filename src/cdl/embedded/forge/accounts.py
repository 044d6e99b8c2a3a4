"""Who may speak: users with tokens from a file, the tokens of running jobs, and what each role may do."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from cdl.embedded.forge.store import Store, Tree

ROLES = {"guest": 10, "reporter": 20, "developer": 30, "maintainer": 40, "owner": 50}
GUEST, REPORTER, DEVELOPER, MAINTAINER, OWNER = ROLES.values()
FIELDS = {"username", "name", "email", "role", "token", "admin", "read_only"}


class BadUsers(Exception):  # noqa: N818 - said of a file
    """The file of users cannot be used; the message is one sentence."""


@dataclass(frozen=True)
class User:
    """Who is calling, and by what."""

    id: int
    username: str
    name: str
    email: str
    access: int
    admin: bool = False
    read_only: bool = False
    job: int = 0
    """The job whose token was shown; 0: a person's."""


NOBODY = User(0, "", "", "", 0)


class Accounts:
    """The users of the file; whoever is not in it any more is kept by name but may not speak."""

    def __init__(self, store: Store, data: Path, file: Path) -> None:
        """Read the file; users without a token get one, kept in `tokens.json` of the data folder.

        Raises:
            BadUsers: the file says something else than users.
        """
        self._store = store
        self._by_token: dict[str, User] = {}
        self.by_id: dict[int, User] = {}
        kept = data / "tokens.json"
        made: dict[str, str] = json.loads(kept.read_text()) if kept.exists() else {}
        for entry in _entries(file):
            user = self._user(entry)
            token = str(entry.get("token") or made.setdefault(user.username, f"glpat-{secrets.token_urlsafe(20)}"))
            if _digest(token) in self._by_token:
                raise BadUsers(f"{file}: two users have the same token; each needs one of their own")
            self._by_token[_digest(token)] = user
            self.by_id[user.id] = user
        _write(kept, made)

    def _user(self, entry: Mapping[str, object]) -> User:
        name = str(entry["username"])
        known = self._store.by("user", 0, name) or self._store.add("user", {"username": name})
        known |= {"name": entry.get("name") or name, "email": entry.get("email") or f"{name}@forge.invalid"}
        self._store.put("user", known)
        access = ROLES[str(entry.get("role", "guest"))]
        flags = bool(entry.get("admin")), bool(entry.get("read_only"))
        return User(known["id"], name, str(known["name"]), str(known["email"]), access, *flags)

    def of_token(self, token: str) -> User | None:
        """Say whose token this is."""
        return self._by_token.get(_digest(token))

    def of_job_token(self, token: str) -> User | None:
        """Say for whom a running job speaks."""
        number = token.partition("-")[2].partition("_")[0]
        job = self._store.get("job", int(number)) if re.fullmatch(r"[0-9]{1,15}", number) else None
        if job is None or job["status"] != "running" or not secrets.compare_digest(job["token"], _digest(token)):
            return None
        owner = self.by_id.get(job["user_id"])
        return owner and User(owner.id, owner.username, owner.name, owner.email, owner.access, job=job["id"])

    def job_token(self, job: Tree) -> str:
        """Give a job a token of its own; the one before is void."""
        token = f"glcbt-{job['id']}_{secrets.token_urlsafe(20)}"
        self._store.put("job", job | {"token": _digest(token)})
        return token

    def access(self, user: User, project: Tree) -> int:
        """Say which role somebody has in a project; 0: none, and a private project is not there for them."""
        if user.admin:
            return OWNER
        member = self._store.by("member", project["id"], user.id) if user.id else None
        given = int(member["access_level"]) if member else 0
        return max(user.access, given, OWNER if project["creator_id"] == user.id else 0)


def _entries(file: Path) -> list[Mapping[str, object]]:
    try:
        found = yaml.safe_load(file.read_text())
    except OSError as error:
        raise BadUsers(f"the users' file {file} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadUsers(f"{file}: this is neither YAML nor JSON") from error
    users = found.get("users") if isinstance(found, dict) else None
    if not isinstance(users, list) or not users:
        raise BadUsers(f"{file}: expected a list called users with at least one entry")
    for number, entry in enumerate(users):
        _check(file, number, entry)
    if len({entry["username"] for entry in users}) < len(users):
        raise BadUsers(f"{file}: two users have the same username; each needs one of their own")
    return users


def _check(file: Path, number: int, entry: object) -> None:
    where = f"{file}: users[{number}]"
    if not isinstance(entry, dict) or not str(entry.get("username") or ""):
        raise BadUsers(f"{where} has no username")
    if unknown := sorted(set(entry) - FIELDS):
        raise BadUsers(f"{where} has {', '.join(map(str, unknown))}; known are {', '.join(sorted(FIELDS))}")
    if entry.get("role", "guest") not in ROLES:
        raise BadUsers(f"{where}.role is {entry['role']!r}; allowed are {', '.join(ROLES)}")
    if entry.get("token") is not None and len(str(entry["token"])) < 12:
        raise BadUsers(f"{where}.token is shorter than 12 characters; leave it out and one is made")


def _write(file: Path, made: Mapping[str, str]) -> None:
    new = file.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        json.dump(made, out)
        out.flush()
        os.fsync(out.fileno())
    new.replace(file)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
