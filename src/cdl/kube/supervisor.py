"""Keep a program running: a small parent that has loaded everything, and a child that does the work.

The parent holds no thread, no connection and no state, so that there is little in it that could fail; it starts a
child by `fork`, which takes milliseconds, and starts another when that one dies. A child that is in trouble it cannot
mend ends itself (see `cdl.kube.election`): its successor looks at the world afresh.
"""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

DONE = 0
REFUSED = 2
"""A child that ends so says that starting it again changes nothing: a person must act."""
FINAL = frozenset({DONE, REFUSED})

ASKED_TO_STOP = frozenset({signal.SIGTERM, signal.SIGINT})
LISTENED_TO = ASKED_TO_STOP | {signal.SIGCHLD}
PR_SET_PDEATHSIG = 1

log = logging.getLogger(__name__)
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Patience:
    """How the parent waits, in seconds."""

    first_pause: float = 0.2
    longest_pause: float = 30
    """Before another child is started; each pause is twice the one before."""
    healthy_after: float = 60
    """A child that lived so long was well: the next pause is a first one."""
    grace: float = 25
    """What a child has to end in after it was asked to; less than a kubelet's 30."""

    def pause(self, deaths: int) -> float:
        """Say how long to wait after so many deaths in a row, the first counted as 1."""
        return float(min(self.first_pause * 2 ** min(deaths - 1, 30), self.longest_pause))


def supervise(main: Callable[[], int], *, name: str, patience: Patience | None = None) -> int:
    """Run main in a child until it ends for good, and give the exit status the process should end with.

    For good is: with 0 or `REFUSED`, or after SIGTERM or SIGINT, which the child gets too. Everything else starts
    another child. The process must have no other threads and no other children: the latter are taken for orphans.

    Raises:
        RuntimeError: there are threads, which a fork would leave out of the child.
    """
    if threading.active_count() > 1:
        names = ", ".join(sorted(t.name for t in threading.enumerate() if t is not threading.main_thread()))
        raise RuntimeError(f"{name}: a process with threads cannot be supervised: {names}")
    before = signal.pthread_sigmask(signal.SIG_BLOCK, LISTENED_TO)
    try:
        gc.collect()
        gc.freeze()  # what is loaded by now is shared with every child, as long as nobody writes to it
        return _Parent(main, name, patience or Patience(), before).run()
    finally:
        gc.unfreeze()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Parent:
    """Starts children one after the other. Signals are never handled, only waited for: nothing is interrupted."""

    def __init__(self, main: Callable[[], int], name: str, patience: Patience, mask: set[int]) -> None:
        self._main = main
        self._name = name
        self._patience = patience
        self._mask = mask

    def run(self) -> int:
        deaths = 0
        while True:
            born = time.monotonic()
            status, stopping = self._live(self._fork())
            if stopping or status in FINAL:
                return status
            deaths = 1 if time.monotonic() - born >= self._patience.healthy_after else deaths + 1
            pause = self._patience.pause(deaths)
            log.warning("%s ended with %s; it is started again in %.1f s", self._name, _words(status), pause)
            if _signal(ASKED_TO_STOP, pause) is not None:
                return DONE  # nothing runs: there is nothing to end

    def _fork(self) -> int:
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._child(parent)
        log.info("%s runs as process %d", self._name, pid)
        return pid

    def _live(self, pid: int) -> tuple[int, bool]:
        """Wait for a child's end; give its status and whether it was asked to end."""
        deadline: float | None = None
        while True:
            left = None if deadline is None else max(deadline - time.monotonic(), 0)
            heard = _signal(LISTENED_TO, left)
            if heard in ASKED_TO_STOP:  # noted before anything else: the child may have died at the same moment
                deadline = deadline or time.monotonic() + self._patience.grace
            status = _reaped(pid)
            if status is not None:
                return status, deadline is not None
            if heard is None:
                log.error("%s did not end within %.0f s; it is killed", self._name, self._patience.grace)
                os.kill(pid, signal.SIGKILL)
                deadline = time.monotonic() + self._patience.grace
            elif heard in ASKED_TO_STOP:
                os.kill(pid, heard)

    def _child(self, parent: int) -> NoReturn:
        """Be the child; never come back."""
        status = 1
        try:
            _die_with(parent)
            os.setpgid(0, 0)  # Ctrl-C in a terminal reaches the parent, which hands it on once
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
            status = self._main()
        except SystemExit as asked:
            status = _exit_status(asked)
        except KeyboardInterrupt:
            status = 128 + signal.SIGINT
        except Exception:
            log.exception("%s: internal fault", self._name)
        finally:
            logging.shutdown()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent is gone, however that went."""
    if _libc.prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL)) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it went before the kernel knew
        os._exit(1)


def _signal(signals: frozenset[signal.Signals], seconds: float | None) -> signal.Signals | None:
    """Wait for one of the signals; None when none came in time."""
    if seconds is None:
        return signal.Signals(signal.sigwait(signals))
    heard = signal.sigtimedwait(signals, seconds)
    return None if heard is None else signal.Signals(heard.si_signo)


def _reaped(pid: int) -> int | None:
    """Take every child that ended off the process table, orphans we were given among them; give our child's status."""
    status = None
    while True:
        try:
            ended, raw = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return status
        if ended == 0:
            return status
        if ended == pid:
            code = os.waitstatus_to_exitcode(raw)
            status = code if code >= 0 else 128 - code


def _exit_status(asked: SystemExit) -> int:
    """Give the status that `sys.exit` means: a number, nothing, or a sentence that is printed."""
    if asked.code is None or isinstance(asked.code, int):
        return asked.code or 0
    sys.stderr.write(f"{asked.code}\n")
    return 1


def _words(status: int) -> str:
    if status <= 128:
        return f"status {status}"
    try:
        return signal.Signals(status - 128).name
    except ValueError:
        return f"status {status}"
