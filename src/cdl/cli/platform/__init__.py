"""The platform on this machine: which processes it is made of, how to start them, and how to reach them.

`cluster` is apart: `cdl run` works where no Kubernetes library is installed.
"""

from .keeping import held_for_backup
from .local import bring_up, bring_up_engines, bring_up_forge, bring_up_label_studio, follow
from .processes import ENGINES, OPERATOR, answering, ended, expected, history, log_of, reached, running, take_down

__all__ = [
    "ENGINES",
    "OPERATOR",
    "answering",
    "bring_up",
    "bring_up_engines",
    "bring_up_forge",
    "bring_up_label_studio",
    "ended",
    "expected",
    "follow",
    "held_for_backup",
    "history",
    "log_of",
    "reached",
    "running",
    "take_down",
]
