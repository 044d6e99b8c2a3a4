"""A Release like the one of the BBC example, with every document beside it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from cdl.api.canonical import digest
from cdl.api.v1alpha1.experiment import EvaluationStatus, ExperimentStatus, GateStatus, RunStatus
from cdl.api.v1alpha1.release import ApprovalState, ApprovalStatus, Production
from cdl.reconcile.release.papers import Papers
from cdl.testing.builders import release

A, B, C, D, E, F = (f"sha256:{letter * 64}" for letter in "abcdef")
AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
MEMBERS = {
    "git": {"commit": "c0ffee" + "0" * 34, "authors": ["ada@example.test"]},
    "code": {
        "model": {"digest": A, "uri": "file:///shelf/a.tar.gz"},
        "serve": {"digest": B, "uri": "file:///shelf/b.tar.gz", "entrypoint": "serve:News"},
    },
    "data": {
        "pipeline": "bbc-news",
        "version": C,
        "train": {"repo": "bbc-news-train-clean", "commit": "1" * 32},
        "test": {"repo": "bbc-news-test-clean", "commit": "2" * 32},
    },
    "labels": {"snapshot": D, "rows": 2225},
    "transforms": {"digest": E},
    "experiment": {
        "key": "key-1",
        "run": "7",
        "trial": 11,
        "seed": 42,
        "metric": 0.97,
        "hparams": {"learning_rate": 0.001, "layers": [64, 32]},
        "config": {"digest": F, "uri": "file:///shelf/config.json"},
    },
    "checkpoint": {
        "uuid": "0000-1111",
        "uri": "file:///checkpoints/0000-1111",
        "digest": digest({"weights.pt": A, "words.json": B}),
        "files": {"weights.pt": A, "words.json": B},
    },
    "evaluation": {
        "run": "8",
        "entrypoint": "evaluate:evaluate",
        "metrics": {"accuracy": 0.9753, "f1": 0.97},
        "report": {"digest": C, "uri": "file:///shelf/report.json"},
    },
    "environment": {
        "python": "3.11.9",
        "packages": {"torch": "2.13.0+cpu"},
        "image": None,
        "lock": {"digest": D, "uri": "file:///shelf/lock.json"},
    },
}
REPORT = {
    "metrics": {"accuracy": 0.9753, "f1": 0.97},
    "perClass": {
        "sport": {"precision": 1.0, "recall": 0.99, "f1": 0.995, "support": 120},
        "tech": {"precision": 0.94, "recall": 0.95, "f1": 0.945, "support": 100},
    },
    "confusion": [[119, 1], [5, 95]],
    "classes": ["sport", "tech"],
    "n": 220,
}
LOCK = {
    "python": "3.11.9",
    "implementation": "CPython",
    "platform": "Linux x86_64",
    "packages": {"torch": "2.13.0+cpu", "numpy": "2.4.6"},
}
GATES = (GateStatus(metric="accuracy", value=0.9753, min=0.9, max=None, passed=True),)


def papers(**members) -> Papers:
    """Everything is known; members replace the example's own."""
    made = release("bbc-news", 3, **(MEMBERS | members))
    other = Production(release="bbc-news-2", metrics={"accuracy": 0.96}, differences={"accuracy": 0.0153})
    decision = ApprovalStatus(
        state=ApprovalState.APPROVED,
        by="maria",
        at=AT,
        digest=made.spec.digest,
        reason="better than version 2",
        production=(other,),
        attestation="file:///shelf/approval.dsse.json",
    )
    status = made.status.model_copy(
        update={"approval": decision, "provenance": "file:///shelf/provenance.dsse.json", "served_by": ("bbc-news",)}
    )
    metadata = made.metadata.model_copy(
        update={"creation_timestamp": AT, "labels": {"cdl.dev/experiment": "bbc-news", "cdl.dev/model": "bbc-news"}}
    )
    experiment = ExperimentStatus(
        run=RunStatus(key="key-1", id="7", started_at=AT, finished_at=AT),
        evaluation=EvaluationStatus(run="8", gates=GATES, started_at=AT, finished_at=AT),
    )
    return Papers(
        release=made.model_copy(update={"status": status, "metadata": metadata}),
        builder_version="0.1.0",
        report=REPORT,
        config={"searcher": {"name": "single"}},
        lock=LOCK,
        experiment=experiment,
    )


def bare() -> Papers:
    """The least a Release can be: members without content, nothing beside it."""
    return Papers(release=release(), builder_version="0.1.0")


def pending(found: Papers) -> Papers:
    """The same, before anybody decided."""
    status = found.release.status.model_copy(update={"approval": ApprovalStatus()})
    return replace(found, release=found.release.model_copy(update={"status": status}))
