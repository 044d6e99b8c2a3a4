"""Compute what a transform makes of a dataset once, and load it in every later trial.

from cdl.training import data
from cdl.training.transforms import cached

prepared = cached(vectorised, data.fetch(), limit=9_500)
"""

import hashlib
import inspect
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar, cast

from cdl.training import cache
from cdl.training.codes import Code, code_of
from cdl.training.data import cache_folder
from cdl.training.failures import TrainingError
from cdl.training.shelf import MEBI, DamagedError, Found, Shelf

P = ParamSpec("P")
T = TypeVar("T")
LIMIT = "CDL_TRANSFORMS_MIB"
LIMIT_MIB = 4096


@dataclass(frozen=True)
class _Asked:
    """One transform of one dataset with its parameters: the same is never computed twice."""

    code: Code
    data: Path
    input: str
    params: Mapping[str, object]

    @property
    def key(self) -> str:
        said = json.dumps([self.input, self.code.digest, self.params], sort_keys=True)
        return f"{self.code.function}-{hashlib.sha256(said.encode()).hexdigest()[:32]}"

    def about(self, seconds: float) -> dict[str, object]:
        """Say beside the result what it was made from."""
        code = {"function": self.code.function, "files": self.code.files, "packages": self.code.packages}
        return {"input": self.input, "code": code, "params": self.params, "seconds": seconds}

    def say(self, what: str) -> None:
        sys.stderr.write(f"{self.code.function} of {_named(self.data)}: {what}\n")
        sys.stderr.flush()


def cached(transform: Callable[Concatenate[Path, P], T], data: Path, *args: P.args, **params: P.kwargs) -> T:
    """Give what `transform(data, ...)` gives: computed the first time, loaded ever after, in this trial or another.

    It is the same transform while the files of the dataset, the transform's code (see `codes.code_of`) and its
    parameters are the same; it must depend on nothing else. What it gives is kept below the cache of datasets without
    pickle: plain values, NumPy arrays, tensors (they come back on the CPU), bytes, paths of files and folders. What is
    loaded is compared with what was kept, byte by byte, and computed again when it differs. Trials that ask at the same
    time compute once. Beyond `CDL_TRANSFORMS_MIB` the longest unused is given up; 0 keeps nothing.

    Raises:
        TrainingError: the transform is no function of a module, a parameter is not JSON, or the result cannot be kept.
    """
    limit = _limit()
    if not limit:
        return transform(data, *args, **params)
    asked = _Asked(code_of(transform), data, _input(data), _params(transform, data, *args, **params))
    shelf = Shelf(cache_folder().parent / "transforms", limit)
    with shelf.alone(asked.key):
        begun = time.monotonic()
        found = _loaded(shelf, asked)
        if found is not None:
            now = time.monotonic() - begun
            asked.say(f"loaded instead of computing it: {found.seconds:.2f} s then, {now:.2f} s now")
            return cast("T", found.value)
        begun = time.monotonic()
        value = transform(data, *args, **params)
        kept = _keep(shelf, asked, value, time.monotonic() - begun)
    return cast("T", kept)


def _loaded(shelf: Shelf, asked: _Asked) -> Found | None:
    try:
        return shelf.load(asked.key)
    except DamagedError as error:
        asked.say(f"what was kept is damaged and is computed again: {error}")
        shelf.drop(asked.key)
        return None


def _keep(shelf: Shelf, asked: _Asked, value: object, seconds: float) -> object:
    """Keep a result for others; a disk that does not take it costs them the time, and this trial nothing."""
    try:
        size, value = shelf.keep(asked.key, asked.code.function, value, asked.about(seconds))
        told = f"computed in {seconds:.2f} s"
        if size > _limit():
            asked.say(f"{told} and not kept: {size / MEBI:.1f} MiB are more than {LIMIT}={_limit() // MEBI}")
            return value
        asked.say(f"{told} and kept for later trials, {size / MEBI:.1f} MiB")
        if gone := shelf.make_room(asked.key):
            asked.say(f"{gone} older results were given up to stay within {LIMIT}={_limit() // MEBI}")
    except OSError as error:
        asked.say(f"computed in {seconds:.2f} s and not kept: {error.strerror}")
    return value


def _limit() -> int:
    given = os.environ.get(LIMIT, str(LIMIT_MIB))
    if not given.isdecimal():
        raise TrainingError(f"{LIMIT} is {given!r}, allowed is a number of MiB, 0 for none")
    return int(given) * MEBI


def _input(data: Path) -> str:
    """Stand for the files: by what was noted when they were fetched, else by reading them."""
    if data.is_dir():
        ours = data.is_relative_to(cache_folder())
        files = cache.recorded(data) if ours else {}
        files = files or {path: cache.sha256(data / path) for path in cache.sizes(data)}
    elif data.is_file():
        files = {data.name: cache.sha256(data)}
    else:
        raise TrainingError(f"{data} is neither a folder nor a file: there is nothing to transform")
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def _params(transform: Callable[..., object], *args: object, **params: object) -> Mapping[str, object]:
    """Name every parameter but the dataset, with its default where none is given."""
    bound = inspect.signature(transform).bind(*args, **params)
    bound.apply_defaults()
    named = dict(list(bound.arguments.items())[1:])
    for name, value in named.items():
        try:
            json.dumps(value)
        except (TypeError, ValueError) as error:
            raise TrainingError(f"parameter {name} is {type(value).__name__}, allowed is what JSON can say") from error
    return named


def _named(data: Path) -> str:
    """A dataset version by its name, another folder by its path."""
    return str(data.relative_to(cache_folder()) if data.is_relative_to(cache_folder()) else data)
