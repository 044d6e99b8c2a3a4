"""A datum's bench: a scratch `/pfs` of its own, filled from the store and emptied into it.

Where no mount namespace is to be had, user code cannot see a real `/pfs`; its cmd, stdin and environment are
rewritten to the scratch path instead. CDL_PFS_ROOT says where it is, either way.
"""

import os
import re
import shutil
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from cdl.embedded.pachd import paths
from cdl.embedded.pachd.blobs import Blobs, Held
from cdl.embedded.pachd.children import Program
from cdl.embedded.pachd.engine import Options
from cdl.embedded.pachd.refusals import RefusedError
from cdl.embedded.pachd.trees import Entry

BATCH = 8 * 1024 * 1024


class Laid(NamedTuple):
    """A file that user code finds: below which input's name, what it holds, and whether only its name counts."""

    name: str
    entry: Entry
    empty: bool


class Bench:
    """One attempt at one datum."""

    def __init__(
        self,
        folder: Path,
        options: Options,
        names: list[str],
        mounts: Mapping[str, dict[str, bytes]],
        *,
        mounted: bool,
    ) -> None:
        self.folder = folder
        self.pfs = folder / "pfs"
        self.out = self.pfs / "out"
        self._names = names
        self._rules = [(_prefix(image), local) for image, local in options.maps]
        self._mounted = mounted
        if not mounted:
            self._rules.append((_prefix("/pfs"), str(self.pfs)))
        self._mounts = {folder / f"mount{n}": files for n, files in enumerate(mounts.values())}
        self._rules += [(_prefix(path), str(local)) for path, local in zip(mounts, self._mounts, strict=True)]

    def lay(self, blobs: Blobs, files: list[Laid]) -> int:
        """Copy the datum's files here; tells how many bytes. In a thread."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.out.mkdir(parents=True)
        for mount, secret in self._mounts.items():
            mount.mkdir(mode=0o700)
            for key, body in secret.items():
                (mount / key).write_bytes(body)
        made = {self.pfs / name for name in self._names}
        for top in made:
            top.mkdir()
        for name, entry, empty in files:
            target = self.pfs / name / entry.path.lstrip("/")
            if target.parent not in made:
                target.parent.mkdir(parents=True, exist_ok=True)
                made.add(target.parent)
            blobs.write_to(target, () if empty else entry.parts)
        return sum(0 if file.empty else file.entry.size for file in files)

    def local(self, text: str) -> str:
        """Rewrite the image's paths in a text to those on this machine."""
        for pattern, path in self._rules:
            text = pattern.sub(path.replace("\\", "\\\\"), text)
        return text

    def program(self, cmd: list[str], stdin: list[str], env: dict[str, str], mark: str, working_dir: str) -> Program:
        """Say how to run a command here."""
        lines = self.folder / "stdin"
        lines.write_text("".join(f"{self.local(line)}\n" for line in stdin), encoding="utf-8")
        cwd = self.folder
        if working_dir:
            cwd = Path(self.local("/" + working_dir.lstrip("/")))
            inside = self._mounted and cwd.is_relative_to("/pfs")  # there only once it is mounted
            if not (self.pfs / cwd.relative_to("/pfs") if inside else cwd).is_dir():
                raise RefusedError(f"transform.working_dir {working_dir!r} is not a folder on this machine; use --map")
        local = {name: self.local(value) for name, value in env.items()}
        local["CDL_PFS_ROOT"] = "/pfs" if self._mounted else str(self.pfs)
        pfs = str(self.pfs) if self._mounted else ""
        return Program([self.local(word) for word in cmd], local, cwd, lines, pfs, mark)

    def harvest(self, blobs: Blobs) -> Iterator[list[tuple[str, Held]]]:
        """Take what user code wrote, in batches of bounded size. In a thread."""
        batch: list[tuple[str, Held]] = []
        size = 0
        if self._mounted and any(_links(self.out)):
            self._relink()
        found = list(_walk(self.out, "", frozenset()))
        alone = not any(linked for _, _, linked in found)  # a link may lead to what would be moved away
        for file, path, _ in found:
            held = blobs.take_file(file, move=alone and file.stat().st_nlink == 1)
            blobs.settle(held)
            batch.append((path, held))
            size += len(held.body)
            if size >= BATCH:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _relink(self) -> None:
        """Let links that were made where /pfs is mounted lead to the same place where it is not."""
        for link in list(_links(self.pfs)):
            target = link.readlink()
            if target.is_relative_to("/pfs"):
                link.unlink()
                link.symlink_to(self.pfs / target.relative_to("/pfs"))

    def clear(self) -> None:
        """Remove everything; user code may have left folders that cannot be entered. In a thread."""

        def unlock(_: object, path: str, __: object) -> None:
            Path(path).parent.chmod(0o700)
            Path(path).chmod(0o700)

        shutil.rmtree(self.folder, onerror=unlock)
        shutil.rmtree(self.folder, ignore_errors=True)


def _prefix(path: str) -> re.Pattern[str]:
    """Find a path where it stands as a path's beginning, not inside another."""
    return re.compile(r"(?<![\w./-])" + re.escape(path.rstrip("/")) + r"(?![\w.-])")


def _links(folder: Path) -> Iterator[Path]:
    """Give every link at any depth, without following one."""
    for top, folders, names in os.walk(folder):
        yield from (path for path in (Path(top, name) for name in (*folders, *names)) if path.is_symlink())


def _walk(folder: Path, below: str, above: frozenset[str], *, linked: bool = False) -> Iterator[tuple[Path, str, bool]]:
    """Give user code's files with their paths in the commit, and whether a link leads there; refuse what cannot be."""
    real = str(folder.resolve())
    if real in above:
        raise RefusedError(f"{below or '/'} in /pfs/out is a link into itself")
    for file in sorted(folder.iterdir()):
        path = f"{below}/{file.name}"
        paths.check(path)
        try:
            mode = file.stat().st_mode
        except OSError as error:
            raise RefusedError(f"{path} in /pfs/out is a link to nothing: {error.strerror}") from error
        if stat.S_ISDIR(mode):
            yield from _walk(file, path, above | {real}, linked=linked or file.is_symlink())
        elif stat.S_ISREG(mode):
            yield file, path, linked or file.is_symlink()
        else:
            raise RefusedError(f"{path} in /pfs/out is neither a file nor a directory")


def ambient() -> dict[str, str]:
    """Take the little of the server's own environment that user code may see."""
    here = str(Path(sys.executable).parent)
    found = os.environ.get("PATH", os.defpath)
    return {
        "PATH": f"{here}{os.pathsep}{found}",
        "HOME": os.environ.get("HOME", "/"),
        "LANG": os.environ.get("LANG", "C.UTF-8"),
    }
