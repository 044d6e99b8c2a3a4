"""The vault: repositories whose files only some may read, and everything else that needs a token then.

Who shows no token that is known may look at what there is and read files, but not those of the vault. The evaluator
may read those too. Only the platform may write, run pipelines, and read logs: whoever could let a pipeline copy the
vault's files could read them.
"""

import fnmatch
import hashlib
import hmac
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cdl.embedded.pachd.refusals import RefusedError
from cdl.embedded.pachd.store import FolderError
from cdl.embedded.pachd.wire import Method, Msg

PLATFORM, EVALUATOR, ANYBODY = "platform", "evaluator", "anybody"
READS = frozenset({"GetFile", "GetFileTAR", "InspectFile", "ListFile", "WalkFile", "GlobFile", "DiffFile"})
LOOKS = frozenset(
    {
        "InspectRepo",
        "ListRepo",
        "InspectCommit",
        "ListCommit",
        "SubscribeCommit",
        "InspectCommitSet",
        "ListCommitSet",
        "InspectBranch",
        "ListBranch",
        "InspectProject",
        "InspectProjectV2",
        "ListProject",
        "GetVersion",
        "InspectCluster",
    }
)
SHOWN = 12
"""Characters of a commit that a line of the log has."""


@dataclass(frozen=True)
class Vault:
    """Which repositories are guarded, and the sha256 of each token by who shows it."""

    repositories: tuple[str, ...]
    tokens: Mapping[str, str]

    def admit(self, method: Method, request: Msg | None, token: str) -> None:
        """Let a call through, or refuse it; whoever reads in the vault, or wanted to, is noted in the log.

        Raises:
            RefusedError: it is not for whoever asks.
        """
        who = self._who(token)
        if who == PLATFORM:
            return
        if method.name not in READS | LOOKS:
            raise _denied(f"{method.name} is the platform's: {who} may look and read files")
        if method.name in LOOKS or request is None:
            return
        inside = sorted({f"{name}@{commit[:SHOWN]}" for name, commit in _named(request) if self._guards(name)})
        if not inside:
            return
        where = ", ".join(inside)
        print(f"vault: {method.name} of {where} by {who}: {'let' if who == EVALUATOR else 'denied'}", file=sys.stderr)
        if who != EVALUATOR:
            raise _denied(f"{where} is the test side, which only the evaluator may read")

    def _who(self, token: str) -> str:
        shown = hashlib.sha256(token.encode()).hexdigest()
        return next((who for who, known in self.tokens.items() if hmac.compare_digest(known, shown)), ANYBODY)

    def _guards(self, repository: str) -> bool:
        return any(fnmatch.fnmatchcase(repository, pattern) for pattern in self.repositories)


def opened(place: Path) -> Vault:
    """Read who may what: `{"repositories": ["*-test"], "tokens": {"platform": SHA256, "evaluator": SHA256}}`.

    Raises:
        FolderError: it cannot be read, or says something else.
    """
    try:
        said = json.loads(place.read_text(encoding="utf-8"))
        tokens = {str(who): str(digest) for who, digest in said["tokens"].items()}
        found = Vault(tuple(str(name) for name in said["repositories"]), tokens)
    except OSError as error:
        raise FolderError(f"--vault {place} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FolderError(f"--vault {place} does not name repositories and tokens") from error
    if set(tokens) != {PLATFORM, EVALUATOR} or not found.repositories:
        raise FolderError(f"--vault {place} needs repositories, and a token of {PLATFORM} and of {EVALUATOR}")
    return found


def _denied(text: str) -> RefusedError:
    return RefusedError(text, "PERMISSION_DENIED")


def _named(message: Msg) -> Iterator[tuple[str, str]]:
    """Give every repository that a request names, at any depth, and the commit it is named with."""
    for field, value in message.ListFields():
        if field.type != field.TYPE_MESSAGE:
            continue
        for inner in value if field.is_repeated else (value,):
            if not hasattr(inner, "ListFields"):
                continue
            kind = inner.DESCRIPTOR.name
            if kind == "Repo":
                yield inner.name, ""
            elif kind == "Commit":
                yield inner.repo.name or inner.branch.repo.name, inner.id
            else:
                yield from _named(inner)
