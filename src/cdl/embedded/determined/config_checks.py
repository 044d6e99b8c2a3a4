"""What an experiment config may contain; every refusal is one sentence."""

from collections.abc import Iterable, Mapping

from cdl.embedded.determined.errors import ApiError, invalid
from cdl.embedded.determined.fields import Tree, items, section, text, whole
from cdl.embedded.determined.hyperparameters import missing_counts

TOP_KEYS = frozenset(
    {
        "bind_mounts",
        "checkpoint_policy",
        "checkpoint_storage",
        "data",
        "data_layer",
        "debug",
        "description",
        "entrypoint",
        "environment",
        "hyperparameters",
        "integrations",
        "labels",
        "log_policies",
        "max_restarts",
        "min_checkpoint_period",
        "min_validation_period",
        "name",
        "optimizations",
        "pbs",
        "perform_initial_validation",
        "preemption_timeout",
        "profiling",
        "project",
        "records_per_epoch",
        "reproducibility",
        "resources",
        "retention_policy",
        "scheduling_unit",
        "searcher",
        "security",
        "slurm",
        "tensorboard_storage",
        "workspace",
    }
)
SEARCHER_KEYS = frozenset(
    {
        "bracket_rungs",
        "divisor",
        "max_concurrent_trials",
        "max_length",
        "max_rungs",
        "max_time",
        "max_trials",
        "metric",
        "mode",
        "name",
        "num_rungs",
        "smaller_is_better",
        "source_checkpoint_uuid",
        "source_trial_id",
        "stop_once",
        "time_metric",
        "unit",
    }
)
RESOURCE_KEYS = frozenset(
    {
        "agent_label",
        "devices",
        "is_single_node",
        "max_slots",
        "native_parallel",
        "priority",
        "resource_pool",
        "shm_size",
        "slots_per_trial",
        "weight",
    }
)
SEARCHERS = ("single", "random", "grid", "adaptive_asha", "async_halving")
REMOVED = ("custom", "sync_halving", "adaptive", "adaptive_simple", "pbt")
NEEDED = {
    "single": (),
    "random": ("max_trials",),
    "grid": (),
    "async_halving": ("num_rungs", "max_trials", "max_time", "time_metric"),
    "adaptive_asha": ("max_trials", "max_time", "time_metric"),
}
POSITIVE = ("max_trials", "max_time", "num_rungs", "max_rungs")
MODES = ("standard", "aggressive", "conservative")
POLICIES = ("best", "all", "none")
UNITS = frozenset({"batches", "epochs", "records"})


def check_written(config: Mapping[str, object]) -> None:
    """Refuse fields nobody knows and values of the wrong kind."""
    _only_known("<config>", config, TOP_KEYS)
    for key in ("searcher", "resources", "hyperparameters", "environment", "reproducibility"):
        value = config.get(key)
        if value is not None and not isinstance(value, Mapping):
            raise wrong(f"<config>.{key}", "must be an object", value)
    if "slots" in section(config, "resources"):
        raise wrong("<config>.resources.slots", "is not allowed; use resources.slots_per_trial")
    _only_known("<config>.resources", section(config, "resources"), RESOURCE_KEYS)
    _only_known("<config>.searcher", section(config, "searcher"), SEARCHER_KEYS)
    if bool(config.get("workspace")) != bool(config.get("project")):
        raise wrong("<config>", "workspace and project must be given together")
    _check_searcher_name(text(config, "searcher", "name"))


def check_complete(config: Tree) -> None:
    """Refuse a config that could not run, after the defaults are in."""
    _check_entrypoint(config.get("entrypoint"))
    _check_searcher(section(config, "searcher"))
    if text(config, "searcher", "name") == "grid":
        for name in missing_counts(section(config, "hyperparameters")):
            raise wrong(f"<config>.{name}", "grid search is in use but count was not provided")
    _at_least(config, 0, "max_restarts")
    _at_least(config, 0, "resources", "slots_per_trial")
    _at_least(config, 0, "reproducibility", "experiment_seed")
    _check_labels(config)
    for period in ("min_validation_period", "min_checkpoint_period"):
        value = config.get(period)
        if not isinstance(value, Mapping) or len(value) != 1 or not set(value) <= UNITS:
            raise wrong(f"<config>.{period}", "must be one of batches, epochs, records", value)
    if config.get("checkpoint_policy") not in POLICIES:
        allowed = f"must be one of {', '.join(POLICIES)}"
        raise wrong("<config>.checkpoint_policy", allowed, config.get("checkpoint_policy"))
    _check_storage(section(config, "checkpoint_storage"))


