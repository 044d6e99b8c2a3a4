"""A bare copy of one repository: what its branch points to, and what a commit holds below a path."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cdl.api.conditions import Reason
from cdl.ports.errors import Rejected, Unavailable

from .git import Address, Git, Limits

COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
HEAD = "refs/cdl/head"
"""Where the copy keeps the newest commit it fetched, so that the next fetch brings only what is new."""
STEPS = 20
"""Commits that are looked at one by one when several came between two looks."""
KINDS = {"120000": "a symbolic link", "160000": "a submodule"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a commit."""

    path: PurePosixPath
    blob: str
    size: int
    executable: bool


class Mirror:
    """One repository, copied below a folder. Whatever is wrong with the copy, it can be thrown away."""

    def __init__(
        self, folder: Path, address: Address, environment: Mapping[str, str], limits: Limits | None = None
    ) -> None:
        """Remember where; nothing is read yet."""
        self.address = address
        self._limits = limits or Limits()
        self._git = Git(folder, address, environment, self._limits)

    def head(self, branch: str) -> str | None:
        """Ask the repository for the commit of a branch; None: there is no such branch.

        Raises:
            Unavailable: it does not answer.
        """
        ref = f"refs/heads/{branch}"
        for line in self._git.ask("ls-remote", "--", self.address.url, ref, at=False).splitlines():
            commit, _, name = line.partition("\t")
            if name == ref and COMMIT.fullmatch(commit):
                return commit
        return None

    def fetch(self, commit: str) -> None:
        """Bring a commit and its history; one that is here already is not asked for.

        Raises:
            Unavailable: the repository does not answer, or does not have it any more.
        """
        self._prepare()
        if self._holds(commit):
            return
        self._git.ask("fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--force",
                      "--", self.address.url, f"{commit}:{HEAD}")  # fmt: skip
        if not self._holds(commit):
            shutil.rmtree(self._git.folder, ignore_errors=True)
            raise Unavailable("the copy of the repository was broken; it is made again")

    def descends(self, commit: str, earlier: str) -> bool | None:
        """Say whether a commit comes after another; None: the other is not known here."""
        if not self._holds(earlier):
            return None
        return self._git.true("merge-base", "--is-ancestor", earlier, commit)

    def steps(self, commit: str, since: str) -> tuple[str, ...]:
        """Name the commits by which a branch came from one to another, newest first: merges, and not what they hold.

        Only the last ones are named when there are many; none when it did not come from there.

        Raises:
            Unavailable: the copy cannot be read.
        """
        if not self.descends(commit, since):
            return ()
        return tuple(self._git.ask("rev-list", "--first-parent", f"--max-count={STEPS}", f"{since}..{commit}").split())

    def authors(self, commit: str, path: str, since: str = "") -> tuple[str, ...]:
        """E-mail addresses of who wrote and who committed the last change below a path, and all since a known commit.

        Raises:
            Unavailable: the copy cannot be read.
        """
        where = ("--", f":(top,literal){path}") if path != "." else ()
        said = self._git.ask("log", "-1", "--format=%ae%n%ce", commit, *where)
        if self._holds(since):
            said += self._git.ask("log", "--format=%ae%n%ce", f"{since}..{commit}", *where)
        return tuple(sorted({line.strip() for line in said.splitlines()} - {""}))

    def committed(self, commit: str) -> float:
        """Say when a commit was made, by the clock of whoever made it, in seconds of the epoch.

        Raises:
            Unavailable: the copy cannot be read.
        """
        return float(self._git.ask("show", "--no-patch", "--format=%ct", commit).strip())

    def export(self, commit: str, path: str, place: Path) -> None:
        """Write the files of a commit below a path into a folder: regular files, and nothing beyond the limits.

        Raises:
            Rejected: the commit holds something there that is not followed.
            Unavailable: the copy cannot be read.
        """
        place.mkdir(parents=True)
        entries = self._entries(commit, path)
        with self._git.contents() as reading:
            for entry in entries:
                target = place.joinpath(*entry.path.parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(_content(reading, entry))
                target.chmod(0o755 if entry.executable else 0o644)

    def _entries(self, commit: str, path: str) -> tuple[Entry, ...]:
        tree = f"{commit}^{{tree}}" if path == "." else f"{commit}:{path}"
        if not self._git.true("rev-parse", "--verify", "--quiet", "--end-of-options", tree):
            raise Rejected(f"{path}: there is no such folder at this commit", Reason.INVALID_SPEC)
        if self._git.ask("cat-file", "-t", tree).strip() != "tree":
            raise Rejected(f"{path}: is no folder at this commit", Reason.INVALID_SPEC)
        listed = tuple(_listed(self._git.raw("ls-tree", "-r", "-z", "-l", "--full-tree", tree)))
        if len(listed) > self._limits.files:
            raise Rejected(f"{len(listed)} files, allowed: at most {self._limits.files}", Reason.INVALID_SPEC)
        largest = max(listed, key=lambda entry: entry.size, default=None)
        if largest is not None and sum(entry.size for entry in listed) > self._limits.size:
            said = (
                f"more than {self._limits.size >> 20} MiB of files; the largest is {largest.path}, {largest.size} bytes"
            )
            raise Rejected(said, Reason.INVALID_SPEC)
        return listed

    def _holds(self, commit: str) -> bool:
        known = COMMIT.fullmatch(commit) is not None
        return known and self._git.true("rev-list", "--quiet", "--max-count=1", commit)

    def _prepare(self) -> None:
        folder = self._git.folder
        if not (folder / "HEAD").is_file() or not self._git.true("rev-parse", "--git-dir"):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True, mode=0o700)
            self._git.ask("init", "--quiet", "--bare", "--template=", str(folder), at=False)
        for left in folder.rglob("*.lock"):  # only one of us works here, so that whoever held it was killed
            left.unlink(missing_ok=True)
        for left in folder.glob("objects/pack/tmp_*"):
            left.unlink(missing_ok=True)


def _listed(answer: bytes) -> Iterator[Entry]:
    for line in answer.split(b"\0"):
        if not line:
            continue
        about, _, name = line.partition(b"\t")
        mode, _, blob, size = about.decode().split()
        try:
            text = name.decode()
        except UnicodeDecodeError as error:
            raise Rejected(f"{name!r}: is no name in UTF-8", Reason.INVALID_SPEC) from error
        parts = text.split("/")
        if mode in KINDS:
            raise Rejected(f"{text}: is {KINDS[mode]}, allowed: regular files", Reason.INVALID_SPEC)
        if any(part.lower() in {"", ".", "..", ".git"} for part in parts):
            raise Rejected(f"{text!r}: leads out of the folder, or into git's own", Reason.INVALID_SPEC)
        yield Entry(PurePosixPath(text), blob, int(size), mode == "100755")


def _content(reading: subprocess.Popen[bytes], entry: Entry) -> bytes:
    if reading.stdin is None or reading.stdout is None:
        raise Unavailable("git cat-file: has no pipes")
    try:
        reading.stdin.write(f"{entry.blob}\n".encode())
        reading.stdin.flush()
        said = reading.stdout.readline().split()
        content = reading.stdout.read(entry.size + 1)
    except OSError as error:
        raise Unavailable(f"git cat-file: ended at {entry.path}") from error
    if said[1:] != [b"blob", str(entry.size).encode()] or len(content) != entry.size + 1:
        raise Unavailable(f"git cat-file: cannot read {entry.path}")
    return content[:-1]
