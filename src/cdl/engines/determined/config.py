"""What is written into an experiment's configuration before it is sent; pure.

What the user wrote stays as it is: only labels are added to, and what is missing is filled in.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from cdl.api.meta import Key

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import JsonValue

    from cdl.reconcile.experiment import TrainWish
    from cdl.reconcile.experiment.start import Start

    Table = dict[str, JsonValue]

MANAGED, OWNER, KEY, ROLE = "cdl", "cdl-owner", "cdl-key", "cdl-role"
EVALUATION = f"{ROLE}=evaluation"
FILLED_IN = {
    # Restarted PyTorch trials unpickle their own state, which torch >= 2.6 refuses by default.
    "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1",
    # Several trials share the cores of one machine.
    "OMP_NUM_THREADS": "1",
}
DEFAULT = "default"
"""The namespace whose models have their plain names, as who works in one namespace expects them."""
TOLD = "cdl"
"""Under this name of `data` trials find what their code has to know."""
DEVICES = ("cpu", "cuda", "rocm")


def owner_label(owner: Key) -> str:
    """The label by which every run of a resource is found."""
    return f"{OWNER}={owner.namespace}.{owner.name}"


def key_label(key: str) -> str:
    """The label by which one run is found."""
    return f"{KEY}={key}"


def registered_name(namespace: str, model: str) -> str:
    """What a namespace's model is called in the master's one registry; neither part has a dot in it."""
    return model if namespace == DEFAULT else f"{namespace}.{model}"


def key_of(labels: object) -> str:
    """Read a run's key; empty when somebody took the label away."""
    return _labelled(labels, KEY)


def owner_of(labels: object) -> Key | None:
    """Read whose a run is; None when somebody took the label away. A namespace has no dot."""
    namespace, dot, name = _labelled(labels, OWNER).partition(".")
    return Key("Experiment", namespace, name) if dot and namespace and name else None


def _labelled(labels: object, name: str) -> str:
    found = (str(label) for label in labels) if isinstance(labels, list | tuple | set) else ()
    return next((label.removeprefix(f"{name}=") for label in found if label.startswith(f"{name}=")), "")


@dataclass(frozen=True, slots=True)
class Identities:
    """Who runs are to the data engine: an evaluation is another one than a trial."""

    trial: str = field(default="", repr=False)
    """Token that trials show; the master shows it to whoever may read an experiment's configuration."""
    evaluator: str = field(default="", repr=False)
    """Token that evaluations show; likewise."""
    evaluator_file: str = ""
    """Where evaluations find theirs: nobody is shown more than the address."""


NOBODY = Identities()
TOKEN_FILE, CACHE = "CDL_PACHD_TOKEN_FILE", "CDL_CACHE"
APART = "-evaluation"
"""How the name of the folder ends in which evaluations keep data: trials look into another."""


def experiment_config(
    owner: Key,
    key: str,
    wish: TrainWish,
    pachd: tuple[str, int],
    environment: Mapping[str, str],
    identities: Identities = NOBODY,
) -> Table:
    """Give the configuration as it is sent."""
    config: Table = dict(wish.config)
    if wish.evaluates:
        config.update(_evaluation(wish))
    elif wish.start is not None:
        config |= _warm(config, wish.start)
    config.setdefault("name", wish.name)
    config.setdefault("max_restarts", 1)
    written = config.get("labels")
    config["labels"] = [*(written if isinstance(written, list) else []), *_labels(owner, key, wish)]
    config["reproducibility"] = {"experiment_seed": seed(key), **_table(config.get("reproducibility"))}
    token = identities.evaluator if wish.evaluates else identities.trial
    config["integrations"] = _with_data(_table(config.get("integrations")), owner, wish, pachd, token)
    variables = {**FILLED_IN, **environment, **(_of_evaluator(environment, identities) if wish.evaluates else {})}
    config["environment"] = _with_variables(_table(config.get("environment")), variables)
    return config


def _of_evaluator(environment: Mapping[str, str], identities: Identities) -> dict[str, str]:
    apart = {CACHE: f"{environment[CACHE]}{APART}"} if environment.get(CACHE) else {}
    return apart | ({TOKEN_FILE: identities.evaluator_file} if identities.evaluator_file else {})


def seed(key: str) -> int:
    """Same wish, same chance."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") >> 1


def _labels(owner: Key, key: str, wish: TrainWish) -> list[JsonValue]:
    return [MANAGED, owner_label(owner), key_label(key), *([EVALUATION] if wish.evaluates else [])]


def _warm(config: Mapping[str, JsonValue], start: Start) -> Table:
    """Give a trial earlier weights as Determined does, and tell its code what to do with them."""
    data = _table(config.get("data"))
    return {
        "searcher": {**_table(config.get("searcher")), "source_checkpoint_uuid": start.checkpoint},
        "data": {**data, TOLD: {**_table(data.get(TOLD)), "warmStart": start.plain()}},
    }


def _evaluation(wish: TrainWish) -> Table:
    module = "cdl.training.evaluate"
    return {
        "entrypoint": ["python3", "-m", module, "--entrypoint", wish.evaluates, "--checkpoint", wish.checkpoint],
        "searcher": {"name": "single", "metric": "accuracy", "smaller_is_better": False},
        "resources": {"slots_per_trial": 1},
        "max_restarts": 1,
        "hyperparameters": {},
    }


def _with_data(integrations: Table, owner: Key, wish: TrainWish, pachd: tuple[str, int], token: str) -> Table:
    """Pin the commit: Determined then knows what each checkpoint was made from."""
    host, port = pachd
    dataset: Table = {"project": owner.namespace, "repo": wish.repo, "commit": wish.commit, "branch": "master"}
    if token:
        dataset["token"] = token
    return {**integrations, "pachyderm": {"pachd": {"host": host, "port": port}, "dataset": dataset}}


def _with_variables(environment: Table, wanted: Mapping[str, str]) -> Table:
    """Add the variables that the user did not set, in whichever of the two shapes the list has."""
    written = environment.get("environment_variables")
    if isinstance(written, dict):
        lists = {device: _list(written.get(device)) for device in DEVICES}
        added: JsonValue = {device: [*given, *_unset(given, wanted)] for device, given in lists.items()}
    else:
        given = _list(written)
        added = [*given, *_unset(given, wanted)]
    return {**environment, "environment_variables": added}


def _unset(given: list[JsonValue], wanted: Mapping[str, str]) -> list[JsonValue]:
    names = {str(variable).partition("=")[0] for variable in given}
    return [f"{name}={value}" for name, value in sorted(wanted.items()) if name not in names]


def _list(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []


def _table(value: JsonValue) -> Table:
    return cast("Table", dict(value)) if isinstance(value, dict) else {}
