"""Begin with earlier weights: what `spec.warmStart` asked for, checked, and told in numbers.

Nothing here knows a framework; `cdl.training.keras` and `cdl.training.torch` load and freeze.
"""

import fnmatch
import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cdl.training.failures import TrainingError

GROUP = "warm_start"
"""The group of metrics that says what a trial began with."""
STEPS = 0
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WarmStart:
    """What the Experiment asked for."""

    policy: str = "weights"
    checkpoint: str = ""
    digest: str = ""
    """Of the checkpoint's files; empty: nobody knows, whatever is there will do."""
    release: str = ""
    freeze: tuple[str, ...] = ()

    @classmethod
    def of_data(cls, data: object) -> "WarmStart | None":
        """Read the block `data` of an experiment's configuration; None: it says nothing of a warm start."""
        ours = data.get("cdl") if isinstance(data, Mapping) else None
        told = ours.get("warmStart") if isinstance(ours, Mapping) else None
        if not isinstance(told, Mapping):
            return None
        return cls(
            policy=str(told.get("policy", "weights")),
            checkpoint=str(told.get("checkpoint", "")),
            digest=str(told.get("digest", "")),
            release=str(told.get("release", "")),
            freeze=tuple(str(layer) for layer in told.get("freeze", ())),
        )

    @property
    def origin(self) -> str:
        """Say whose weights they are."""
        return f"release {self.release}" if self.release else f"checkpoint {self.checkpoint}"


@dataclass(frozen=True)
class Parameters:
    """How many numbers a network has, and what becomes of them."""

    total: int
    loaded: int
    frozen: int

    @property
    def trainable(self) -> int:
        """Those that training changes."""
        return self.total - self.frozen

    def plain(self) -> dict[str, int]:
        """Write them as metrics."""
        return {"parameters": self.total, "loaded": self.loaded, "frozen": self.frozen, "trainable": self.trainable}

    def __str__(self) -> str:
        """Read as one clause."""
        return (
            f"{self.total:,} parameters, {self.loaded:,} loaded, {self.frozen:,} frozen, {self.trainable:,} trainable"
        )


def wanted() -> WarmStart | None:
    """Give what this trial's Experiment asked for; None: nothing, or this is no trial."""
    import determined

    cluster = determined.get_cluster_info()
    if cluster is None or cluster.task_type != "TRIAL":
        return None
    return WarmStart.of_data(cluster.user_data)


def verified(folder: Path, start: WarmStart) -> str:
    """Give the digest of a checkpoint's files, having compared it with the one that was pinned.

    Raises:
        TrainingError: they are not what the Release says.
    """
    files = {
        place.relative_to(folder).as_posix(): f"sha256:{_sha256(place)}"
        for place in folder.rglob("*")
        if place.is_file()
    }
    plain = json.dumps(files, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    found = f"sha256:{hashlib.sha256(plain.encode()).hexdigest()}"
    if start.digest and found != start.digest:
        raise TrainingError(
            f"warm start: the files of {start.origin} have the digest {found}, pinned is {start.digest}"
        )
    return found


def frozen(names: Iterable[str], start: WarmStart) -> frozenset[str]:
    """Give the names that stay as they are; parts of a name lie between dots or slashes, and a part stands for all.

    Raises:
        TrainingError: a pattern matches nothing, so somebody meant another network.
    """
    if start.policy != "freeze":
        return frozenset()
    known = list(names)
    found: set[str] = set()
    for pattern in start.freeze:
        matching = {name for name in known if any(fnmatch.fnmatchcase(part, pattern) for part in _above(name))}
        if not matching:
            raise TrainingError(f"warm start: freeze names {pattern}, but the network has only {', '.join(known)}")
        found |= matching
    return frozenset(found)


def fits(theirs: Mapping[str, tuple[int, ...]], ours: Mapping[str, tuple[int, ...]], start: WarmStart) -> None:
    """See that the stored weights are those of this very network.

    Raises:
        TrainingError: they are not; the sentence names the first difference.
    """
    for name in [*ours, *theirs]:
        there, here = theirs.get(name), ours.get(name)
        if there != here:
            said = " and ".join(
                f"{shape or 'a single number'} {where}" if shape is not None else f"missing {where}"
                for shape, where in ((there, "there"), (here, "here"))
            )
            raise TrainingError(f"warm start: the weights of {start.origin} do not fit this network: {name} is {said}")


def tell(context: Any, start: WarmStart, parameters: Parameters, digest: str) -> None:  # noqa: ANN401 - determined ships no types
    """Say in the log and among the metrics what the trial began with."""
    log.info("begins with the weights of %s (%s): %s", start.origin, digest, parameters)
    context.train.report_metrics(GROUP, STEPS, parameters.plain())


def _above(name: str) -> list[str]:
    """Give a name and all that it lies in: `a.b.c` lies in `a.b` and in `a`."""
    places = [place for place, letter in enumerate(name) if letter in "./"]
    return [name, *(name[:place] for place in places)]


def _sha256(place: Path) -> str:
    with place.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
