"""What the loop needs of a kind: how to look, how to decide, how to act."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from cdl.api.v1alpha1.resource import Resource, Status

from .forges import NOWHERE, Forges

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from cdl.api.meta import Key
    from cdl.ports.artifacts import ArtifactStore
    from cdl.ports.data import DataEngine
    from cdl.ports.labelled import LabelledData
    from cdl.ports.labelling import LabellingEngine
    from cdl.ports.labels import LabelStore
    from cdl.ports.ledger import Ledger
    from cdl.ports.raw import RawPipelines
    from cdl.ports.resources import ResourceStore
    from cdl.ports.serving import ServingEngine
    from cdl.ports.signing import Signer
    from cdl.ports.sources import SourceCollector
    from cdl.ports.training import TrainingEngine
    from cdl.reconcile.decision import Decision

R = TypeVar("R", bound=Resource)
S = TypeVar("S", bound=Status)
Seen = TypeVar("Seen")
Action = TypeVar("Action")


@dataclass(frozen=True, slots=True)
class Engines:
    """Everything a controller may look at and act upon."""

    resources: ResourceStore
    sources: SourceCollector
    data: DataEngine
    training: TrainingEngine
    serving: ServingEngine
    artifacts: ArtifactStore
    signer: Signer
    ledger: Ledger | None = None
    """Where it is written down what happens; none where nobody wants to know."""
    raw: RawPipelines | None = None
    """None: nobody here takes pipelines that people wrote themselves."""
    forge: Forges = NOWHERE
    """Where merge requests are asked for who agreed to what."""
    labels: LabelStore | None = None
    """Where the labels of dataset versions are put for people's queries; none where there is no database."""
    people: LabellingEngine | None = None
    """Where people are asked for labels; none where there is no such place."""
    labelled: LabelledData | None = None
    """Where their labels are kept; None: nobody is asked, as where a status stands for the data engine."""


@dataclass(frozen=True, slots=True)
class Controller(Generic[R, Seen, S, Action]):
    """One kind's answers. `decide` is pure; `look` changes nothing; `act` is idempotent, its objects named by keys."""

    kind: type[R]
    look: Callable[[R, datetime], Seen]
    decide: Callable[[R, Seen], Decision[S, Action]]
    act: Callable[[R, Action], None]
    status: Callable[[R], S]
    forget: Callable[[Key], None]
    """Remove what the engines hold of a resource whose spec cannot be read any more; harmless when there is nothing."""
    slow: tuple[type, ...] = ()
    """Actions that may take minutes: what is being done is said before they begin."""
    let_go: Callable[[Key], None] = lambda _: None
    """Make what the engines hold of such a resource outlive it, where they would not by themselves."""
