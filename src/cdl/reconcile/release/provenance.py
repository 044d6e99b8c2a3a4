"""What a Release was made from, as a statement to sign: SLSA provenance v1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl.api.meta import GROUP
from cdl.reconcile.origin import ADOPTED_FROM, adopted_from

from .statement import described, digest_set, itself, member, statement
from .verify import DIRTY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic import JsonValue

    from cdl.api.v1alpha1 import Release

    from .statement import Table

PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = f"https://{GROUP}/build-types/experiment/v1"
BUILDER = f"https://{GROUP}/operator"
EXPERIMENT_LABEL = f"{GROUP}/experiment"


def provenance(release: Release, builder_version: str) -> Table:
    """Say of the model's files, and of the Release as a whole, what they were made from and by whom.

    It holds no moment of its own: equal Releases, built by the same version of cdl, have equal provenance.
    """
    experiment, evaluation = member(release, "experiment"), member(release, "evaluation")
    build: Table = {
        "buildType": BUILD_TYPE,
        "externalParameters": {
            "experiment": release.metadata.labels.get(EXPERIMENT_LABEL, ""),
            "namespace": release.metadata.namespace,
            "model": release.spec.model,
            "version": release.spec.version,
            "hyperparameters": experiment.get("hparams"),
            "seed": experiment.get("seed"),
            "config": member(release, "experiment", "config"),
            "evaluation": evaluation.get("entrypoint"),
        },
        "internalParameters": {"key": experiment.get("key"), "trial": experiment.get("trial"), **_origin(release)},
        "resolvedDependencies": [each for each in _dependencies(release) if each],
    }
    report = described("evaluation/report", member(release, "evaluation", "report"))
    run: Table = {
        "builder": {"id": BUILDER, "version": {"cdl": builder_version}},
        "metadata": {"invocationId": str(experiment.get("run") or "")},
        "byproducts": [report] if report else [],
    }
    return statement(_subjects(release), PREDICATE, {"buildDefinition": build, "runDetails": run})


def _origin(release: Release) -> Table:
    """Say whose run it was, where another Release's was taken: that read the same data at other addresses."""
    origin = dict(adopted_from(release.spec.members))
    return {ADOPTED_FROM: origin} if origin else {}


def _subjects(release: Release) -> list[JsonValue]:
    files = member(release, "checkpoint", "files")
    return [itself(release), *({"name": name, "digest": digest_set(files[name])} for name in sorted(files))]


def _dependencies(release: Release) -> Iterator[JsonValue]:
    """Everything that went in, in the order in which it is needed."""
    commit = str(member(release, "git").get("commit") or "")
    if commit:
        clean = commit.removesuffix(DIRTY)
        git: Table = {"name": "git", "digest": {"gitCommit": clean}}
        yield git if clean == commit else {**git, "annotations": {"uncommittedChanges": True}}
    for side in ("model", "serve"):
        code = member(release, "code", side)
        if code:
            yield described(f"code/{side}", code)
    data = member(release, "data")
    yield described("data", data, digest="version")
    for side in ("train", "test"):
        part = member(release, "data", side)
        if part:
            yield {"name": f"data/{side}", "uri": f"pfs://{part.get('repo')}@{part.get('commit')}"}
    yield described("labels", member(release, "labels"), digest="snapshot")
    yield described("transforms", member(release, "transforms"))
    yield described("environment", member(release, "environment", "lock"))
    image = member(release, "environment").get("image")
    if image:
        yield {"name": "environment/image", "uri": _image(image)}


def _image(image: JsonValue) -> str:
    """One name, or one for each kind of machine as Determined has it."""
    names = image if isinstance(image, dict) else {"": image}
    return " ".join(f"oci://{names[kind]}" for kind in sorted(names))
