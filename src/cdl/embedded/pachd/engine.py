"""What every handler holds: the store, the content, the trees, and what the command line allowed."""

from dataclasses import dataclass, field
from pathlib import Path

from cdl.embedded.pachd import refs
from cdl.embedded.pachd.blobs import Blobs
from cdl.embedded.pachd.commits import state_of
from cdl.embedded.pachd.layers import Layers, base_of
from cdl.embedded.pachd.refs import Commit
from cdl.embedded.pachd.refusals import RefusedError, missing
from cdl.embedded.pachd.store import Store
from cdl.embedded.pachd.trees import Index
from cdl.embedded.pachd.vault import Vault


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    folder: Path
    host: str = "127.0.0.1"
    port: int = 0
    workers: int = 1
    file_roots: tuple[Path, ...] = ()
    maps: tuple[tuple[str, str], ...] = field(default=())
    egress_roots: tuple[Path, ...] = ()
    mount_pfs: bool = True
    vault: Vault | None = None


class Engine:
    """The parts of the server that handlers and workers share."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.store = Store(options.folder)
        self.blobs = Blobs(self.store)
        self.layers = Layers(self.store, self.blobs)
        if self.store.fact("garbage"):
            self.blobs.sweep()

    async def until(self, commit: Commit, state: int) -> Commit:
        """Wait until a commit has come to a state; refuse when it is removed meanwhile."""
        name = refs.spoken(self.store.db, commit)
        while True:
            turn = self.store.pulse.turn
            found = refs.find_commit(self.store.db, commit.id)
            if found is None:
                raise missing(f"commit {name} was deleted")
            if state_of(self.store.db, found) >= state:
                return found
            await self.store.pulse.after(turn)

    async def readable(self, commit: Commit) -> tuple[Commit, Index]:
        """Read a commit's files: finished ones as they are, finishing ones when they are, open ones so far."""
        if commit.finishing:
            commit = await self.until(commit, 4)
        base = base_of(self.store.db, commit.id)
        if base is not None and not refs.commit_by_id(self.store.db, base).finished:
            raise RefusedError(
                f"commit {refs.spoken(self.store.db, commit)} cannot be read yet: its parent has not been finished",
                "UNAVAILABLE",
            )
        return commit, self.layers.index(commit.id)
