"""Bring the files of the trial's dataset version onto this machine, once for all trials that want them."""

import hashlib
import os
import shutil
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Container, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING

from cdl.training import cache as kept
from cdl.training.failures import TrainingError
from cdl.training.pachyderm import Commit
from cdl.training.progress import Progress
from cdl.training.versions import Dataset

if TYPE_CHECKING:
    import grpc

PATIENCE_SECONDS = 60.0
"""A store that is started again meanwhile costs a trial this much time at most, and not its life."""
PAUSE_SECONDS = 0.5
PIECE = 1 << 20


class _AwayError(TrainingError):
    """Nobody answers where the store should be; somebody may, later."""


def fetch() -> Path:
    """Return a folder with the files of the dataset this trial was given.

    Inside a trial that is the commit under `integrations.pachyderm` of the experiment config, or the folder `data.path`
    of a config without one. Outside a cluster it is the folder `CDL_DATASET` names.
    """
    config = _trial_config()
    if config is None:
        return _folder(os.environ.get("CDL_DATASET"), "CDL_DATASET")
    dataset = Dataset.of_config(config)
    if dataset is not None:
        return fetch_version(dataset, cache_folder())
    extra = config.get("data")
    path = extra.get("path") if isinstance(extra, Mapping) else None
    return _folder(path if isinstance(path, str) else None, "data.path of the experiment config")


def fetch_version(dataset: Dataset, cache: Path, patience: float = PATIENCE_SECONDS) -> Path:
    """Return the cached files of a dataset version, downloading them first when they are not there yet.

    The folder appears whole or not at all, and trials that ask at the same time download once. A store that does not
    answer is asked again for as many seconds as patience says. Files that arrived whole stay when a download breaks
    off, and the next one, in this trial or another, goes on from there. What is cached is compared with what was
    fetched, by sizes; with `CDL_CACHE_CHECK=contents` by every byte; and fetched again when it differs.
    """
    target = cache / dataset.key
    target.parent.mkdir(parents=True, exist_ok=True)
    with kept.alone(target.with_name(target.name + ".lock")):
        changed = kept.fault(target) if target.is_dir() else ""
        if changed:
            sys.stderr.write(f"dataset version {_named(dataset)} is fetched again: in the cache {changed}\n")
            shutil.rmtree(target)
        if not target.is_dir():
            partial = target.with_name(f".partial-{target.name}")
            partial.mkdir(exist_ok=True)
            try:
                digests: dict[str, str] = {}
                _download_patiently(dataset, partial, patience, digests)
                _settle(dataset, partial, target, digests)
            finally:
                _drop_if_empty(partial)
    return target


def cache_folder() -> Path:
    """Tell where downloaded versions are kept: `CDL_CACHE`, else a private folder in the system's temporary one."""
    named = os.environ.get("CDL_CACHE")
    if named:
        return Path(named) / "datasets"
    private = Path(tempfile.gettempdir()) / f"cdl-cache-{os.getuid()}"
    private.mkdir(mode=0o700, parents=True, exist_ok=True)
    if private.stat().st_uid != os.getuid():
        raise TrainingError(f"{private} belongs to somebody else; set CDL_CACHE to a folder of your own")
    return private / "datasets"


def unpack(
    archive: tarfile.TarFile,
    folder: Path,
    there: Container[str] = (),
    arrived: Callable[[str, str], None] = lambda _path, _sha256: None,
    moved: Callable[[int], None] = lambda _: None,
) -> int:
    """Write the archive's files below the folder, one member at a time, and count them.

    Only regular files and folders are accepted, and none outside the folder. A file gets its name when it is whole;
    those that are there already are left alone. `arrived` hears of each that is written, with its sha256; `moved` of
    its bytes.
    """
    count = 0
    fresh, made = f"{folder}.file", {str(folder)}
    for member in archive:
        relative = member.name.strip("/")
        if ".." in relative.split("/"):
            raise TrainingError(f"the dataset holds {member.name}, which points outside of it")
        place = f"{folder}/{relative}"
        if member.isdir():
            os.makedirs(place, exist_ok=True)  # noqa: PTH103 - ten thousand files: a Path costs more than its file
            continue
        content = archive.extractfile(member) if member.isfile() else None
        if content is None or not relative:
            raise TrainingError(f"the dataset holds {member.name}, which is no regular file")
        count += 1
        if relative in there:
            continue
        above = place.rpartition("/")[0]
        if above not in made:
            os.makedirs(above, exist_ok=True)  # noqa: PTH103 - as above
            made.add(above)
        sha256 = _write(content, fresh, moved)
        os.replace(fresh, place)  # noqa: PTH105 - as above
        arrived(relative, sha256)
    return count


