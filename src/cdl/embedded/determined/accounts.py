"""Who may speak: users, their sessions, and the tokens of running allocations."""

import hashlib
import hmac
import secrets
import time

from starlette.requests import Request

from cdl.embedded.determined import records
from cdl.embedded.determined.errors import ApiError, Code
from cdl.embedded.determined.records import Allocation
from cdl.embedded.determined.store import Store
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
        row = self.store.row("SELECT * FROM users WHERE username = ?", username)
        if row is None or not _matches(str(row["password"]), password) or not row["active"]:
            raise ApiError(Code.UNAUTHENTICATED, "invalid credentials")
        token = secrets.token_urlsafe(24)
        self.store.insert("sessions", token=token, user_id=row["id"], created=time.time())
        return _user(row["id"], row["username"], admin=row["admin"], active=row["active"]), token

    def logout(self, token: str) -> None:
        """Close a session; again is a success."""
        self.store.run("DELETE FROM sessions WHERE token = ?", token)

    def users(self) -> list[User]:
        """Return all users."""
        found = self.store.rows("SELECT * FROM users ORDER BY id")
        return [_user(row["id"], row["username"], admin=row["admin"], active=row["active"]) for row in found]

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
            return _user(row["id"], row["username"], admin=row["admin"], active=True), token, None
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
        user = _user(owner["id"], owner["username"], admin=owner["admin"], active=True)
        return user, token, records.allocation(row)


def _user(number: int, username: str, *, admin: object, active: object) -> User:
    return User(number, username, bool(admin), bool(active))


def _hash(password: str, salt: str = "") -> str:
    salt = salt or secrets.token_hex(8)
    digest = hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), ROUNDS)
    return f"{salt}:{digest.hex()}"


def _matches(kept: str, password: str) -> bool:
    return hmac.compare_digest(kept, _hash(password, kept.partition(":")[0]))
