"""`cdl gitops`: follow a git repository."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import click

from cdl import compose
from cdl.api.canonical import short
from cdl.api.conditions import Reason
from cdl.api.duration import length
from cdl.gitops.controller import Controller, Subject
from cdl.gitops.git import Address
from cdl.gitops.mirror import Mirror
from cdl.gitops.record import Book, Record
from cdl.gitops.watch import Bell, watch
from cdl.ports.errors import Rejected
from cdl.reconcile.gitops import Policy, State

from . import project
from .context import settings_of
from .refusal import Refusal, one_sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cdl.settings import Settings

INTERVAL = re.compile(r"([0-9]+[dhms])+")
NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?")
BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+@=-]{0,199}")


@click.command(
    "gitops",
    help="Keep the stored resources true to a branch of a git repository: apply what it says, prune what left it, "
    "correct what somebody else changed.",
)
@click.option("--repo", required=True, help="The repository: a URL, host:path or a folder.")
@click.option("--branch", default="main", show_default=True)
@click.option("--path", "path", default=".", show_default=True, help="The project's folder in the repository.")
@click.option("--interval", default="30s", show_default=True, help="How long between two looks.")
@click.option("--once", is_flag=True, help="Look once; end with 1 unless the branch is applied.")
@click.option("--prune/--no-prune", default=True, show_default=True, help="Delete what left git.")
@click.option("--allow-empty", is_flag=True, help="Prune even when nothing is left in git.")
@click.option(
    "--drift",
    type=click.Choice(["correct", "report"]),
    default="correct",
    show_default=True,
    help="What to do about what somebody changed outside git.",
)
@click.option("-n", "--namespace", default="", help="Where everything goes; without: where the files say.")
@click.option("--name", default="", help="What the inventory is called; without: made of repository, branch and path.")
@click.option("--git-token-file", type=click.Path(path_type=Path), help="A file with user:token for the repository.")
@click.option("--webhook", default="", metavar="HOST:PORT", help="Where to listen for GitLab's webhooks.")
@click.option("--webhook-token-file", type=click.Path(path_type=Path), help="A file with the webhooks' secret.")
def command(interval: str, *, once: bool, webhook: str, webhook_token_file: Path | None, **how: Any) -> None:  # noqa: ANN401 - click's
    """Follow a repository."""
    settings = settings_of()
    if not INTERVAL.fullmatch(interval) or length(interval).total_seconds() < 1:
        message = f"--interval: found {interval!r}, allowed: a time as in 30s or 5m, at least 1s"
        raise Refusal(message)
    with one_sentence():
        controller = _controller(settings, **how)
        if once:
            record = controller.look()
            _tell(record)
            sys.exit(0 if record.state is State.APPLIED else 1)
        bell = Bell()
        for number in (signal.SIGTERM, signal.SIGINT):
            # In a thread of its own: a handler that runs while the sleeper holds the bell's lock would wait for itself.
            signal.signal(number, lambda *_: threading.Thread(target=bell.end).start())
        with ExitStack() as open_door:
            if webhook:
                open_door.enter_context(_listening(webhook, webhook_token_file, bell))
            if settings.metrics_port:
                open_door.enter_context(_probed(settings))
            watch(controller, bell, length(interval).total_seconds(), _tell)


def _controller(settings: Settings, **how: Any) -> Controller:  # noqa: ANN401 - the options as click gives them
    branch, path = how["branch"], _path(how["path"])
    if not BRANCH.fullmatch(branch) or ".." in branch:
        message = f"--branch: found {branch!r}, allowed: the name of a branch"
        raise Refusal(message)
    token = _secret("--git-token-file", how["git_token_file"]) if how["git_token_file"] else ""
    address = Address.of(_absolute(how["repo"]), token if ":" in token or not token else f"oauth2:{token}")
    name = how["name"] or _name(address.url, branch, path)
    if not NAME.fullmatch(name):
        message = f"--name: found {name!r}, allowed: lower-case letters, digits, '-' and '.', at most 63"
        raise Refusal(message)
    place = settings.home.resolve() / "gitops" / name
    policy = Policy(name, prune=how["prune"], allow_empty=how["allow_empty"], correct=how["drift"] == "correct")
    blank = Record(project=name, repository=address.url, branch=branch, path=path)
    return Controller(
        Subject(branch, path, policy, how["namespace"]),
        Mirror(place / "mirror.git", address, dict(os.environ)),
        compose.gitops_store(settings),
        renderer(settings),
        Book(place / "status.json", blank),
        place,
        lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def renderer(settings: Settings) -> Callable[[Path], tuple[dict[str, Any], ...]]:
    """Give what reads an exported folder as `cdl render` reads a project; code must lie in it."""
    artifacts = compose.artifacts(settings)

    def render(folder: Path) -> tuple[dict[str, Any], ...]:
        try:
            documents = project.read(folder, empty=True)
            return tuple(project.built(document, artifacts, within=folder) for document in documents)
        except Refusal as refusal:
            raise Rejected("; ".join(refusal.message.splitlines()), Reason.INVALID_SPEC) from refusal

    return render


def _listening(at: str, token_file: Path | None, bell: Bell) -> Any:  # noqa: ANN401 - a context manager of its own kind
    from cdl.gitops.webhook import listening

    host, _, port = at.rpartition(":")
    if not host or not port.isdigit():
        message = f"--webhook: found {at!r}, allowed: HOST:PORT, as in 127.0.0.1:8090"
        raise Refusal(message)
    if token_file is None:
        raise Refusal("--webhook: needs --webhook-token-file; nobody may knock without a secret")
    return listening(host.strip("[]"), int(port), _secret("--webhook-token-file", token_file), bell.ring)


@contextmanager
def _probed(settings: Settings) -> Iterator[None]:
    """Answer the probes of a pod while the block runs: who answers is alive, for a look has an end whatever happens."""
    from cdl.kube.probes import Probes

    def alive() -> tuple[bool, str]:
        return True, "following"

    try:
        probes = Probes(None, settings.metrics_address, settings.metrics_port, alive, alive)
    except OSError as error:
        message = f"CDL_METRICS_PORT: cannot listen on {settings.metrics_address}:{settings.metrics_port}: {error}"
        raise Refusal(message) from error
    try:
        yield
    finally:
        probes.close()


def _secret(option: str, path: Path) -> str:
    try:
        found = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        message = f"{option}: {path} cannot be read: {getattr(error, 'strerror', None) or 'it is no text'}"
        raise Refusal(message) from error
    if not found or "\n" in found:
        message = f"{option}: {path} holds {'several lines' if found else 'nothing'}, allowed: one line"
        raise Refusal(message)
    return found


def _path(text: str) -> str:
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or ":" in text or text.startswith("-"):
        message = f"--path: found {text!r}, allowed: a folder of the repository, as in use_cases/news"
        raise Refusal(message)
    return str(path)


def _absolute(repository: str) -> str:
    """Git is run elsewhere, so a folder is named from the root."""
    return str(Path(repository).resolve()) if Path(repository).is_dir() else repository


def _name(url: str, branch: str, path: str) -> str:
    """Two branches of a repository are two projects, each with an inventory of its own."""
    tail = (PurePosixPath(path).name if path != "." else "") or url.rstrip("/").rpartition("/")[2].removesuffix(".git")
    slug = re.sub(r"[^a-z0-9]+", "-", tail.lower()).strip("-")[:40].strip("-") or "project"
    return f"{slug}-{short([url, branch, path], 10)}"


def _tell(record: Record) -> None:
    click.echo(f"{record.state.value}: {record.message}")
    for line in (*record.changes, *record.drift, *record.kept):
        click.echo(f"  {line}")