def _write(content: IO[bytes], place: str, moved: Callable[[int], None]) -> str:
    """Write what will be a file; half of one does not stay. Gives its sha256."""
    found = hashlib.sha256()
    try:
        with open(place, "wb") as out:  # noqa: PTH123 - as above
            while piece := content.read(PIECE):
                found.update(piece)
                out.write(piece)
                moved(len(piece))
    except BaseException:
        Path(place).unlink(missing_ok=True)
        raise
    return found.hexdigest()


def _trial_config() -> Mapping[str, object] | None:
    import determined

    cluster = determined.get_cluster_info()
    if cluster is None or cluster.task_type != "TRIAL":
        return None
    config: Mapping[str, object] = cluster.trial._config  # noqa: SLF001 - 0.38.1 shows the integrations nowhere else
    return config


def _folder(path: str | None, source: str) -> Path:
    if not path:
        raise TrainingError(
            f"this trial was given no dataset: set integrations.pachyderm in the experiment config, or {source}"
        )
    folder = Path(path)
    if not folder.is_dir():
        raise TrainingError(f"{source} is {path}, which is no folder")
    return folder


def _download_patiently(dataset: Dataset, folder: Path, patience: float, digests: dict[str, str]) -> None:
    """Ask again, on a new connection, while nobody answers; a commit's files are the same each time."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return _download(dataset, folder, digests)
        except _AwayError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(PAUSE_SECONDS)


def _download(dataset: Dataset, folder: Path, digests: dict[str, str]) -> None:
    """Bring what is missing of a version into the folder, and see that it is all there; note what is written.

    Raises:
        TrainingError: the store says no, or gave other files than it lists.
    """
    import grpc

    name = _named(dataset)
    try:
        commit = Commit.of(dataset)
        listed = commit.files()
        if not listed:
            raise TrainingError(f"dataset version {name} holds no files")
        there = _whole(folder, listed)
        missing = [path for path in listed if path not in there]
        if missing:
            progress = Progress(f"dataset version {name}", sum(listed[path] for path in missing))
            with commit.archive(missing[0]) as archive:
                unpack(archive, folder, there, digests.__setitem__, progress.add)
            progress.end(len(missing))
        strange = sorted(_whole(folder, listed).keys() ^ listed.keys())
        if strange:
            raise TrainingError(f"dataset version {name}: {strange[0]} did not arrive as the store lists it")
    except (grpc.RpcError, ConnectionError, ValueError, tarfile.TarError) as error:
        kind = _AwayError if _is_away(error) else TrainingError
        raise kind(
            f"cannot fetch dataset version {name} from {dataset.host}:{dataset.port}: {_reason(error)}"
        ) from error
    except OSError as error:
        raise TrainingError(f"cannot write dataset version {name} below {folder.parent}: {error.strerror}") from error


def _settle(dataset: Dataset, partial: Path, target: Path, digests: Mapping[str, str]) -> None:
    """Note what arrived, and give the folder its name."""
    try:
        kept.record(partial, target, digests)
        partial.rename(target)
    except OSError as error:
        raise TrainingError(
            f"cannot write dataset version {_named(dataset)} below {target.parent}: {error.strerror}"
        ) from error


def _whole(folder: Path, listed: Mapping[str, int]) -> dict[str, int]:
    """Give the files that are there as they should be; others, which nobody needs, are removed."""
    there = kept.sizes(folder)
    for path in [path for path, size in there.items() if listed.get(path) != size]:
        (folder / path).unlink()
        del there[path]
    return there


def _drop_if_empty(folder: Path) -> None:
    """Leave nothing behind that the next download cannot use."""
    if folder.is_dir() and not kept.sizes(folder):
        shutil.rmtree(folder, ignore_errors=True)


def _named(dataset: Dataset) -> str:
    return f"{dataset.project}/{dataset.repo}@{dataset.commit}"


def _is_away(error: Exception) -> bool:
    import grpc

    call = _call(error)
    return call is not None and call.code() is grpc.StatusCode.UNAVAILABLE


def _reason(error: Exception) -> str:
    """Find the store's own words."""
    call = _call(error)
    return str(error if call is None else call.details())


def _call(error: Exception) -> "grpc.Call | None":
    """Find the call that went wrong: the SDK wraps some of its errors."""
    import grpc

    return next((e for e in (error, error.__cause__, error.__context__) if isinstance(e, grpc.Call)), None)
