"""The forge as its parts see it: where things lie, who calls, what a project is."""

from __future__ import annotations

import base64
import binascii
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cdl.embedded.forge import pre_receive
from cdl.embedded.forge.accounts import NOBODY, Accounts, User
from cdl.embedded.forge.errors import unauthorized
from cdl.embedded.forge.git import Repository
from cdl.embedded.forge.outbox import Outbox
from cdl.embedded.forge.store import Store, Tree

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

NUMBER = re.compile(r"[0-9]{1,15}")


class Forge:
    """One data folder, one address."""

    def __init__(self, data: Path, url: str, users: Path) -> None:
        """Open what lies in the folder."""
        self.data = data
        self.url = url
        self.store = Store(data / "forge.sqlite")
        self.accounts = Accounts(self.store, data, users)
        self.outbox = Outbox(self.store, url)
        program = shlex.join([sys.executable, "-I", "-S", str(Path(pre_receive.__file__))])
        self.hook = f"#!/bin/sh\nexec {program}\n"
        """What git runs before it takes a push."""

    def project(self, name: str) -> Tree | None:
        """Give a project by its number or its path."""
        if NUMBER.fullmatch(name):
            return self.store.get("project", int(name))
        return self.store.by("project", 0, name)

    def repository(self, project: Tree) -> Repository:
        """Give the repository of a project; its folder has the project's number, so that names may change."""
        return Repository(self.data / "repositories" / f"{project['id']}.git")

    def user(self, number: int) -> User:
        """Give somebody by number, even one who may not speak any more."""
        if found := self.accounts.by_id.get(number):
            return found
        kept = self.store.get("user", number) or {"username": "ghost", "name": "Ghost User", "email": ""}
        return User(number, kept["username"], kept["name"], kept["email"], 0)

    def caller(self, request: HTTPConnection) -> User:
        """Say who is calling; nobody is somebody who sees what is public.

        Raises:
            ApiError: a token was shown that nobody has.
        """
        headers = request.headers
        token = headers.get("private-token") or request.query_params.get("private_token", "")
        bearer = headers.get("authorization", "")
        if not token and bearer.lower().startswith("bearer "):
            token = bearer[7:].strip()
        job = headers.get("job-token", "")
        user = self.accounts.of_token(token) if token else self.accounts.of_job_token(job) if job else NOBODY
        if user is None:
            raise unauthorized()
        return user

    def caller_of_git(self, header: str) -> User:
        """Say who is calling with a token for a password, as git does.

        Raises:
            ApiError: a password was given that is nobody's token.
        """
        if not header:
            return NOBODY
        try:
            name, _, token = base64.b64decode(header.partition(" ")[2]).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise unauthorized() from error
        job = self.accounts.of_job_token(token) if name == "gitlab-ci-token" else None
        user = job or self.accounts.of_token(token)
        if user is None:
            raise unauthorized()
        return user
