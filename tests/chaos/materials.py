"""What the scenarios are made of: notes, code, resources, and releases somebody has approved; all of it tiny."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cdl.api.canonical import canonical
from cdl.api.v1alpha1 import Release
from cdl.api.v1alpha1.release import ApprovalState, ApprovalStatus
from cdl.loop.attest import attest, attest_provenance
from cdl.reconcile.release import APPROVED_DIGEST, DECIDED_AT, DECIDED_BY
from cdl.stores.artifacts import DirectoryArtifacts
from cdl.stores.signing import made_once
from cdl.testing.builders import COPY, deployment_document, experiment_document, pipeline_document, release_document

Document = dict[str, Any]
MODEL = Path(__file__).parent / "model"
NOTES = {f"{label}/{number}.txt": f"{label} note {number}" for label in ("up", "down") for number in range(6)}
INTERVAL = "10m"
PERSON = "a person"
AT = datetime.now(UTC)
"""When the person did so: lately, so that nobody looks after these Releases' members, which no engine knows."""


def packed(files: dict[str, bytes]) -> bytes:
    """Pack files; same files, same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def notes(salt: str) -> bytes:
    """Give the archive of a DataPipeline."""
    return packed({name: f"{text}, {salt}".encode() for name, text in NOTES.items()})


def pipeline(namespace: str, name: str, source: str, *, seed: int = 1, step: str = "copy") -> Document:
    """Give a DataPipeline of one archive, divided, copied by one step."""
    return _in(
        namespace,
        pipeline_document(
            name,
            sources=[{"name": "notes", "uri": source, "unpack": "tar"}],
            split={"test": 0.25, "seed": seed},
            steps=[{"name": step, "image": "cdl/steps:0.1.0", "cmd": ["sh", "-c", COPY]}] if step else [],
            labels={"from": "parent"},
            interval=INTERVAL,
        ),
    )


@dataclass(frozen=True, slots=True)
class Shelf:
    """The artifacts of one home folder."""

    home: Path

    @property
    def _store(self) -> DirectoryArtifacts:
        return DirectoryArtifacts(self.home / "artifacts")

    def code(self) -> Document:
        """Keep the code of an Experiment; give what its spec says of it."""
        programs = (MODEL / "train.py", MODEL / "evaluate.py")
        train = gzip.compress(packed({p.name: p.read_bytes() for p in programs}), mtime=0)
        serve = gzip.compress(packed({"serve.py": (MODEL / "serve.py").read_bytes()}), mtime=0)
        return {
            "archive": {"uri": self._store.keep(train, ".tar.gz"), "sha256": _sha(train)},
            "serve": {
                "uri": self._store.keep(serve, ".tar.gz"),
                "sha256": _sha(serve),
                "entrypoint": "serve:Length",
            },
        }

    def experiment(self, namespace: str, name: str, data: str, *, skill: float = 0.8) -> Document:
        """Give an Experiment of one trial, released by policy."""
        return _in(
            namespace,
            experiment_document(
                name,
                data={"pipeline": data},
                code=self.code(),
                config={
                    "entrypoint": "python3 train.py",
                    "hyperparameters": {"skill": skill},
                    "searcher": {"name": "single", "metric": "accuracy", "smaller_is_better": False},
                    "max_restarts": 0,
                },
                interval=INTERVAL,
            ),
        )

    def release(self, namespace: str, model: str, version: int) -> Document:
        """Give a Release that a model server can load, as an Experiment would have written it, with a person's note."""
        code = self.code()
        checkpoint = self.home / "checkpoints-by-hand" / f"{model}-{version}"
        checkpoint.mkdir(parents=True, exist_ok=True)
        (checkpoint / "weights.txt").write_text(str(version))
        files = {"weights.txt": f"sha256:{_sha((checkpoint / 'weights.txt').read_bytes())}"}
        serve = code["serve"]
        plain = release_document(
            model,
            version,
            code={
                "model": {"digest": f"sha256:{code['archive']['sha256']}", "uri": code["archive"]["uri"]},
                "serve": {
                    "digest": f"sha256:{serve['sha256']}",
                    "uri": serve["uri"],
                    "entrypoint": serve["entrypoint"],
                },
            },
            checkpoint={
                "uuid": f"{model}-{version}",
                "uri": checkpoint.as_uri(),
                "digest": f"sha256:{_sha(canonical(files))}",
                "files": files,
            },
        )
        document: Any = dict(plain)
        uri = self._store.keep(canonical(document["spec"]), ".json")
        note = {APPROVED_DIGEST: document["spec"]["digest"], DECIDED_BY: PERSON, DECIDED_AT: AT.isoformat()}
        document["metadata"] = {**document["metadata"], "annotations": {"cdl.dev/document": uri, **note}}
        return _in(namespace, document)

    def approval(self, release: Document) -> Document:
        """Give the status that the operator would write: what the note says, both statements signed with its key."""
        made, signer = Release.read(release), made_once(self.home / "keys" / "release.pem")
        decision = ApprovalStatus(state=ApprovalState.APPROVED, by=PERSON, at=AT, digest=made.spec.digest)
        signed = attest(signer, self._store, made, decision)
        said = decision.model_copy(update={"attestation": signed}).model_dump(mode="json", by_alias=True)
        provenance = attest_provenance(signer, self._store, made)
        return {"status": {"observedGeneration": 1, "approval": said, "provenance": provenance}}


def deployment(namespace: str, name: str, version: int) -> Document:
    """Give a ModelDeployment of one pinned version."""
    return _in(
        namespace,
        deployment_document(
            name,
            model={"name": name, "policy": "Pinned", "version": version},
            backend="local",
            rollout={"strategy": "recreate"},
            interface={
                "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}],
                "outputs": [{"name": "length", "datatype": "FP32", "shape": [-1, 1]}],
            },
            interval=INTERVAL,
        ),
    )


def _in(namespace: str, document: Any) -> Document:
    return {**document, "metadata": {**document["metadata"], "namespace": namespace}}


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
