"""`cdl gitops`: follow a git repository, and its merge requests."""

from __future__ import annotations

import re
import signal
import sys
import threading
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cdl.api.duration import length
from cdl.gitops.listener import SILENT, Listener
from cdl.gitops.previews import target_of
from cdl.gitops.scene import Stage
from cdl.gitops.watch import Bell, beating, going, watch, watch_previews
from cdl.reconcile.gitops import State

from .context import settings_of
from .following import Following, forge_of, secret
from .listening import listener
from .refusal import Refusal, one_sentence

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cdl.gitops.previews import Outcome, Previews
    from cdl.gitops.record import Record
    from cdl.kube.following import Following as Heard
    from cdl.settings import Settings

INTERVAL = re.compile(r"([0-9]+[dhms])+")


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
@click.option(
    "--forge-project",
    default="",
    envvar="CDL_FORGE_PROJECT",
    metavar="GROUP/NAME",
    help="The project of the forge in which commits are reviewed.",
)
@click.option("--merge-requests", is_flag=True, help="Preview open merge requests in namespaces of their own.")
@click.option(
    "--previews",
    "most",
    default=10,
    show_default=True,
    type=click.IntRange(1, 1000),
    help="How many merge requests are previewed at once.",
)
@click.option("--webhook", default="", metavar="HOST:PORT", help="Where to listen for GitLab's webhooks.")
@click.option("--webhook-token-file", type=click.Path(path_type=Path), help="A file with the webhooks' secret.")
def command(interval: str, most: int, *, once: bool, webhook: str, webhook_token_file: Path | None, **how: Any) -> None:  # noqa: ANN401 - click's
    """Follow a repository."""
    settings = settings_of()
    if not INTERVAL.fullmatch(interval) or length(interval).total_seconds() < 1:
        message = f"--interval: found {interval!r}, allowed: a time as in 30s or 5m, at least 1s"
        raise Refusal(message)
    with one_sentence():
        following = Following.of(settings, how)
        forge = forge_of(settings, following) if how["merge_requests"] else None
        with ExitStack() as open_door:
            heard = listener(settings)
            if heard is not None:
                open_door.callback(heard.close)
            hears: Listener = heard or SILENT
            previews = following.previews(settings, forge, most, hears) if forge else None
            followers = Followers(settings, following, previews, hears)
            if once:
                sys.exit(0 if followers.once() else 1)
            if webhook:
                open_door.enter_context(_listening(webhook, webhook_token_file, followers.ring, hears.knocked))
            if settings.metrics_port and heard is not None:
                open_door.enter_context(_probed(settings, heard))
            followers.go_on(length(interval).total_seconds())


class Followers:
    """Who follows the branch, and beside it who follows the merge requests."""

    def __init__(
        self, settings: Settings, following: Following, previews: Previews | None, listener: Listener = SILENT
    ) -> None:
        """Nobody looks yet."""
        self._branch = following.branch(settings, listener)
        self._previews = previews
        self._namespace = following.subject.namespace
        self._stage = Stage(following.subject.branch, following.subject.project)
        self._bells = (Bell(), Bell())
        self._reporter = following.reporter(settings, click.echo, listener)

    def once(self) -> bool:
        """Look once at everything; say whether the branch is applied, and the merge requests are known."""
        record = self._branch.look()
        _tell(record)
        self._saw(record)
        outcome = self._previews.look() if self._previews else None
        if outcome:
            Teller().tell(outcome)
            self._show(outcome)
        if self._reporter is not None:
            self._reporter.beat(self._stage.scene())
        return record.state is State.APPLIED and not (outcome and outcome.fault)

    def ring(self) -> None:
        """Have both look now."""
        for bell in self._bells:
            bell.ring()

    def end(self) -> None:
        """Have both end after the look that goes on."""
        for bell in self._bells:
            bell.end()

    def go_on(self, interval: float) -> None:
        """Look until the process is asked to end; SIGHUP asks for a look now."""
        for number, does in ((signal.SIGTERM, self.end), (signal.SIGINT, self.end), (signal.SIGHUP, self.ring)):
            # In a thread of its own: a handler that runs while the sleeper holds the bell's lock would wait for itself.
            signal.signal(number, lambda *_, does=does: threading.Thread(target=does).start())
        bell, other = self._bells
        with ExitStack() as beside:
            if self._reporter is not None:
                beside.enter_context(beating(self._reporter.beat, self._stage.scene))
            if self._previews is not None:
                looks = partial(watch_previews, self._previews, other, interval, Teller().tell, self._show)
                beside.enter_context(going(looks, self.end))
            watch(self._branch, bell, interval, _tell, self._saw)

    def _saw(self, record: Record) -> None:
        self._stage.show_branch(target_of(record, self._namespace))

    def _show(self, outcome: Outcome) -> None:
        self._stage.show_previews(outcome.targets)


class Teller:
    """Says of merge requests what it has not said yet."""

    def __init__(self) -> None:
        """Nothing was said."""
        self._said: frozenset[str] = frozenset()

    def tell(self, outcome: Outcome) -> None:
        """Say what is new."""
        lines = [f"!{one.merge_request} {one.state.value}: {one.sentence}" for one in outcome.targets]
        lines += [f"merge requests: {outcome.fault}"] if outcome.fault else []
        lines += outcome.kept
        for line in (*(line for line in lines if line not in self._said), *(f"  {line}" for line in outcome.changes)):
            click.echo(line)
        self._said = frozenset(lines)


def _listening(at: str, token_file: Path | None, ring: Callable[[], None], heard: Callable[[str], None]) -> Any:  # noqa: ANN401 - a context manager of its own kind
    from cdl.gitops.webhook import listening

    host, _, port = at.rpartition(":")
    if not host or not port.isdigit():
        message = f"--webhook: found {at!r}, allowed: HOST:PORT, as in 127.0.0.1:8090"
        raise Refusal(message)
    if token_file is None:
        raise Refusal("--webhook: needs --webhook-token-file; nobody may knock without a secret")
    return listening(host.strip("[]"), int(port), secret("--webhook-token-file", token_file), ring, heard)


@contextmanager
def _probed(settings: Settings, heard: Heard) -> Iterator[None]:
    """Answer probes and Prometheus while the block runs: who answers is alive, for a look ends whatever happens."""
    from cdl.kube.probes import Probes

    def alive() -> tuple[bool, str]:
        return True, "following"

    try:
        probes = Probes(heard.registry, settings.metrics_address, settings.metrics_port, alive, heard.ready)
    except OSError as error:
        message = f"CDL_METRICS_PORT: cannot listen on {settings.metrics_address}:{settings.metrics_port}: {error}"
        raise Refusal(message) from error
    try:
        yield
    finally:
        probes.close()


def _tell(record: Record) -> None:
    click.echo(f"{record.state.value}: {record.message}")
    for line in (*record.changes, *record.drift, *record.kept):
        click.echo(f"  {line}")
