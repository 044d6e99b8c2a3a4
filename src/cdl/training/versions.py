"""Which dataset version a trial was given: the `integrations.pachyderm` block of its experiment config."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from cdl.training.failures import TrainingError


@dataclass(frozen=True)
class Dataset:
    """One commit of one Pachyderm repository, and the door it is fetched through."""

    host: str
    port: int
    project: str
    repo: str
    commit: str
    branch: str = "master"
    token: str = ""
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
            token=str(dataset.get("token") or ""),
            tls=proxy.get("scheme") == "https" and place == "proxy",
        )


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
