"""The words of checks, and what they ask of a row: one meaning in data pipelines, in training and in serving.

A row is a mapping from field to value: text, numbers, bytes, or what `image` read of a picture. This package is pure
and needs nothing but Python, so that a step inside a Pachyderm worker, a trial and a model server can all use it::

    judge = Judge.of([{"name": "price", "field": "price", "type": "number", "range": {"min": 0}}])
    judge.hold({"price": -3})  # BrokenError: check price found price -3, allowed is a number from 0
"""

from .judging import BrokenError, Finding, Judge
from .words import Check, WrongCheckError, checks_in

__all__ = ["BrokenError", "Check", "Finding", "Judge", "WrongCheckError", "checks_in"]
