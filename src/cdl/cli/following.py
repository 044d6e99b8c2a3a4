"""What the options of `cdl gitops` come to: who follows the branch, and who follows its merge requests."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from cdl import compose
from cdl.api.canonical import short
from cdl.api.conditions import Reason
from cdl.gitops import previews
from cdl.gitops.controller import Controller
from cdl.gitops.git import Address
from cdl.gitops.listener import SILENT, Listener
from cdl.gitops.mirror import Mirror
from cdl.gitops.previews import Followed, Means, Previews
from cdl.gitops.record import Book, Record
from cdl.gitops.subject import Subject
from cdl.loop.observer import timed
from cdl.ports.errors import Rejected
from cdl.reconcile.gitops import Policy

from . import project
from .refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from cdl.gitops.report import Reporter
    from cdl.ports.forge import Forge
    from cdl.settings import Settings

NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?")
BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+@=-]{0,199}")


@dataclass(frozen=True, slots=True)
class Following:
    """What is followed, and where it is kept."""

    subject: Subject
    address: Address
    blank: Record
    place: Path

    @classmethod
    def of(cls, settings: Settings, how: dict[str, Any]) -> Following:
        """Read the options as click gives them.

        Raises:
            Refusal: one of them cannot be meant.
        """
        branch, path = how["branch"], _path(how["path"])
        if not BRANCH.fullmatch(branch) or ".." in branch:
            message = f"--branch: found {branch!r}, allowed: the name of a branch"
            raise Refusal(message)
        token = secret("--git-token-file", how["git_token_file"]) if how["git_token_file"] else ""
        address = Address.of(_absolute(how["repo"]), token if ":" in token or not token else f"oauth2:{token}")
        name = _named(how["name"] or _name(address.url, branch, path), merge_requests=how["merge_requests"])
        policy = Policy(name, prune=how["prune"], allow_empty=how["allow_empty"], correct=how["drift"] == "correct")
        wanted = _lent(settings, how["forge_project"])
        blank = Record(project=name, repository=address.url, branch=branch, path=path)
        place = settings.home.resolve() / "gitops" / name
        return cls(Subject(branch, path, policy, how["namespace"], wanted), address, blank, place)

    def branch(self, settings: Settings, listener: Listener = SILENT) -> Controller:
        """Give who follows the branch."""
        made = Controller(
            self.subject,
            Mirror(self.place / "mirror.git", self.address, dict(os.environ)),
            compose.gitops_store(settings),
            renderer(settings),
            Book(self.place / "status.json", self.blank),
            self.place,
            _now,
        )
        made.listener = listener
        return made

    def previews(self, settings: Settings, forge: Forge, most: int, listener: Listener = SILENT) -> Previews:
        """Give who follows the merge requests: with a copy and a connection of their own, for they have a thread."""
        means = Means(
            timed(forge, "forge", listener),
            Mirror(self.place / "previews" / "mirror.git", self.address, dict(os.environ)),
            compose.gitops_store(settings),
            renderer(settings),
            self.place,
            _now,
            compose.room(settings),
            listener,
        )
        return Previews(Followed(self.subject, self.blank, most), means)

    def reporter(self, settings: Settings, say: Callable[[str], None], listener: Listener = SILENT) -> Reporter | None:
        """Give who tells the forge; None: nobody said which project it is, or where the forge is."""
        project = self.subject.project
        made = compose.reporter(settings, project, self.place, say) if project else None
        if made is not None:
            made.forge = timed(made.forge, "forge", listener)
        return made


def forge_of(settings: Settings, following: Following) -> Forge:
    """Reach the forge of what is followed, for its merge requests.

    Raises:
        Refusal: nobody said which project it is, or where the forge is.
    """
    if not following.subject.project:
        raise Refusal("--merge-requests: needs --forge-project GROUP/NAME, whose merge requests they are")
    found = compose.forge(settings, following.subject.project)
    if found is None:
        raise Refusal("--merge-requests: needs CDL_FORGE, the address of GitLab, and CDL_FORGE_TOKEN")
    return found


def _lent(settings: Settings, wanted: str) -> str:
    """Give a project of the forge that the settings allow to be asked and told."""
    if wanted and wanted not in settings.lent_to:
        known = ", ".join(settings.lent_to) or "no project"
        message = f"--forge-project: found {wanted!r}, CDL_FORGE_PROJECTS allows {known}"
        raise Refusal(message)
    return str(wanted)


def _named(name: str, *, merge_requests: bool) -> str:
    if not NAME.fullmatch(name):
        message = f"--name: found {name!r}, allowed: lower-case letters, digits, '-' and '.', at most 63"
        raise Refusal(message)
    if previews.PREVIEW.fullmatch(name):
        message = f"--name: found {name!r}, which is what the preview of a merge request is called"
        raise Refusal(message)
    if merge_requests and not previews.NAME.fullmatch(name):
        message = f"--name: found {name!r}, allowed with --merge-requests: letters, digits and '-', at most 51"
        raise Refusal(message)
    return name


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


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


def secret(option: str, path: Path) -> str:
    """Read the one line of a file.

    Raises:
        Refusal: it has none, or more.
    """
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
