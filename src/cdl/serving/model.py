"""A user's class, called the way Seldon's wrapper calls it.

__init__(model_uri, **parameters)   once; given the parameters it accepts
load()                              once, before the server listens; optional
predict(X, names)                   each request; names may be called features_names or be left out
transform_input, transform_output   the same, where the class stands before or behind another model of a graph
class_names, tags(), metrics()      what goes beside the answer; optional
feature_names                       what the columns of a row are called, for the page at /; optional
health_status()                     raises when the model cannot answer; optional
send_feedback(X, names, reward, truth)   optional
"""

from __future__ import annotations

import importlib
import inspect
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cdl.checks import BrokenError
from cdl.serving.faults import BAD_MODEL, Fault, Refused

LOG = logging.getLogger("cdl.serving")
TRANSFORMS = ("transform_input", "transform_output")
POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Model:
    """The loaded model. Whatever user code raises comes out as one sentence; the traceback goes to the log."""

    def __init__(self, instance: object) -> None:
        self._instance = instance
        self._taken: dict[str, int] = {}
        self.transforms = any(callable(getattr(instance, name, None)) for name in TRANSFORMS)
        self.predicts = callable(getattr(instance, "predict", None)) or not self.transforms
        self._predict = self._required("predict") if self.predicts else None

    def load(self) -> None:
        """Let the model read its checkpoint; a class without load has done so in its constructor."""
        method = getattr(self._instance, "load", None)
        if callable(method):
            _starting("load()", method)

    def predict(self, inputs: object, names: Sequence[str]) -> object:
        """Answer one request."""
        if self._predict is None:
            raise Fault(
                501, f"class {type(self._instance).__name__} has no method predict(X, names); it transforms only"
            )
        return self._ask("predict", self._predict, inputs, names)

    def transform(self, name: str, inputs: object, names: Sequence[str]) -> object:
        """Transform what goes to another model, or comes from it; a class that does not changes nothing."""
        method = getattr(self._instance, name, None)
        return self._ask(name, method, inputs, names) if callable(method) else inputs

    def class_names(self) -> list[str]:
        """Names of the answer's columns, empty where the class gives none."""
        return _texts(self._optional("class_names"))

    def feature_names(self) -> list[str]:
        """Names of the columns of a row that goes in, empty where the class gives none."""
        return _texts(self._optional("feature_names"))

    def tags(self) -> dict[str, object]:
        """What the model wants said about this answer."""
        value = self._optional("tags")
        return {str(key): item for key, item in value.items()} if isinstance(value, Mapping) else {}

    def metrics(self) -> list[Mapping[str, object]]:
        """Numbers the model wants counted: {type, key, value}."""
        value = self._optional("metrics")
        return [item for item in value if isinstance(item, Mapping)] if isinstance(value, (list, tuple)) else []

    @property
    def checks_itself(self) -> bool:
        """Whether the class has a health check of its own."""
        return callable(getattr(self._instance, "health_status", None))

    def health_status(self) -> object:
        """Ask the model how it is."""
        return self._optional("health_status")

    def feedback(self, inputs: object, names: Sequence[str], reward: float, truth: object) -> object:
        """Hand a caller's judgement to the model; a class without send_feedback ignores it."""
        method = getattr(self._instance, "send_feedback", None)
        if not callable(method):
            return None
        return _answering("send_feedback", lambda: method(inputs, list(names), reward, truth))

    def _ask(self, name: str, method: Callable[..., object], inputs: object, names: Sequence[str]) -> object:
        """Call a method with as many arguments as it takes, which is found out once."""
        if name not in self._taken:
            self._taken[name] = _positional_count(method)
        arguments = (inputs, list(names), {})[: self._taken[name]]
        return _answering(name, lambda: method(*arguments))

    def _optional(self, name: str) -> object:
        member: object = getattr(self._instance, name, None)
        return _answering(name, member) if callable(member) else member

    def _required(self, name: str) -> Callable[..., object]:
        method = getattr(self._instance, name, None)
        kind = type(self._instance).__name__
        if not callable(method):
            raise Refused(f"class {kind} has no method {name}(X, names)", BAD_MODEL)
        if inspect.iscoroutinefunction(method):
            raise Refused(f"{kind}.{name} is a coroutine; expected a plain method", BAD_MODEL)
        return method  # type: ignore[no-any-return]  # getattr on a user's object


def build(entrypoint: str, folders: Sequence[Path], parameters: Mapping[str, object]) -> Model:
    """Import `module:Class` from the folders and make one, with those parameters that it accepts."""
    module_name, _, class_name = entrypoint.partition(":")
    sys.path[:0] = [str(folder) for folder in folders]
    module = _starting(f"importing {module_name}", lambda: importlib.import_module(module_name))
    kind = getattr(module, class_name, None)
    if not isinstance(kind, type):
        raise Refused(f"entrypoint {entrypoint}: module {module_name} has no class {class_name}", BAD_MODEL)
    accepted = _accepted(kind, parameters)
    return Model(_starting(f"{class_name}()", lambda: kind(**accepted)))


def _texts(value: object) -> list[str]:
    listed = value.tolist() if hasattr(value, "tolist") else value
    return [str(name) for name in listed] if isinstance(listed, (list, tuple)) else []


def _accepted(kind: type, parameters: Mapping[str, object]) -> dict[str, object]:
    signature = inspect.signature(kind)
    if any(p.kind is inspect.Parameter.VAR_KEYWORD for p in signature.parameters.values()):
        return dict(parameters)
    return {name: value for name, value in parameters.items() if name in signature.parameters}


def _positional_count(function: Callable[..., object]) -> int:
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters):
        return 2
    return min(sum(p.kind in POSITIONAL for p in parameters), 3)


def _starting(what: str, call: Callable[[], object]) -> object:
    try:
        return call()
    except SystemExit as error:
        raise Refused(f"{what} left the program with {error.code!r}", BAD_MODEL) from error
    except Exception as error:  # user code may raise anything; all of it becomes one sentence
        LOG.exception("%s failed", what)
        raise Refused(f"{what} failed with {_summary(error)}", BAD_MODEL) from error


def _answering(what: str, call: Callable[[], object]) -> object:
    try:
        return call()
    except BrokenError as error:
        # the model holds its inputs against checks, and this one is the caller's to mend
        raise Fault(400, str(error)) from error
    except Exception as error:
        LOG.exception("%s failed", what)
        raise Fault(500, f"the model's {what} failed with {_summary(error)}") from error


def _summary(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
