"""What changed in one pachd, for every DataPipeline at once.

Pipelines and heads are asked for at every beat, jobs only while one runs, a commit only until it is finished: what
cannot change is asked for once. The messages are read by hand, because a beat reads one for every pipeline there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import grpc
from pachyderm_sdk.api import pfs, pps

from cdl.api.canonical import short
from cdl.api.v1alpha1.datapipeline import Side

from . import wire
from .door import there
from .translate import (
    BRANCH,
    JOB_STATE,
    LABELLED,
    OVER,
    OWNER,
    RAW_OWNER,
    TAKEN,
    commit_named,
    commit_seen,
    input_repo,
    labels_repo,
    marked,
    notes_in,
    repo_named,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pachyderm_sdk import Client

    from cdl.api.meta import Key

USER = b"user"
AUTH_IS_ON = "from all repos with auth activated"
"""pachd lists the branches of all repositories only where everybody may see everything."""
SPECS = 4096
"""How many different specs are remembered by whose they are."""
LIVE = frozenset(int(state) for state, name in JOB_STATE.items() if name not in OVER and name != "UNKNOWN")
FIRST_DEPTH = 64
"""How many of the newest jobs are asked for, unless more were live at the last beat."""
Fields = dict[int, "int | bytes"]
Moment = tuple[int, int]
"""Seconds and nanoseconds."""


class Place(NamedTuple):
    """A pipeline, or the repository of the same name."""

    project: str
    name: str


class Pipeline(NamedTuple):
    """A pipeline of ours."""

    owner: Key
    text: str
    works: bool
    """Its newest job is not over."""


class Pulse:
    """Remembers what cannot change; one thread at a time."""

    def __init__(self, client: Client) -> None:
        """Ask through the SDK's client; nothing is asked yet."""
        self._client = client
        self._owners: dict[bytes, Key | None] = {}
        self._inputs: dict[Place, Key] = {}
        self._heads: dict[Place, str] = {}
        self._whole: dict[Place, str] = {}
        self._busy = False
        """A job was not over at the last beat."""
        self._over: Moment | None = None
        """Every job made before this moment is over; None: nobody knows yet."""
        self._depth = FIRST_DEPTH

    def beat(self) -> dict[Key, str]:
        """Give a text for every DataPipeline that pachd holds something of."""
        pipelines = self._pipelines()
        heads = self._all_heads()
        found: dict[Key, list[list[str]]] = {}
        for place, head in self._input_heads(heads, pipelines):
            found.setdefault(self._inputs[place], []).append([place.name, head])
        jobs = self._jobs(pipelines)
        for place, pipeline in pipelines.items():
            line = [place.name, pipeline.text, heads.get(place, ""), *jobs.get(place, ())]
            found.setdefault(pipeline.owner, []).append(line)
        return {owner: short(sorted(lines), 16) for owner, lines in found.items()}

    def _pipelines(self) -> dict[Place, Pipeline]:
        found: dict[Place, Pipeline] = {}
        for message in wire.messages(self._client, "/pps_v2.API/ListPipeline"):
            said = wire.parts(message)
            owner = self._owner(_bytes(said, 13))
            place = _place(_bytes(said, 1))
            if owner is not None and owner.namespace == place.project:
                state = [said.get(number, 0) for number in (2, 4, 5, 8)]
                reason = _bytes(said, 6).decode(errors="replace")
                found[place] = Pipeline(owner, f"{state} {reason}", said.get(8, 0) in LIVE)
        return found

    def _owner(self, user_spec: bytes) -> Key | None:
        """Say who made a spec; the same spec is read once."""
        if user_spec not in self._owners:
            while len(self._owners) >= SPECS:
                self._owners.pop(next(iter(self._owners)))
            notes = notes_in(user_spec)
            self._owners[user_spec] = marked(notes.get(OWNER) or notes.get(RAW_OWNER, ""))
        return self._owners[user_spec]

    def _all_heads(self) -> dict[Place, str]:
        try:
            return dict(_heads(wire.messages(self._client, "/pfs_v2.API/ListBranch")))
        except grpc.RpcError as error:
            if not (isinstance(error, grpc.Call) and AUTH_IS_ON in str(error.details())):
                raise
        return {place: head for place in self._user_repos() for each, head in self._heads_of(place) if each == place}

    def _heads_of(self, place: Place) -> Iterator[tuple[Place, str]]:
        request = bytes(pfs.ListBranchRequest(repo=repo_named(*place)))
        return _heads(wire.messages(self._client, "/pfs_v2.API/ListBranch", request))

    def _user_repos(self) -> Iterator[Place]:
        """Name every repository that a user or a pipeline writes, and learn whose the inputs are."""
        self._inputs = {}
        request = bytes(pfs.ListRepoRequest(type=USER.decode()))
        for message in wire.messages(self._client, "/pfs_v2.API/ListRepo", request):
            said = wire.parts(message)
            place, owner = _repo(_bytes(said, 1)), marked(_bytes(said, 4).decode(errors="replace"))
            if owner is not None and place.project == owner.namespace:
                names = {*(input_repo(owner, side) for side in Side), labels_repo(owner)}
                if place.name in names or place.name.endswith((TAKEN, LABELLED)):
                    self._inputs[place] = owner
            yield place

    def _input_heads(self, heads: dict[Place, str], pipelines: dict[Place, Pipeline]) -> Iterator[tuple[Place, str]]:
        """Say of every input of ours what its newest commit is, and whether it is whole."""
        if any(self._heads.get(place) != head for place, head in heads.items() if place not in pipelines):
            for _ in self._user_repos():
                pass  # a new head may be that of a repository that was made again, by somebody else
        self._heads = heads
        self._whole = {place: head for place, head in self._whole.items() if heads.get(place) == head}
        for place in self._inputs.keys() & heads.keys():
            yield place, self._state(place, heads[place])

    def _state(self, place: Place, head: str) -> str:
        if self._whole.get(place) == head:
            return head
        handle = commit_named(repo_named(*place), head)
        found = there(lambda: self._client.pfs.inspect_commit(commit=handle))
        if found is None or not commit_seen(found).finished:
            return f"{head} is open"
        self._whole[place] = head
        return head

    def _jobs(self, pipelines: dict[Place, Pipeline]) -> dict[Place, list[str]]:
        """Say how far the jobs are that are not over; the newest come first, so most beats hear of few."""
        found: dict[Place, list[str]] = {}
        if not self._busy and not any(pipeline.works for pipeline in pipelines.values()):
            return found
        newest = oldest = None
        for made, message in self._young_jobs():
            newest = newest or made
            job = wire.parts(_bytes(message, 1))
            place = _place(_bytes(job, 1))
            if message.get(11, 0) in LIVE and place in pipelines:
                oldest = made
                progress = [message.get(number, 0) for number in (5, 6, 7, 8, 9, 11)]
                found.setdefault(place, []).append(f"{_bytes(job, 2).decode()} {progress}")
        self._busy, self._over = bool(found), oldest or newest
        return found

    def _young_jobs(self) -> list[tuple[Moment, Fields]]:
        """List the jobs that may not be over, the newest first: from the end, as far back as it takes."""
        number = self._depth
        while True:
            request = bytes(pps.ListJobRequest(number=number))
            found = [wire.parts(message) for message in wire.messages(self._client, "/pps_v2.API/ListJob", request)]
            dated = [(_moment(_bytes(job, 13)), job) for job in found]
            young = [each for each in dated if self._over is None or each[0] >= self._over]
            if len(young) < len(dated) or len(dated) < number:
                self._depth = max(FIRST_DEPTH, 2 * len(young))
                return young
            number *= 4


