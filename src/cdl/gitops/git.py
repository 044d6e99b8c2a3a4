"""The git that is installed, on a short leash: no hooks, no questions, no secrets in view, bounded in every way."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from cdl.api.conditions import Reason
from cdl.ports.errors import Rejected, Unavailable

PASSED_ON = ("GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_SSL_NO_VERIFY")
"""Of git's own variables only these reach it: the others could point it at another repository, or make it talk."""
ASKS_NOBODY = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "SSH_ASKPASS": "true",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
    "LC_ALL": "C",
}
QUIETLY = (
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "gc.auto=0"),
    *("-c", "maintenance.auto=false"),
    *("-c", "fetch.unpackLimit=1"),  # always a pack, so that one limit on files bounds what comes
    *("-c", "http.followRedirects=false"),  # what we show one server is for no other
    *("-c", "http.lowSpeedLimit=1000"),
    *("-c", "http.lowSpeedTime=30"),
)
LIMITED = f'trap \'\' {int(signal.SIGXFSZ)}; ulimit -f "$0"; exec git "$@"'
"""Who writes too large a file is told so, and says it, instead of being killed."""
BLOCK = 512
"""What `ulimit -f` counts in."""
ANSWER = 64 << 20
"""Bytes of one answer, as a list of files is."""
SCHEMES = ("http", "https", "ssh", "git", "file")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a repository may cost."""

    pack: int = 1 << 30
    """Bytes of a fetch."""
    files: int = 20_000
    size: int = 256 << 20
    """Bytes of all files below the path."""
    seconds: float = 120.0


@dataclass(frozen=True, slots=True)
class Address:
    """Where a repository is; what proves who we are is apart, and shown to nobody."""

    url: str
    proof: str = ""
    """`user:password`."""

    @classmethod
    def of(cls, text: str, proof: str = "") -> Address:
        """Split an address from what its writer put into it; a proof given apart wins.

        Raises:
            Rejected: it is no address that is followed.
        """
        scheme = urlsplit(text).scheme if "://" in text else ""
        place = text.rpartition("@")[2]
        if not text or text.startswith("-") or "::" in text or (scheme and scheme not in SCHEMES):
            said = f"--repo: found {place!r}, allowed: a folder, host:path or one of {', '.join(SCHEMES)}"
            raise Rejected(said, Reason.INVALID_SPEC)
        if scheme not in {"http", "https"}:
            return cls(text, proof)
        parts = urlsplit(text)
        said, _, host = parts.netloc.rpartition("@")
        user, _, password = said.partition(":")
        own = f"{unquote(user)}:{unquote(password)}" if said else ""
        return cls(urlunsplit(parts._replace(netloc=host)), proof or own)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no sentence may show, the longest first."""
        password = self.proof.partition(":")[2]
        coded = base64.b64encode(self.proof.encode()).decode() if self.proof else ""
        return tuple(sorted({self.proof, password, coded} - {""}, key=len, reverse=True))


class Git:
    """Runs git on one bare repository."""

    def __init__(self, folder: Path, address: Address, environment: Mapping[str, str], limits: Limits) -> None:
        """Speak for this address; what the environment says of git is mostly left out."""
        self.folder = folder
        self._secrets = address.secrets
        self._limits = limits
        others = {k: v for k, v in environment.items() if not k.startswith("GIT_") or k in PASSED_ON}
        self._environment = {**others, **ASKS_NOBODY, **_shown(address)}

    def ask(self, *words: str, at: bool = True) -> str:
        """Give what git answers.

        Raises:
            Unavailable: it failed, said too much or took too long; the sentence is git's last.
        """
        return self.raw(*words, at=at).decode(errors="replace")

    def raw(self, *words: str, at: bool = True) -> bytes:
        """Give what git answers, as it is.

        Raises:
            Unavailable: as above.
        """
        verb = words[0]
        with tempfile.TemporaryFile() as complaints, self._running(words, complaints, at=at) as running:
            out = running.stdout.read(ANSWER + 1) if running.stdout else b""
            if len(out) > ANSWER:
                raise Unavailable(f"git {verb}: answered more than {ANSWER >> 20} MiB")
            if running.wait() != 0:
                complaints.seek(0)
                raise Unavailable(f"git {verb}: {self._sentence(complaints.read(1 << 16), running.returncode)}")
            return out

    def true(self, *words: str) -> bool:
        """Ask a question that git answers with its exit status."""
        try:
            self.raw(*words)
        except Unavailable:
            return False
        return True

    @contextmanager
    def contents(self) -> Iterator[subprocess.Popen[bytes]]:
        """Open `git cat-file --batch`: a name in, a line and bytes out."""
        with self._running(("cat-file", "--batch"), subprocess.DEVNULL, stdin=subprocess.PIPE) as running:
            yield running

    @contextmanager
    def _running(
        self, words: Sequence[str], complaints: object, *, at: bool = True, stdin: int = subprocess.DEVNULL
    ) -> Iterator[subprocess.Popen[bytes]]:
        place = ("--git-dir", str(self.folder)) if at else ()
        limited = ("sh", "-c", LIMITED, str(self._limits.pack // BLOCK))
        command = [*limited, *QUIETLY, *place, *words]
        try:
            running = subprocess.Popen(
                command,
                env=self._environment,
                cwd="/",
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=complaints,  # type: ignore[call-overload]  # a file or a constant, as Popen takes both
                start_new_session=True,
            )
        except OSError as error:
            raise Unavailable(f"git cannot be started: {error.strerror or error}") from error
        late = threading.Event()
        timer = threading.Timer(self._limits.seconds, _end, (running, late))
        timer.start()
        try:
            yield running
        except Unavailable as error:
            if late.is_set():
                raise Unavailable(f"git {words[0]}: no answer within {self._limits.seconds:g} s") from error
            raise
        finally:
            timer.cancel()
            _end(running)
            for pipe in (running.stdin, running.stdout):
                if pipe is not None:
                    pipe.close()
            running.wait()

    def _sentence(self, said: bytes, status: int) -> str:
        lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
        telling = [line for line in lines if line.startswith(("fatal:", "error:", "remote:"))] or lines
        if status in {-signal.SIGXFSZ, 128 + signal.SIGXFSZ} or any("File too large" in line for line in lines):
            return f"the repository sends more than {self._limits.pack >> 20} MiB"
        sentence = telling[0].partition(" ")[2] if telling and telling[0].startswith("fatal:") else (telling or [""])[0]
        return self.hidden(sentence or f"ended with status {status}")[:500]

    def hidden(self, text: str) -> str:
        """Give a text without what proves who we are."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def _shown(address: Address) -> dict[str, str]:
    """How git is told who we are: in its environment, which nobody but us can read, for this server only."""
    if not address.proof or urlsplit(address.url).scheme not in {"http", "https"}:
        return {}
    parts = urlsplit(address.url)
    coded = base64.b64encode(address.proof.encode()).decode()
    return {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"http.{parts.scheme}://{parts.netloc}/.extraHeader",
        "GIT_CONFIG_VALUE_0": f"Authorization: Basic {coded}",
    }


def _end(running: subprocess.Popen[bytes], why: threading.Event | None = None) -> None:
    """End git and the helpers it started, if any is left."""
    if running.poll() is not None:
        return
    if why is not None:
        why.set()
    try:
        os.killpg(running.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
