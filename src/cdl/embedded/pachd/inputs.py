"""The input of a pipeline: a tree of pfs and cron inputs below cross, union, join and group."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from cdl.embedded.pachd import clock, globs
from cdl.embedded.pachd.refs import RepoName
from cdl.embedded.pachd.refusals import RefusedError, absent
from cdl.embedded.pachd.store import now
from cdl.embedded.pachd.wire import Msg

BRANCHING = ("join", "group", "cross", "union")
KINDS = ("pfs", "cron", *BRANCHING)
TAKEN = frozenset({"out", ".env", ".scratch"})


class Leaf(NamedTuple):
    """One place that data comes from; `number` is its position in the whole input."""

    number: int
    name: str
    repo: RepoName
    branch: str
    glob: str
    join_on: str = ""
    outer: bool = False
    group_by: str = ""
    empty_files: bool = False
    reference: bool = False
    never: bool = False
    cron: bool = False
    trigger: bytes = b""
    spec: str = ""
    start: int = 0
    overwrite: bool = False


class Node(NamedTuple):
    """A leaf, or what is made of several inputs."""

    kind: str
    leaf: Leaf | None
    below: tuple["Node", ...]


def kinds_of(given: Msg) -> list[str]:
    """List which kinds of input a message sets; a sound one sets one."""
    return [kind for kind in KINDS if (given.HasField(kind) if kind in {"pfs", "cron"} else len(getattr(given, kind)))]


def visit(given: Msg) -> Iterator[Msg]:
    """Give every input of a tree, itself included, in order."""
    yield given
    for kind in BRANCHING:
        for child in getattr(given, kind):
            yield from visit(child)


def tree(given: Msg) -> Node:
    """Read a completed input."""
    return _node(given, [])


def leaves(given: Msg) -> list[Leaf]:
    """List the places that a completed input reads."""
    found: list[Leaf] = []
    _node(given, found)
    return found


def _node(given: Msg, found: list[Leaf]) -> Node:
    kind = kinds_of(given)[0]
    if kind in BRANCHING:
        return Node(kind, None, tuple(_node(child, found) for child in getattr(given, kind)))
    leaf = _pfs_leaf(given.pfs, len(found)) if kind == "pfs" else _cron_leaf(given.cron, len(found))
    found.append(leaf)
    return Node(kind, leaf, ())


def _pfs_leaf(source: Msg, number: int) -> Leaf:
    return Leaf(
        number,
        source.name,
        RepoName(source.project, source.repo, source.repo_type),
        source.branch,
        source.glob,
        source.join_on,
        source.outer_join,
        source.group_by,
        source.empty_files,
        source.reference,
        source.propagation_spec.never,
        trigger=source.trigger.SerializeToString() if source.HasField("trigger") else b"",
    )


def _cron_leaf(source: Msg, number: int) -> Leaf:
    return Leaf(
        number,
        source.name,
        RepoName(source.project, source.repo, "user"),
        "master",
        "/*",
        cron=True,
        spec=source.spec,
        start=source.start.ToNanoseconds(),
        overwrite=source.overwrite,
    )


def name_of(given: Msg) -> str:
    """Tell by which name an input is sorted among its neighbours."""
    kind = next(iter(kinds_of(given)), "")
    if kind in {"pfs", "cron"}:
        return str(getattr(given, kind).name)
    return name_of(getattr(given, kind)[0]) if kind else ""


# -- completing -------------------------------------------------------------------------------------------------------


def complete(given: Msg, pipeline: Msg) -> None:
    """Fill in the defaults, in place; what is made of several inputs is sorted by name."""
    counts: Counter[str] = Counter()
    for node in visit(given):
        if node.HasField("pfs"):
            _complete_pfs(node.pfs, pipeline, counts)
        if node.HasField("cron"):
            _complete_cron(node.cron, pipeline)
    _sort(given)


def _sort(given: Msg) -> None:
    for kind in BRANCHING:
        children = getattr(given, kind)
        for child in children:
            _sort(child)
        ordered = [type(given).FromString(c.SerializeToString()) for c in sorted(children, key=name_of)]
        del children[:]
        children.extend(ordered)


def _complete_pfs(source: Msg, pipeline: Msg, counts: Counter[str]) -> None:
    """Fill in a pfs input's defaults; a trigger without a branch gets one of its own, counted per repo."""
    if source.HasField("trigger") and not source.branch:
        counts[source.repo] += 1
        source.branch = f"{pipeline.name}-trigger-{counts[source.repo]}"
        source.trigger.branch = source.trigger.branch or "master"
    source.project = source.project or pipeline.project.name
    source.repo_type = source.repo_type or "user"
    source.branch = source.branch or "master"
    source.name = source.name or source.repo
    source.glob = globs.check(source.glob) if source.glob else ""


def _complete_cron(source: Msg, pipeline: Msg) -> None:
    source.project = source.project or pipeline.project.name
    source.repo = source.repo or f"{pipeline.name}_{source.name}"
    if not source.HasField("start"):
        source.start.FromNanoseconds(now())


# -- checking ---------------------------------------------------------------------------------------------------------


def check(name: str, given: Msg) -> None:
    """Refuse an input from which no pipeline can be made here."""
    for node in visit(given):
        kinds = kinds_of(node)
        if not kinds:
            raise RefusedError(f"pipeline {name}: no input set; give input.pfs, cross, union, join or group")
        if len(kinds) > 1:
            raise RefusedError(f"pipeline {name}: multiple input types set: {' and '.join(kinds)}; one is allowed")
        if kinds == ["pfs"]:
            _check_pfs(name, node.pfs)
        elif kinds == ["cron"]:
            _check_cron(name, node.cron)
    _check_names(name, given, set())


def _check_names(pipeline: str, given: Msg, used: set[str]) -> set[str]:
    """Refuse a name that two inputs of one datum would have; the arms of a union never meet."""
    kind = kinds_of(given)[0]
    if kind in {"pfs", "cron"}:
        found = str(getattr(given, kind).name)
        if found in used:
            raise RefusedError(f"pipeline {pipeline}: the input name {found!r} is used more than once")
        return used | {found}
    if kind == "union":
        return used.union(*(_check_names(pipeline, child, used) for child in given.union))
    for child in getattr(given, kind):
        used = _check_names(pipeline, child, used)
    return used


def check_name(pipeline: str, kind: str, found: str) -> None:
    """Refuse a name that user code could not find below /pfs."""
    if not found or found in TAKEN or "/" in found:
        raise RefusedError(f"pipeline {pipeline}: input.{kind}.name {found!r} is not allowed")


def _check_cron(name: str, source: Msg) -> None:
    check_name(name, "cron", source.name)
    if source.commit:
        raise RefusedError(f"pipeline {name}: input.cron.commit cannot be set in a pipeline")
    clock.schedule(source.spec)


def _check_pfs(name: str, source: Msg) -> None:
    if not source.repo:
        raise RefusedError(f"pipeline {name}: input.pfs must specify a repo")
    if not source.glob:
        raise RefusedError(f"pipeline {name}: input.pfs {source.name!r} must specify a glob")
    if source.commit:
        raise RefusedError(f"pipeline {name}: input.pfs.commit cannot be set in a pipeline; name a branch")
    check_name(name, "pfs", source.name)
    if source.s3:
        raise absent(f"pipeline {name}: input.pfs.s3 is not offered by the embedded pachd")
