"""What is said about a resource before an API server stores it: refused in sentences, or accepted with doubts.

The sentences are those of `cdl validate`. What is stored already is never held against a change of something else:
a resource that is wrong, or became wrong by an upgrade, must stay labelled, annotated and above all deletable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from cdl.api.doubts import doubts
from cdl.api.refusal import explain
from cdl.api.v1alpha1 import KINDS, parse

from .rules import broken

if TYPE_CHECKING:
    from collections.abc import Mapping

Document = dict[str, object]


@dataclass(frozen=True, slots=True)
class Review:
    """The verdict: nothing in `faults` means accepted."""

    faults: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()


ACCEPTED = Review()


def review(new: Mapping[str, object], old: Mapping[str, object] | None = None) -> Review:
    """Judge a document that is to be stored, in the place of an older one if there is one."""
    if old is not None and (new.get("spec") == old.get("spec") or _deleting(new)):
        return ACCEPTED
    wish = {name: value for name, value in new.items() if name != "status"}  # the platform's own, and not changed here
    try:
        resource = parse(wish, KINDS)
    except ValidationError as error:
        return Review(faults=explain(error))
    except ValueError as error:
        return Review(faults=(str(error),))
    faults = broken(resource.kind, wish, old)
    return Review(faults=faults, doubts=() if faults else doubts(resource))


def _deleting(document: Mapping[str, object]) -> bool:
    metadata = document.get("metadata")
    return isinstance(metadata, dict) and bool(metadata.get("deletionTimestamp"))
