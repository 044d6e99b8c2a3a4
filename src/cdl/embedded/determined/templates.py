"""How a template completes a config: what the config says wins, some lists are joined."""

from collections.abc import Mapping

from cdl.embedded.determined.fields import Tree, section

DEVICES = ("cpu", "cuda", "rocm")
# Lists that are joined, with what makes two of their entries the same.
JOINED = {
    ("bind_mounts",): "container_path",
    ("environment", "proxy_ports"): "proxy_port",
    ("labels",): "",
    ("log_policies",): "name",
    ("resources", "devices"): "container_path",
}
# Later variables win over earlier ones, so those of the config come last.
VARIABLES = [("environment", "environment_variables", device) for device in DEVICES]
RETENTION = frozenset({"save_experiment_best", "save_trial_best", "save_trial_latest"})
# What the kinds of searchers have in common.
ANY_SEARCHER = frozenset({"metric", "smaller_is_better", "source_trial_id", "source_checkpoint_uuid"})


def merged(config: Mapping[str, object], template: Mapping[str, object]) -> Tree:
    """Return the config with what only the template says."""
    return _merged(_plain(config), _compatible(_plain(template), config), ())


def _merged(mine: Mapping[str, object], theirs: Mapping[str, object], path: tuple[str, ...]) -> Tree:
    result = dict(theirs) | {key: value for key, value in mine.items() if value is not None}
    for key in mine.keys() & theirs.keys():
        here, own, other = (*path, key), mine[key], theirs[key]
        if isinstance(own, Mapping) and isinstance(other, Mapping) and not _closed(here, own, other):
            result[key] = _merged(own, other, here)
        elif isinstance(own, list) and isinstance(other, list) and here in VARIABLES:
            result[key] = [*other, *own]
        elif isinstance(own, list) and isinstance(other, list) and here in JOINED:
            known = [_identity(entry, JOINED[here]) for entry in own]
            result[key] = [*own, *(entry for entry in other if _identity(entry, JOINED[here]) not in known)]
    return result


def _closed(path: tuple[str, ...], own: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """A hyperparameter with a type is one value."""
    return path[0] == "hyperparameters" and len(path) > 1 and ("type" in own or "type" in other)


def _identity(entry: object, key: str) -> object:
    return (entry.get(key) or entry) if isinstance(entry, Mapping) else entry


def _compatible(template: Tree, config: Mapping[str, object]) -> Tree:
    """Leave out what belongs to another kind of searcher or storage than the config's."""
    result = dict(template)
    for name, kind, shared in (("searcher", "name", ANY_SEARCHER), ("checkpoint_storage", "type", RETENTION)):
        own, other = section(config, name).get(kind), section(template, name)
        if own is not None and other.get(kind) not in (None, own):
            result[name] = {key: value for key, value in other.items() if key in shared}
    return result


def _plain(config: Mapping[str, object]) -> Tree:
    """Write the variables of the environment per device, so that two ways of writing them meet."""
    result = {str(key): value for key, value in config.items()}
    environment = section(result, "environment")
    variables = environment.get("environment_variables")
    if isinstance(variables, list):
        environment["environment_variables"] = {device: list(variables) for device in DEVICES}
        result["environment"] = environment
    return result