def _heads(messages: Iterator[bytes]) -> Iterator[tuple[Place, str]]:
    for message in messages:
        said = wire.parts(message)
        branch = wire.parts(_bytes(said, 1))
        repo = _bytes(branch, 1)
        if _bytes(branch, 2).decode() == BRANCH and _bytes(wire.parts(repo), 2) == USER:
            yield _repo(repo), _bytes(wire.parts(_bytes(said, 2)), 2).decode()


def _bytes(said: Fields, number: int) -> bytes:
    found = said.get(number, b"")
    return found if isinstance(found, bytes) else b""


def _place(message: bytes) -> Place:
    """Read a pipeline's handle."""
    said = wire.parts(message)
    return Place(_project(_bytes(said, 2)), _bytes(said, 1).decode())


def _repo(message: bytes) -> Place:
    """Read a repository's handle."""
    said = wire.parts(message)
    return Place(_project(_bytes(said, 3)), _bytes(said, 1).decode())


def _project(message: bytes) -> str:
    return _bytes(wire.parts(message), 1).decode() or "default"


def _moment(message: bytes) -> Moment:
    said = wire.parts(message)
    seconds, nanoseconds = said.get(1, 0), said.get(2, 0)
    return (seconds, nanoseconds) if isinstance(seconds, int) and isinstance(nanoseconds, int) else (0, 0)
