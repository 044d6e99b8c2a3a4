"""The two ways to change a part of an object: merge patch (RFC 7396) and server-side apply. Pure."""

from __future__ import annotations

import copy
from collections.abc import Iterator

from cdl.embedded.seldon.fields import Object, mapping

Path = tuple[str, ...]
# Who an object is belongs to nobody; what the server writes cannot be owned.
UNOWNED = {
    ("apiVersion",),
    ("kind",),
    *(("metadata", name) for name in ("name", "namespace", "uid", "resourceVersion", "generation", "managedFields")),
    ("metadata", "creationTimestamp"),
}


def merged(target: object, patch: object) -> object:
    """Apply a merge patch: null removes, objects merge, everything else replaces."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def leaves(document: object, path: Path = ()) -> Iterator[tuple[Path, object]]:
    """Walk the fields that can be owned: lists are owned whole, as in a resource without list types."""
    if isinstance(document, dict) and (document or not path):
        for key, value in document.items():
            yield from leaves(value, (*path, key))
    elif path not in UNOWNED:
        yield path, document


def conflicts(live: Object, wish: Object, others: dict[str, Object]) -> list[tuple[str, str]]:
    """List the fields that another applier owns and the wish would change: (applier, field)."""
    changed = {path for path, value in leaves(wish) if found(live, path) != value}
    return sorted(
        (applier, "." + ".".join(path))
        for applier, owned in others.items()
        for path, _ in leaves(owned)
        if path in changed
    )


def applied(live: Object, wish: Object, before: Object, others: dict[str, Object]) -> Object:
    """Merge the wish into the live object, and remove what its applier wished before and nobody wishes now."""
    result: Object = copy.deepcopy(live)
    kept = {path for document in (wish, *others.values()) for path, _ in leaves(document)}
    for path, _ in leaves(before):
        if path not in kept:
            _remove(result, path)
    return mapping(_overlaid(result, wish))


def disowned(owned: Object, wish: Object) -> Object:
    """Take from an applier's fields those that somebody else now owns by force."""
    result: Object = copy.deepcopy(owned)
    taken = {path for path, _ in leaves(wish)}
    for path, _ in leaves(owned):
        if path in taken:
            _remove(result, path)
    return result


def found(document: object, path: Path) -> object:
    """Give the value at a path, or nothing."""
    for step in path:
        document = mapping(document).get(step)
    return document


def _overlaid(target: object, wish: object) -> object:
    if not isinstance(wish, dict) or not isinstance(target, dict):
        return copy.deepcopy(wish)
    return {**target, **{key: _overlaid(target.get(key), value) for key, value in wish.items()}}


def _remove(document: Object, path: Path) -> None:
    inner = mapping(document.get(path[0]))
    if len(path) == 1:
        document.pop(path[0], None)
    elif inner:
        _remove(inner, path[1:])
        if not inner:
            document.pop(path[0], None)
