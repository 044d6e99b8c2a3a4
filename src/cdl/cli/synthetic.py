"""`--data synthetic`: a project's own generator stands in for the real data, and everybody is told."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from .refusal import Refusal

if TYPE_CHECKING:
    from pathlib import Path

GENERATOR = "synthetic.py"


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
    spec = plain["spec"]
    return {**plain, "spec": {**spec, "sources": [_source(s, made) for s in spec.get("sources", ())]}}


def _source(source: dict[str, Any], made: Path) -> dict[str, Any]:
    file = made / str(source["uri"]).rpartition("/")[2]
    if not file.is_file():
        message = f"--data synthetic: the generator made no {file.name}, which source {source['name']} needs"
        raise Refusal(message)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return {**source, "uri": f"file://{file}", "sha256": digest, "mirrors": []}
