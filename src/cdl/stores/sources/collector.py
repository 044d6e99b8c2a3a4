"""Sources of DataPipelines, kept by their content in a cache folder.

cache/blobs/<sha256>          the bytes of a source, checked before they get this name
cache/known/<wish>            which blob a source without its own checksum led to, and for which due time, if any
cache/sides/<digest>/train    the files of a side, unpacked and divided; appears whole or not at all
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cdl.api.canonical import digest, short
from cdl.api.v1alpha1.datapipeline import Side
from cdl.checks.prints import families, print_of
from cdl.ports.errors import PortError, Unavailable
from cdl.reconcile.datapipeline import SourceSeen

from .buckets import Buckets
from .faults import PlaceError, disk, unusable
from .landing import Limits
from .places import candidates, copy, download, is_git, local_path, name_of
from .split import Item, for_test
from .unpack import unpack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cdl.api.v1alpha1.datapipeline import Source, Split

VARIABLE = "CDL_DATA"
Blobs = dict[str, str | None]
"""The bytes of each source as they were when the key of a folder was made: another fetch may come in between."""


class Sources:
    """Collects from data roots, then from the source's own address, then from its mirrors."""

    def __init__(
        self,
        cache: Path,
        data_roots: tuple[Path, ...] = (),
        limits: Limits = Limits(),  # noqa: B008 - frozen
        buckets: Buckets = Buckets(),  # noqa: B008 - the same
    ) -> None:
        """Keep everything below cache; a file of the right name and checksum below a data root saves a download."""
        self._cache = cache.absolute()
        self._roots = data_roots
        self._limits = limits
        self._buckets = buckets

    def look(self, sources: tuple[Source, ...]) -> tuple[SourceSeen, ...]:
        """Say which sources are at hand, with the digest of their bytes; fetches nothing.

        With the newest due time that each was fetched for, where it ever was fetched for one.
        """
        return tuple(SourceSeen(s.name, self._at_hand(s), self._record(s).due) for s in sources)

    def collect(self, source: Source, due: datetime | None = None) -> None:
        """Fetch a source, its mirrors after it, and check it. A second call for what is at hand changes nothing.

        With `due`, what is at hand is fetched again, unless that was done for this due time or a later one already.
        A fetch that fails leaves what is at hand.

        Raises:
            Rejected: with reason SourceUnusable; one sentence names the source, what was found and what is expected.
            Unavailable: nobody answered at any of its places.
        """
        if self._is_fresh(source, due):
            return
        try:
            self._blob("").mkdir(parents=True, exist_ok=True)
            with _alone(self._blob(f".lock-{self._known(source).name}")):
                if not self._is_fresh(source, due):
                    self._fetch(source, due)
        except OSError as error:
            raise disk(source.name, error) from error

    def lay_out(self, sources: tuple[Source, ...], split: Split | None, side: Side) -> Path:
        """Give a folder with exactly the files of a side, unpacked and divided.

        Same sources, same split: same files on each side. Equal contents never lie on both sides of a split.

        Raises:
            Rejected: with reason SourceUnusable when an archive cannot be taken apart.
        """
        blobs = {source.name: self._at_hand(source) for source in sources}
        missing = next((name for name, blob in blobs.items() if blob is None), None)
        if missing is not None:
            message = f"source {missing}: not collected yet"
            raise Unavailable(message)
        wish = [[blobs[s.name], name_of(s.uri), s.unpack, s.strip, s.side] for s in sources]
        key = digest([wish, split.model_dump(mode="json") if split else None]).removeprefix("sha256:")[:32]
        target = self._cache / "sides" / key
        if not _is_whole(target):
            try:
                self._build(target, sources, blobs, split)
            except OSError as error:
                raise disk(", ".join(blobs), error) from error
        return target / side

    def _at_hand(self, source: Source) -> str | None:
        if source.sha256 is not None and self._blob(source.sha256).is_file():
            return source.sha256
        known = self._record(source)
        whole = bool(known.blob) and self._blob(known.blob).is_file()
        return known.blob if whole and not self._is_stale(source, known.stamp) else None

    def _is_fresh(self, source: Source, due: datetime | None) -> bool:
        if self._at_hand(source) is None:
            return False
        fetched = self._record(source).due if due is not None else None
        return due is None or (fetched is not None and fetched >= due)

    def _record(self, source: Source) -> _Record:
        try:
            said, _, due = self._known(source).read_text(encoding="ascii").partition("\n")
        except (FileNotFoundError, NotADirectoryError):
            return _Record()
        blob, _, stamp = said.strip().partition(" ")
        return _Record(blob, stamp, datetime.fromisoformat(due.strip()) if due.strip() else None)

    def _is_stale(self, source: Source, stamp: str) -> bool:
        """A file on this machine is not the one that was collected any more.

        Only sources without a checksum can change. One that is gone, or lies at an address, stays as it was collected.
        """
        if source.sha256 is not None:
            return False
        place = next((p for p in _places(source, self._roots) if isinstance(p, Path)), None)
        return place is not None and _stamp(place) != stamp

    def _blob(self, sha256: str) -> Path:
        return self._cache / "blobs" / sha256

    def _known(self, source: Source) -> Path:
        asked = [source.query] if source.query else []
        return self._cache / "known" / short([source.uri, source.sha256, source.mirrors, *asked], 32)

    def _fetch(self, source: Source, due: datetime | None) -> None:
        complaints: list[PlaceError] = []
        for place in _places(source, self._roots):
            try:
                self._take(source, place, due)
                return
            except PlaceError as error:
                complaints.append(error)
        raise self._sorry(source, complaints)

    def _take(self, source: Source, place: Path | str, due: datetime | None) -> None:
        """Bring the bytes into the cache under their checksum; a half-written file never gets the name."""
        partial = self._blob(f".partial-{self._known(source).name}")
        # taken before the bytes are: a file that is written meanwhile is collected once more, never missed
        stamp = _stamp(place) if isinstance(place, Path) else ""
        try:
            with partial.open("w+b") as file:
                if isinstance(place, Path):
                    copy(place, file)
                else:
                    download(place, file, self._buckets, source.query)
                file.flush()
                os.fsync(file.fileno())
                file.seek(0)
                found = hashlib.file_digest(file, "sha256").hexdigest()
            # A commit is its own checksum: a git mirror packs the same files into other bytes.
            expected = None if is_git(str(place)) and place != source.uri else source.sha256
            if expected is not None and expected != found:
                sentence = f"{place} has sha256 {found[:12]}…, expected {expected[:12]}…"
                raise PlaceError(sentence, lasting=True, mismatch=True)
            partial.replace(self._blob(found))
        finally:
            partial.unlink(missing_ok=True)
        if source.sha256 != found or due is not None:
            self._remember(source, _Record(found, stamp, due or self._record(source).due))

    def _remember(self, source: Source, record: _Record) -> None:
        known = self._known(source)
        known.parent.mkdir(parents=True, exist_ok=True)
        partial = known.with_name(f".partial-{known.name}-{os.getpid()}")
        due = f"\n{record.due.isoformat()}" if record.due is not None else ""
        partial.write_text(f"{record.blob} {record.stamp}{due}", encoding="ascii")
        partial.replace(known)

    def _sorry(self, source: Source, complaints: list[PlaceError]) -> PortError:
        """One sentence: what was found where, and what to do about it."""
        said = [str(c) for c in complaints]
        on_disk = local_path(source.uri)
        if not any(c.mismatch for c in complaints):
            where = ", ".join(str(root) for root in self._roots) or "no data folder is set"
            pinned = f" with sha256 {source.sha256[:12]}…" if source.sha256 else ""
            said.insert(0, f"there is no file {on_disk or name_of(source.uri)}{pinned} (looked below: {where})")
            said.append(f"set {VARIABLE} to a folder that has {name_of(source.uri)}")
        sentence = "; ".join(said)
        if on_disk is not None or any(c.lasting for c in complaints):
            return unusable(source.name, sentence)
        return Unavailable(f"source {source.name}: {sentence}")

    def _build(self, target: Path, sources: tuple[Source, ...], blobs: Blobs, split: Split | None) -> None:
        """Make both sides at once, alone; what a caller that died left behind is thrown away."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(target.with_suffix(".lock")):
            if _is_whole(target):
                return
            partial = target.with_suffix(".partial")
            for leftover in (partial, target):
                shutil.rmtree(leftover, ignore_errors=True)
            try:
                self._fill(partial, sources, blobs, split)
                partial.rename(target)
            finally:
                shutil.rmtree(partial, ignore_errors=True)  # what a refused archive has written is of no use
            with target.with_suffix(".whole").open("w", encoding="ascii") as record:
                record.write(_extent(target))
                record.flush()
                os.fsync(record.fileno())

    def _fill(self, partial: Path, sources: tuple[Source, ...], blobs: Blobs, split: Split | None) -> None:
        for side in Side:
            (partial / side).mkdir(parents=True)
        whole = partial / "whole"
        for source in sources:
            place = whole if source.side is None else partial / source.side
            self._place(source, self._blob(blobs[source.name] or ""), place)
        if split is not None and whole.is_dir():
            _divide(whole, partial, split)
        shutil.rmtree(whole, ignore_errors=True)

    def _place(self, source: Source, blob: Path, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        name = name_of(source.uri)
        if source.unpack != "none":
            unpack(source.unpack, source.name, blob, name, source.strip, folder, self._limits)
        elif (folder / name).exists():
            raise unusable(source.name, f"{name} lies in another source too; a side needs different names")
        else:
            shutil.copyfile(blob, folder / name)


class _Record(NamedTuple):
    """Which bytes a source led to when it was fetched last."""

    blob: str = ""
    stamp: str = ""
    """What tells whether a file on this machine has changed since."""
    due: datetime | None = None
    """The newest due time it was fetched for."""


def _stamp(file: Path) -> str:
    """What tells, without reading it, whether a file has changed."""
    seen = file.stat()
    return f"{seen.st_size} {seen.st_mtime_ns}"


def _places(source: Source, roots: tuple[Path, ...]) -> Iterator[Path | str]:
    """List where the bytes may be, in the order of trying: this machine, the address, its mirrors."""
    for address in (source.uri, *source.mirrors):
        # Without a checksum a name alone does not make a file the one that is meant.
        if source.sha256 is not None or local_path(address) is not None:
            yield from dict.fromkeys(p for p in candidates(address, roots) if p.is_file())
        if local_path(address) is None:
            yield address


def _divide(whole: Path, sides: Path, split: Split) -> None:
    files = sorted(p for p in whole.rglob("*") if p.is_file())
    items = [Item(p.relative_to(whole).as_posix(), _sha256(p)) for p in files]
    if split.near is not None:
        items = _related(items, whole, split.near)
    test = for_test(items, split.test, split.seed, by_parent=split.stratify == "parent")
    for item in items:
        target = sides / (Side.TEST if item.path in test else Side.TRAIN) / item.path
        if target.exists():
            raise unusable(item.path, "lies in a source with a side and in one without; a side needs different names")
        target.parent.mkdir(parents=True, exist_ok=True)
        (whole / item.path).rename(target)


def _related(items: list[Item], whole: Path, near: float) -> list[Item]:
    """Let what stands for a family of nearly equal texts decide in the place of each; what is no text is alone."""
    prints = {item.path: _print((whole / item.path).read_bytes()) for item in items}
    found = families(prints, near)
    # whoever has no relatives keeps the content that decides without `near`
    full = {prints[item.path].partition(":")[0]: item.content for item in items}
    return [Item(item.path, full[found[item.path]]) for item in items]


def _print(raw: bytes) -> str:
    try:
        return print_of(raw, raw.decode("utf-8") if b"\0" not in raw else None)
    except UnicodeDecodeError:
        return print_of(raw, raw.decode("latin-1"))


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_whole(target: Path) -> bool:
    """Tell whether every file is still there at its full size: a machine that lost power may have kept only names."""
    try:
        return target.with_suffix(".whole").read_text(encoding="ascii") == _extent(target)
    except FileNotFoundError:
        return False


def _extent(folder: Path) -> str:
    sizes = [p.stat().st_size for p in folder.rglob("*") if p.is_file()]
    return f"{len(sizes)} files, {sum(sizes)} bytes"


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
