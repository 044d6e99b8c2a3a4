"""The operator process of `cdl run`: the same loop as in a cluster, over the local store."""

from __future__ import annotations

import logging
import signal
import sys
import threading

from cdl import compose
from cdl.settings import read


def operate() -> int:
    """Reconcile until told to stop."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(threadName)s %(message)s"
    )
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    runner, feed = compose.runner(read())
    sys.stdout.write("operator ready\n")
    sys.stdout.flush()
    runner.run(feed, stop)
    return 0


if __name__ == "__main__":
    sys.exit(operate())
