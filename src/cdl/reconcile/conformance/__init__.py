"""How a model really came to be, held against the flow chart of the deep learning workflow."""

from .chart import CHART, Role, Sign, Step
from .compare import Conformance, State, Told, compare, released

__all__ = ["CHART", "Conformance", "Role", "Sign", "State", "Step", "Told", "compare", "released"]
