"""Which dataset version a trial was given: the `integrations.pachyderm` block of its experiment config."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from cdl.training.failures import TrainingError

SHOWN_FROM = "CDL_PACHD_TOKEN_FILE"


@dataclass(frozen=True)
class Dataset:
    """One commit of one Pachyderm repository, and the door it is fetched through."""

    host: str
    port: int
    project: str
    repo: str
    commit: str
    branch: str = "master"
    token: str = field(default="", repr=False)
    tls: bool = False

    @property
    def key(self) -> PurePosixPath:
        """Name this version below a cache folder; a commit never changes, so neither does what lies there."""
        return PurePosixPath(self.project, self.repo, self.commit)

    @classmethod
    def of_config(cls, config: Mapping[str, object]) -> "Dataset | None":
        """Read the dataset of an experiment config; None when the config names none."""
        block = _mapping(config.get("integrations"), "integrations").get("pachyderm")
        if not block:
            return None
        pachyderm = _mapping(block, "integrations.pachyderm")
        dataset = _mapping(pachyderm.get("dataset"), "integrations.pachyderm.dataset")
        pachd = _mapping(pachyderm.get("pachd"), "integrations.pachyderm.pachd")
        proxy = _mapping(pachyderm.get("proxy"), "integrations.pachyderm.proxy")
        door, place = (pachd, "pachd") if pachd.get("host") else (proxy, "proxy")
        return cls(
            host=_word(door, "host", place),
            port=_port(door, place),
            project=str(dataset.get("project") or "default"),
            repo=_word(dataset, "repo", "dataset"),
            commit=_word(dataset, "commit", "dataset"),
            branch=str(dataset.get("branch") or "master"),
            token=str(dataset.get("token") or "") or _token(),
            tls=proxy.get("scheme") == "https" and place == "proxy",
        )


def _token() -> str:
    """Read what is shown at the door from the file that an evaluation is told of; nothing where it is told of none."""
    place = os.environ.get(SHOWN_FROM)
    if not place:
        return ""
    try:
        return Path(place).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise TrainingError(f"{SHOWN_FROM} is {place}, which cannot be read: {error.strerror}") from error


def _mapping(value: object, place: str) -> Mapping[str, object]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise TrainingError(f"{place} of the experiment config is {type(value).__name__}, allowed is a mapping")
    return value


def _word(block: Mapping[str, object], field: str, place: str) -> str:
    value = block.get(field)
    if not isinstance(value, str) or not value or value in {".", ".."} or "/" in value:
        raise TrainingError(
            f"integrations.pachyderm.{place}.{field} of the experiment config is {value!r}, allowed is a name"
        )
    return value


def _port(block: Mapping[str, object], place: str) -> int:
    value = block.get("port")
    if isinstance(value, int | str) and str(value).isdigit():
        return int(value)
    raise TrainingError(
        f"integrations.pachyderm.{place}.port of the experiment config is {value!r}, allowed is a port number"
    )
