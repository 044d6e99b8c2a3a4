"""Who may speak: users, their sessions, and the tokens of running allocations."""

import hashlib
import hmac
import secrets
import sqlite3
import time

from starlette.requests import Request

from cdl.embedded.determined import records
from cdl.embedded.determined.errors import ApiError, Code, invalid, missing
from cdl.embedded.determined.records import Allocation
from cdl.embedded.determined.store import Store, Value
from cdl.embedded.determined.web import User

ALLOCATION_HEADER = "grpc-metadata-x-allocation-token"
BEARER = "Bearer "
FIRST_USERS = ((1, "admin", True), (2, "determined", False))
WEEK = 7 * 24 * 3600.0
ROUNDS = 1000  # the wire already carries a salted hash; this only keeps that hash off the disk


class Accounts:
    """Users and tokens in the store."""

    def __init__(self, store: Store) -> None:
        """Make the two users every new cluster has, both with an empty password."""
        self.store = store
        for number, name, admin in FIRST_USERS:
            if not store.row("SELECT 1 FROM users WHERE id = ?", number):
                store.insert("users", id=number, username=name, password=_hash(""), admin=int(admin), active=1)

    def login(self, username: str, password: str) -> tuple[User, str]:
        """Check a password as the wire carries it and open a session.

        Raises:
            ApiError: the two do not belong together.
        """
        row = self.store.row("SELECT * FROM users WHERE username = ?", username.lower())
        if row is None or not _matches(str(row["password"]), password) or not row["active"]:
            raise ApiError(Code.UNAUTHENTICATED, "invalid credentials")
        token = secrets.token_urlsafe(24)
        self.store.insert("sessions", token=token, user_id=row["id"], created=time.time())
        return _user(row), token

    def logout(self, token: str) -> None:
        """Close a session; again is a success."""
        self.store.run("DELETE FROM sessions WHERE token = ?", token)

    def users(self) -> list[User]:
        """Return all users."""
        return [_user(row) for row in self.store.rows("SELECT * FROM users ORDER BY id")]

    def user(self, user_id: int) -> User:
        """Return one user.

        Raises:
            ApiError: there is none.
        """
        row = self.store.row("SELECT * FROM users WHERE id = ?", user_id)
        if row is None:
            raise missing(f"user ({user_id}) not found")
        return _user(row)

    def user_named(self, username: str) -> User:
        """Return one user by name, whatever its case.

        Raises:
            ApiError: there is none.
        """
        row = self.store.row("SELECT * FROM users WHERE username = ?", username.lower())
        if row is None:
            raise missing(f"user '{username}' not found")
        return _user(row)

    def add(self, username: str, password: str, **flags: str | bool) -> User:
        """Add a user; the password is what the wire carries.

        Raises:
            ApiError: the name is blank or taken.
        """
        name = self._free_name(username)
        held = {key: int(value) if isinstance(value, bool) else value for key, value in flags.items()}
        return self.user(self.store.insert("users", username=name, password=_hash(password), **held))

    def change(self, user_id: int, *, username: str | None, password: str | None, **flags: str | bool) -> User:
        """Change what is given; a new password or a deactivation ends the user's sessions.

        Raises:
            ApiError: there is no such user, or the name is blank or taken.
        """
        found = self.user(user_id)
        held: dict[str, Value] = {key: int(value) if isinstance(value, bool) else value for key, value in flags.items()}
        if username is not None and username.lower() != found.username:
            held["username"] = self._free_name(username)
        if password is not None:
            held["password"] = _hash(password)
        with self.store.transaction():
            if held:
                self.store.update("users", user_id, **held)
            if password is not None or flags.get("active") is False:
                self.store.run("DELETE FROM sessions WHERE user_id = ?", user_id)
        return self.user(user_id)

    def _free_name(self, username: str) -> str:
        name = username.strip().lower()
        if not name:
            raise invalid("the username must not be blank")
        if self.store.row("SELECT 1 FROM users WHERE username = ?", name):
            raise ApiError(Code.ALREADY_EXISTS, f"a user named '{name}' exists already")
        return name

    def authenticate(self, request: Request) -> tuple[User, str, Allocation | None]:
        """Say who is calling, by session or by the token of a live allocation.

        Raises:
            ApiError: nobody known.
        """
        header = request.headers.get(ALLOCATION_HEADER) or request.headers.get("authorization", "")
        token = header.removeprefix(BEARER)
        row = self.store.row(
            "SELECT users.* FROM sessions JOIN users ON users.id = user_id"
            " WHERE token = ? AND created > ? AND active = 1",
            token,
            time.time() - WEEK,
        )
        if row is not None:
            return _user(row), token, None
        return (*self._of_allocation(token),)

    def _of_allocation(self, token: str) -> tuple[User, str, Allocation]:
        row = self.store.row("SELECT * FROM allocations WHERE token = ? AND state != 'TERMINATED'", token)
        owner = row and self.store.row(
            "SELECT users.* FROM trials JOIN experiments ON experiments.id = experiment_id"
            " JOIN users ON users.id = experiments.user_id WHERE trials.id = ?",
            row["trial_id"],
        )
        if row is None or owner is None:
            raise ApiError(Code.UNAUTHENTICATED, "invalid or expired token; log in again")
        return _user(owner), token, records.allocation(row)


def _user(row: sqlite3.Row) -> User:
    flags = {name: bool(row[name]) for name in ("admin", "active", "remote")}
    return User(int(row["id"]), str(row["username"]), display_name=str(row["display_name"]), **flags)


def _hash(password: str, salt: str = "") -> str:
    salt = salt or secrets.token_hex(8)
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), ROUNDS)
    return f"{salt}:{digest.hex()}"


def _matches(kept: str, password: str) -> bool:
    return hmac.compare_digest(kept, _hash(password, kept.partition(":")[0]))
