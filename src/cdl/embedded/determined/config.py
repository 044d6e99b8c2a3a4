"""An experiment config as a person writes it, made complete as a real master would."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import yaml

from cdl.embedded.determined.config_checks import check_complete, check_written
from cdl.embedded.determined.errors import invalid
from cdl.embedded.determined.fields import Tree, at, section, text
from cdl.embedded.determined.hyperparameters import normalise

OPTIMIZATIONS: Tree = {
    "aggregation_frequency": 1,
    "auto_tune_tensor_fusion": False,
    "average_aggregated_gradients": True,
    "average_training_metrics": True,
    "grad_updates_size_file": None,
    "gradient_compression": False,
    "mixed_precision": "O0",
    "tensor_fusion_cycle_time": 1,
    "tensor_fusion_threshold": 64,
}
TOP: Tree = {
    "bind_mounts": [],
    "checkpoint_policy": "best",
    "data": {},
    "debug": False,
    "description": None,
    "hyperparameters": {},
    "labels": [],
    "log_policies": [{"name": "CUDA OOM"}, {"name": "ECC Error"}],
    "max_restarts": 5,
    "min_checkpoint_period": {"batches": 0},
    "min_validation_period": {"batches": 0},
    "perform_initial_validation": False,
    "preemption_timeout": 3600,
    "records_per_epoch": 0,
    "scheduling_unit": 100,
}
PROFILING: Tree = {
    "enabled": False,
    "begin_on_batch": 0,
    "end_after_batch": None,
    "sync_timings": True,
}
RESOURCES: Tree = {
    "devices": [],
    "is_single_node": None,
    "max_slots": None,
    "native_parallel": False,
    "priority": 42,
    "resource_pool": "default",
    "shm_size": None,
    "slots_per_trial": 1,
    "weight": 1,
}
ENVIRONMENT: Tree = {
    "add_capabilities": [],
    "drop_capabilities": [],
    "force_pull_image": False,
    "pod_spec": None,
    "ports": {},
    "proxy_ports": [],
    "registry_auth": None,
}
CHECKPOINTS: Tree = {
    "save_experiment_best": 0,
    "save_trial_best": 1,
    "save_trial_latest": 1,
}
SEARCHER: Tree = {
    "smaller_is_better": True,
    "source_checkpoint_uuid": None,
    "source_trial_id": None,
}
ADAPTIVE: Tree = {
    "bracket_rungs": [],
    "divisor": 4,
    "max_concurrent_trials": 16,
    "max_rungs": 5,
    "mode": "standard",
}
BY_SEARCHER: dict[str, Tree] = {
    "single": {},
    "random": {"max_concurrent_trials": 16},
    "grid": {"max_concurrent_trials": 16},
    "async_halving": {"divisor": 4, "max_concurrent_trials": 16},
    "adaptive_asha": ADAPTIVE,
}
LARGEST = 100_000
DEVICES = ("cpu", "cuda", "rocm")


@dataclass(frozen=True)
class Site:
    """What this master fills in where the config is silent."""

    checkpoint_storage: Tree
    now: int
    name: str


def parse(written: str) -> Tree:
    """Read the YAML text of a request.

    Raises:
        ApiError: it is not YAML, or not an object.
    """
    try:
        _check_size(yaml.compose(written, Loader=yaml.SafeLoader))
        found = yaml.safe_load(written)
    except yaml.YAMLError as error:
        raise invalid(f"invalid experiment configuration: not YAML: {_one_line(error)}") from error
    except RecursionError as error:
        raise invalid("invalid experiment configuration: it is nested too deeply, or contains itself") from error
    except ValueError as error:  # a date that is none, a number of too many digits
        raise invalid(f"invalid experiment configuration: not YAML: {error}") from error
    if not isinstance(found, dict):
        raise invalid("invalid experiment configuration: <config> must be an object")
    try:
        json.dumps(found, allow_nan=False)
    except (TypeError, ValueError) as error:
        # YAML knows dates and infinities; quoting them makes them strings.
        raise invalid(f"invalid experiment configuration: <config>: not JSON: {error}") from error
    return {str(key): value for key, value in found.items()}


def expand(written: Mapping[str, object], site: Site) -> Tree:
    """Check the config and fill in every default.

    Raises:
        ApiError: one sentence naming the field, what was found and what is allowed.
    """
    check_written(written)
    full: Tree = _filled(TOP, written)
    full["name"] = text(written, "name") or site.name
    full["hyperparameters"] = normalise(section(written, "hyperparameters"))
    full["searcher"] = _searcher(section(written, "searcher"))
    full["resources"] = _filled(RESOURCES, section(written, "resources"))
    full["optimizations"] = _filled(OPTIMIZATIONS, section(written, "optimizations"))
    full["profiling"] = _filled(PROFILING, section(written, "profiling"))
    full["environment"] = _environment(section(written, "environment"))
    full["checkpoint_storage"] = storage(written.get("checkpoint_storage"), site)
    full["reproducibility"] = _filled({"experiment_seed": site.now}, section(written, "reproducibility"))
    full.pop("data_layer", None)
    check_complete(full)
    return full


def storage(written: object, site: Site) -> Tree:
    """Complete a checkpoint storage; a shared_fs becomes the directory it is on this machine."""
    given = _filled({}, written) if isinstance(written, Mapping) else {}
    kept = {key: given.pop(key) for key in CHECKPOINTS if given.get(key) is not None}
    if not given.get("type"):
        given = dict(site.checkpoint_storage)
    if given["type"] == "shared_fs":
        host, inside = text(given, "host_path"), text(given, "storage_path")
        whole_path = inside if inside.startswith("/") else f"{host}/{inside}".rstrip("/")
        given = {"type": "directory", "container_path": whole_path}
    return {**given, **_filled(CHECKPOINTS, kept)}


def variables(config: Mapping[str, object]) -> dict[str, str]:
    """Return the environment variables for a CPU task; a bare name means an empty value."""
    listed = at(config, "environment", "environment_variables", "cpu")
    pairs = [str(entry).partition("=") for entry in (listed if isinstance(listed, list) else [])]
    return {name: value for name, _, value in pairs}


def _searcher(written: Tree) -> Tree:
    defaults = SEARCHER | BY_SEARCHER.get(text(written, "name"), {})
    return _filled(defaults, written)


def _environment(written: Tree) -> Tree:
    full = _filled(ENVIRONMENT, written)
    full["environment_variables"] = _per_device(written.get("environment_variables"), [])
    full["image"] = _per_device(written.get("image"), "local")
    return full


def _per_device(written: object, nothing: object) -> Tree:
    if isinstance(written, Mapping):
        return {device: written.get(device) or nothing for device in DEVICES}
    return dict.fromkeys(DEVICES, written or nothing)


def _filled(defaults: Mapping[str, object], written: Mapping[str, object]) -> Tree:
    """Lay what is written over the defaults; a written null means the default."""
    given = {str(key): value for key, value in written.items() if value is not None}
    return {**defaults, **given}


def _check_size(top: yaml.Node | None) -> None:
    """Refuse what aliases would blow up: every node counts as often as it is used."""
    sizes: dict[int, int] = {}

    def size(node: yaml.Node) -> int:
        if id(node) not in sizes:
            inner: list[yaml.Node] = []
            if isinstance(node, yaml.SequenceNode):
                inner = node.value
            elif isinstance(node, yaml.MappingNode):
                inner = [each for pair in node.value for each in pair]
            sizes[id(node)] = 1 + sum(size(each) for each in inner)
        return sizes[id(node)]

    if top is not None and size(top) > LARGEST:
        raise invalid(f"invalid experiment configuration: it holds more than {LARGEST} values")


def _one_line(error: yaml.YAMLError) -> str:
    return " ".join(str(error).split())
