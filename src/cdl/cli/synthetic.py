"""`--data synthetic`: a project's own generator stands in for the real data, and everybody is told."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import click

from cdl.api.v1alpha1 import DataPipeline

from .refusal import Refusal

if TYPE_CHECKING:
    from pathlib import Path

    from cdl.compose import Shelf

GENERATOR = "synthetic.py"
MARK = "cdl.dev/synthetic"
"""The annotation of a DataPipeline whose data is generated."""


def look_alike(folder: Path, home: Path) -> Path:
    """Run the project's generator.

    Raises:
        Refusal: the project has none, or it failed.
    """
    program = folder / GENERATOR
    if not program.is_file():
        message = f"--data synthetic: {folder} has no {GENERATOR} that makes look-alike data"
        raise Refusal(message)
    made = home.resolve() / "synthetic" / folder.resolve().name
    answer = subprocess.run([sys.executable, str(program), str(made)], capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        message = f"{program}: {(answer.stderr.strip().splitlines() or ['failed'])[-1]}"
        raise Refusal(message)
    return made


def redirected(plain: dict[str, Any], made: Path) -> dict[str, Any]:
    """Point a DataPipeline's sources at the generated files of the same names."""
    if plain["kind"] != "DataPipeline":
        return plain
    spec, metadata = plain["spec"], dict(plain["metadata"])
    metadata["annotations"] = {**(metadata.get("annotations") or {}), MARK: "true"}
    return {
        **plain,
        "metadata": metadata,
        "spec": {**spec, "sources": [_source(s, made) for s in spec.get("sources", ())]},
    }


def announce(store: Shelf) -> None:
    """Say so wherever something is shown that generated data may stand behind."""
    made = sorted({p.metadata.name for p in store.list(DataPipeline) if MARK in p.metadata.annotations})
    if made:
        click.echo(f"data of {', '.join(made)}: SYNTHETIC look-alikes; figures say nothing about real data")


def _source(source: dict[str, Any], made: Path) -> dict[str, Any]:
    file = made / str(source["uri"]).rpartition("/")[2]
    if not file.is_file():
        message = f"--data synthetic: the generator made no {file.name}, which source {source['name']} needs"
        raise Refusal(message)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return {**source, "uri": f"file://{file}", "sha256": digest, "mirrors": []}
