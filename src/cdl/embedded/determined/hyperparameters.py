"""Hyperparameters: one normal form, sampling in a real master's order, and grids."""

from collections.abc import Mapping
from itertools import product

from cdl.embedded.determined.draws import Draws
from cdl.embedded.determined.errors import invalid
from cdl.embedded.determined.fields import Tree, items, number, section, text, whole

KINDS = ("const", "int", "double", "log", "categorical")
RANGED = ("int", "double", "log")


def normalise(value: object, where: str = "hyperparameters") -> Tree:
    """Give every hyperparameter an explicit type; nested objects stay objects.

    Raises:
        ApiError: a type is unknown, or a range is empty or not numbers.
    """
    if not isinstance(value, Mapping):
        return {"type": "const", "val": value}
    if "type" not in value:
        return {str(key): normalise(inner, f"{where}.{key}") for key, inner in value.items()}
    tree = {str(key): inner for key, inner in value.items()}
    _check(tree, where)
    return tree


def sample(hparams: Mapping[str, object], draws: Draws) -> Tree:
    """Draw one value of each hyperparameter, names in sorted order."""
    return {name: _sample_one(section(hparams, name), draws) for name in sorted(hparams)}


def grid(hparams: Mapping[str, object]) -> list[Tree]:
    """List the cartesian product over sorted names, the last name varying fastest."""
    names = sorted(hparams)
    axes = [_axis(section(hparams, name)) for name in names]
    return [dict(zip(names, point, strict=True)) for point in product(*axes)]


def missing_counts(hparams: Mapping[str, object], where: str = "hyperparameters") -> list[str]:
    """Name every range that a grid search cannot enumerate."""
    found: list[str] = []
    for name in sorted(hparams):
        one = section(hparams, name)
        if "type" not in one:
            found += missing_counts(one, f"{where}.{name}")
        elif text(one, "type") in RANGED and whole(one, "count") < 1:
            found.append(f"{where}.{name}")
    return found


def _check(one: Tree, where: str) -> None:
    kind = one.get("type")
    if kind not in KINDS:
        raise invalid(f"<config>.{where}: type must be one of {', '.join(KINDS)}, found {kind!r}")
    if kind == "const" and "val" not in one:
        raise invalid(f"<config>.{where}: a const hyperparameter needs val")
    if kind == "categorical" and not items(one, "vals"):
        raise invalid(f"<config>.{where}: a categorical hyperparameter needs a non-empty list vals")
    if kind in RANGED:
        _check_range(one, where)


def _check_range(one: Tree, where: str) -> None:
    wanted = int if one["type"] == "int" else (int, float)
    bounds = ("minval", "maxval", "base") if one["type"] == "log" else ("minval", "maxval")
    for bound in bounds:
        value = one.get(bound)
        if isinstance(value, bool) or not isinstance(value, wanted):
            need = "an integer" if one["type"] == "int" else "a number"
            raise invalid(f"<config>.{where}.{bound}: must be {need}, found {value!r}")
    if number(one, "minval") >= number(one, "maxval"):
        raise invalid(
            f"<config>.{where}: minval must be less than maxval, found {one['minval']} and {one['maxval']}",
        )


def _sample_one(one: Tree, draws: Draws) -> object:
    match one.get("type"):
        case "const":
            return one.get("val")
        case "int":
            low, high = whole(one, "minval"), whole(one, "maxval")
            return low + draws.below(high - low + 1)
        case "double":
            return draws.uniform(number(one, "minval"), number(one, "maxval"))
        case "log":
            exponent = draws.uniform(number(one, "minval"), number(one, "maxval"))
            return float(number(one, "base") ** exponent)
        case "categorical":
            values = items(one, "vals")
            return values[draws.below(len(values))]
        case _:
            return sample(one, draws)


def _axis(one: Tree) -> list[object]:
    match one.get("type"):
        case "const":
            return [one.get("val")]
        case "int":
            return _whole_axis(one)
        case "double":
            return list(_even(one))
        case "log":
            return [float(number(one, "base") ** exponent) for exponent in _even(one)]
        case "categorical":
            return items(one, "vals")
        case _:
            return list(grid(one))


def _whole_axis(one: Tree) -> list[object]:
    low, high = whole(one, "minval"), whole(one, "maxval")
    count = min(whole(one, "count"), high - low + 1)
    if count == 1:
        return [_round((low + high) / 2.0)]
    return [_round(low + index * (high - low) / (count - 1)) for index in range(count)]


def _even(one: Tree) -> list[float]:
    low, high, count = number(one, "minval"), number(one, "maxval"), whole(one, "count")
    if count == 1:
        return [(low + high) / 2.0]
    return [low + index * (high - low) / (count - 1) for index in range(count)]


def _round(value: float) -> int:
    """Round halves away from zero, as Go does; Python's round goes to the even neighbour."""
    return int(value + 0.5) if value >= 0 else -int(0.5 - value)
