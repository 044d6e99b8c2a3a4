"""Load a pulled release with Python and what its requirements name: no platform, no server, nothing else of cdl.

`cdl model pull` puts this file beside what it loads, as `load.py`:

    python load.py FILE ...          answer each .txt or .json file, a line of JSON each
    from load import load            the object of the release's own class, ready to predict
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import inspect
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

HERE = Path(__file__).resolve().parent
SUMS, RELEASE = "SHA256SUMS", "release.json"
BLOCK = 1 << 20


class DamagedError(Exception):
    """What lies here is not what was pulled."""


def verify(folder: Path = HERE) -> int:
    """Compare every file with its digest, before anything of it is imported; gives how many there are.

    Raises:
        DamagedError: a file is missing or has changed.
    """
    lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    for line in lines:
        wanted, _, name = line.partition("  ")
        try:
            found = _sha256(folder / name)
        except OSError as error:
            raise DamagedError(f"{name} cannot be read: {error.strerror or error}") from error
        if found != wanted:
            raise DamagedError(f"{name} has changed: its sha256 is {found}, expected {wanted}")
    return len(lines)


def load(folder: Path = HERE, **parameters: object) -> object:
    """Check the files, import the release's class and let it read its checkpoint.

    Parameters are given to the class if it takes them, as a deployment's are.

    Raises:
        DamagedError: a file is missing or has changed, or the release has no code that answers.
    """
    verify(folder)
    members = json.loads((folder / RELEASE).read_text(encoding="utf-8"))["spec"]["members"]
    serve = members["code"].get("serve")
    if not serve:
        raise DamagedError("this release has no code that answers; its checkpoint and its training code lie here")
    module, _, name = serve["entrypoint"].partition(":")
    sys.dont_write_bytecode = True  # what lies here stays what was pulled
    sys.path[:0] = [str(folder / "code" / part) for part in ("serve", "model")]
    kind: type = getattr(importlib.import_module(module), name)
    model: object = kind(**_accepted(kind, {**parameters, "model_uri": str(folder / "checkpoint")}))
    begin = getattr(model, "load", None)
    if callable(begin):
        begin()
    return model


def answer(model: object, row: object) -> dict[str, object]:
    """Ask about one text, or one row of numbers."""
    predict: Callable[..., object] = model.predict  # type: ignore[attr-defined]  # the class of a release has it
    told = predict(*(_batch(row), [], {})[: _positional(predict)])
    names = getattr(model, "class_names", None)
    columns = names() if callable(names) else names or []
    return {"names": [str(column) for column in columns], "answer": _plain(told)}


def main() -> int:
    """Answer files; 1 when something is not as it was pulled."""
    parser = argparse.ArgumentParser(prog="load.py", description="Answer files with the model that lies here.")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help=".txt is a text, .json a row of numbers")
    files: list[Path] = parser.parse_args().files
    try:
        if not files:
            sys.stdout.write(f"{verify()} files are what was pulled\n")
            return 0
        model = load()
    except DamagedError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for file in files:
        text = file.read_text(encoding="utf-8", errors="replace")
        row = json.loads(text) if file.suffix == ".json" else text
        sys.stdout.write(json.dumps({"file": file.name, **answer(model, row)}) + "\n")
    return 0


def _batch(row: object) -> object:
    """A batch of one, as an array where the release brought NumPy: a model server gives it one."""
    try:
        numpy = importlib.import_module("numpy")
    except ImportError:
        return [row]
    batch: object = numpy.asarray([row], dtype=object if isinstance(row, str) else None)
    return batch


def _accepted(kind: type, parameters: Mapping[str, object]) -> dict[str, object]:
    signature = inspect.signature(kind).parameters
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in signature.values()):
        return dict(parameters)
    return {name: value for name, value in parameters.items() if name in signature}


def _positional(function: Callable[..., object]) -> int:
    kinds = [p.kind for p in inspect.signature(function).parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return 2
    ours = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return min(sum(kind in ours for kind in kinds), 3)


def _plain(told: object) -> object:
    convert = getattr(told, "tolist", None)
    if callable(convert):
        return convert()
    return [_plain(part) for part in told] if isinstance(told, list | tuple) else told


def _sha256(place: Path) -> str:
    digest = hashlib.sha256()
    with place.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