def wrong(where: str, why: str, found: object = None) -> ApiError:
    """Make the one sentence."""
    tail = "" if found is None else f", found {found!r}"
    return invalid(f"invalid experiment configuration: {where}: {why}{tail}")


def _only_known(where: str, tree: Mapping[str, object], known: Iterable[str]) -> None:
    for key in tree:
        if key not in known:
            raise wrong(where, f"additional property {key!r} is not allowed")


def _check_searcher_name(name: str) -> None:
    if not name:
        raise wrong("<config>.searcher.name", f"is required, one of {', '.join(SEARCHERS)}")
    if name in REMOVED:
        raise wrong(
            "<config>.searcher.name",
            f"searcher {name!r} is no longer supported; use one of {', '.join(SEARCHERS)}",
        )
    if name not in SEARCHERS:
        raise wrong("<config>.searcher.name", f"must be one of {', '.join(SEARCHERS)}", name)


def _check_searcher(searcher: Tree) -> None:
    name = text(searcher, "name")
    for key in ("metric", *NEEDED[name]):
        if searcher.get(key) is None:
            raise wrong(f"<config>.searcher.{key}", f"is required by the {name} searcher")
    for key in ("metric", "time_metric"):
        if key in searcher and not isinstance(searcher[key], str):
            raise wrong(f"<config>.searcher.{key}", "must be a string", searcher[key])
    for key in POSITIVE:
        if key in searcher:
            _at_least({"searcher": searcher}, 1, "searcher", key)
    if "max_concurrent_trials" in searcher:
        _at_least({"searcher": searcher}, 0, "searcher", "max_concurrent_trials")
    if not isinstance(searcher["smaller_is_better"], bool):
        found = searcher["smaller_is_better"]
        raise wrong("<config>.searcher.smaller_is_better", "must be true or false", found)
    _check_halving(searcher)


def _check_halving(searcher: Tree) -> None:
    divisor = searcher.get("divisor", 4)
    if isinstance(divisor, bool) or not isinstance(divisor, int | float) or divisor <= 1:
        raise wrong("<config>.searcher.divisor", "must be a number greater than 1", divisor)
    if searcher.get("mode", "standard") not in MODES:
        raise wrong("<config>.searcher.mode", f"must be one of {', '.join(MODES)}", searcher["mode"])
    for count in items(searcher, "bracket_rungs"):
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise wrong("<config>.searcher.bracket_rungs", "must hold integers of at least 1", count)


def _check_entrypoint(entrypoint: object) -> None:
    if entrypoint is None or entrypoint in ("", []):
        raise wrong("<config>.entrypoint", "is required")
    listed = isinstance(entrypoint, list) and all(isinstance(part, str) for part in entrypoint)
    if not isinstance(entrypoint, str) and not listed:
        raise wrong("<config>.entrypoint", "must be a string or a list of strings", entrypoint)


def _check_labels(config: Tree) -> None:
    labels = config.get("labels")
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise wrong("<config>.labels", "must be a list of strings", labels)
    config["labels"] = sorted(set(labels))


def _check_storage(storage: Tree) -> None:
    kinds = ("directory", "shared_fs", "s3", "gcs", "azure")
    if storage.get("type") not in kinds:
        allowed = f"must be one of {', '.join(kinds)}"
        raise wrong("<config>.checkpoint_storage.type", allowed, storage.get("type"))
    if storage["type"] == "directory" and not text(storage, "container_path").startswith("/"):
        found = storage.get("container_path")
        raise wrong("<config>.checkpoint_storage", "needs an absolute path", found)


def _at_least(config: Mapping[str, object], least: int, *path: str) -> None:
    found = section(config, *path[:-1]).get(path[-1])
    if isinstance(found, bool) or whole(config, *path, default=least - 1) < least:
        raise wrong(f"<config>.{'.'.join(path)}", f"must be an integer of at least {least}", found)
