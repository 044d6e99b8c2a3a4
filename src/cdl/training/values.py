"""Write what a transform gave into a folder and read it back: plain values, arrays, tensors, files; never pickle."""

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from cdl.training.failures import TrainingError

PLAIN = (str, int, float, bool, type(None))
ALLOWED = (
    "None, bool, int, float, str, bytes, lists, tuples, mappings with text as keys, NumPy arrays and numbers, PyTorch"
    " tensors, and paths of files and folders"
)


class Writer:
    """Writes one value; what does not fit into JSON becomes files of the folder."""

    def __init__(self, folder: Path, name: str) -> None:
        """Take the folder, and what the value is called in a complaint."""
        self._folder = folder
        self._name = name
        self._count = 0
        self.has_paths = False

    def write(self, value: object, where: str = "") -> object:
        """Write a value; gives what `read` needs to find it again.

        Raises:
            TrainingError: there is no safe way to write it.
        """
        if type(value) in PLAIN:
            return value
        if isinstance(value, list | tuple) and type(value) in {list, tuple}:
            written = [self.write(item, f"{where}[{at}]") for at, item in enumerate(value)]
            return {type(value).__name__: written}
        if type(value) is dict and all(type(key) is str for key in value):
            return {"dict": {key: self.write(item, f"{where}[{key!r}]") for key, item in value.items()}}
        return self._file(value, where)

    def _file(self, value: object, where: str) -> object:
        kind = self._kind(value)
        place = self._folder / f"{self._count}"
        self._count += 1
        if kind in {"array", "number"}:
            sys.modules["numpy"].save(place.with_suffix(".npy"), value, allow_pickle=False)
        elif kind == "tensor":
            torch = sys.modules["torch"]
            torch.save(torch.clone(torch.detach(value)).cpu(), place)  # a clone: no more than this tensor shows
        elif isinstance(value, bytes):
            place.write_bytes(value)
        elif isinstance(value, Path) and value.exists():
            self.has_paths = True
            (shutil.copytree if value.is_dir() else shutil.copyfile)(value, place)
        else:
            kept = f"{type(value).__module__}.{type(value).__qualname__}"
            raise TrainingError(f"{self._name}{where} cannot be kept: it is {kept}, allowed are {ALLOWED}")
        return {kind: place.with_suffix(".npy" if kind in {"array", "number"} else "").name}

    def _kind(self, value: object) -> str:
        """Name the way a value is written; libraries that are not loaded have made none."""
        numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
        if numpy is not None and not getattr(getattr(value, "dtype", None), "hasobject", False):
            if type(value) is numpy.ndarray:
                return "array"
            if isinstance(value, numpy.generic):
                return "number"
        if torch is not None and type(value) is torch.Tensor:
            return "tensor"
        return "bytes" if type(value) is bytes else "path"


def read(folder: Path, written: object) -> object:
    """Read a value as it was; a path leads into the folder, which is not to be written to."""
    if not isinstance(written, Mapping):
        return written
    ((kind, content),) = written.items()
    if kind == "list":
        return [read(folder, item) for item in content]
    if kind == "tuple":
        return tuple(read(folder, item) for item in content)
    if kind == "dict":
        return {key: read(folder, item) for key, item in content.items()}
    place = folder / content
    if kind == "bytes":
        return place.read_bytes()
    if kind == "path":
        return place
    return _tensor(place) if kind == "tensor" else _array(place, number=kind == "number")


def _array(place: Path, *, number: bool) -> object:
    import numpy as np

    found = np.load(place, allow_pickle=False)
    return found[()] if number else found


def _tensor(place: Path) -> object:
    import torch

    return torch.load(place, weights_only=True, map_location="cpu")
