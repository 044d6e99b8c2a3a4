"""The platform on this machine: which processes it is made of, how to start them, and how to reach them.

`cluster` is apart: `cdl run` works where no Kubernetes library is installed.
"""

from .local import bring_up
from .processes import ENGINES, OPERATOR, ended, expected, log_of, reached, running, take_down

__all__ = ["ENGINES", "OPERATOR", "bring_up", "ended", "expected", "log_of", "reached", "running", "take_down"]
