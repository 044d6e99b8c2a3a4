"""The forge of a home folder: who works on it, which of its projects are followed, what an operator is told of it."""

from __future__ import annotations

import json
import os
import secrets
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import httpx
import yaml

from cdl.cli.refusal import Refusal
from cdl.embedded.stack import Service

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from cdl.settings import Settings

FORGE = "forge"
FOLLOWER = "gitops"
"""How the processes are called that follow a project: gitops-NAME."""
PLATFORM = "platform"
"""Who cdl itself is there."""
ROLES = {
    "data-engineer": "developer",
    "labeler": "developer",
    "data-scientist": "developer",
    "validator": "owner",
    "software-engineer": "developer",
    "devops-engineer": "maintainer",
    PLATFORM: "maintainer",
}
"""The roles of the thesis, and what each may do on the forge: the validator takes responsibility for a project."""
APPROVE = "validator=owner"
INTERVAL = "5s"
"""How often a followed project is looked at without a webhook: a person is watching."""
PATIENCE = 20
TAKEN = 409


@dataclass(frozen=True, slots=True)
class Followed:
    """A project of the forge that production is kept true to."""

    project: str
    """Its path, as in team/news."""
    branch: str = "main"
    path: str = "."
    namespace: str = "production"

    @property
    def name(self) -> str:
        """What the inventory, the namespaces of merge requests and the process are called after."""
        return self.project.rpartition("/")[2].lower().replace("_", "-").replace(".", "-")

    @property
    def process(self) -> str:
        """The process that follows it."""
        return f"{FOLLOWER}-{self.name}"


def kept(settings: Settings) -> bool:
    """Tell whether the home folder has a forge of its own."""
    return _users(settings).is_file()


def found(settings: Settings) -> None:
    """Write down who works on a new forge; a file that is there stays, and people may change it."""
    if kept(settings):
        return
    _folder(settings).mkdir(parents=True, exist_ok=True, mode=0o700)
    people = [{"username": name, "role": role} for name, role in ROLES.items()]
    _write(_users(settings), yaml.safe_dump({"users": people}, sort_keys=False))


def people(settings: Settings) -> tuple[tuple[str, str], ...]:
    """Name who works on the forge, and each one's role there."""
    listed = yaml.safe_load(_users(settings).read_text())["users"]
    return tuple((str(one["username"]), str(one.get("role", "guest"))) for one in listed)


def service(settings: Settings, at: Mapping[str, int]) -> tuple[Service, ...]:
    """Describe the server; nothing where there is none."""
    if not kept(settings):
        return ()
    told = ("--data", str(_folder(settings)), "--port", str(at[FORGE]), "--users", str(_users(settings)))
    return (Service(FORGE, (sys.executable, "-m", "cdl.embedded.forge", *told), "forge ready"),)


def address(at: Mapping[str, int]) -> str:
    """Say where the forge is."""
    return f"http://127.0.0.1:{at[FORGE]}"


def token(settings: Settings, user: str) -> str:
    """Give somebody's token.

    Raises:
        Refusal: there is no forge yet, or nobody of that name.
    """
    try:
        known = json.loads((_folder(settings) / "tokens.json").read_text())
    except OSError as error:
        raise Refusal("there is no forge in this home folder yet; `cdl forge up` starts one") from error
    if user not in known:
        message = f"USER: found {user!r}, allowed: {', '.join(sorted(known))}"
        raise Refusal(message)
    return str(known[user])


def told(settings: Settings, at: Mapping[str, int]) -> dict[str, str]:
    """Give what an operator's environment says about the forge; the token is apart."""
    if not kept(settings):
        return {}
    projects = ",".join(one.project for one in followed(settings))
    return {"CDL_FORGE": address(at), "CDL_FORGE_PROJECTS": projects, "CDL_FORGE_ROLES": APPROVE}


def hidden(settings: Settings) -> tuple[tuple[str, str], ...]:
    """Give what nobody else may read of that environment."""
    return (("CDL_FORGE_TOKEN", token(settings, PLATFORM)),) if kept(settings) else ()


# --- projects that are followed ---------------------------------------------------------------------------------------


def followed(settings: Settings) -> tuple[Followed, ...]:
    """Give the projects that are followed, in the order they came."""
    record = _folder(settings) / "followed.json"
    return tuple(Followed(**one) for one in json.loads(record.read_text())) if record.is_file() else ()


def remember(settings: Settings, new: Followed) -> None:
    """Note that a project is followed from now on, or followed otherwise.

    Raises:
        Refusal: another one has the same name.
    """
    others = [one for one in followed(settings) if one.project != new.project]
    for one in others:
        if one.name == new.name:
            message = f"PROJECT: {new.project} and {one.project} would both be called {new.name}; rename one"
            raise Refusal(message)
    _write(_folder(settings) / "followed.json", json.dumps([asdict(one) for one in (*others, new)]))


def doors(settings: Settings) -> tuple[str, ...]:
    """Name the followers, each of which is told of pushes at a port of its own."""
    return tuple(one.process for one in followed(settings))


def ports_needed(settings: Settings) -> tuple[str, ...]:
    """Name what needs a port for the forge's sake."""
    return (FORGE, *doors(settings)) if kept(settings) else ()


def followers(settings: Settings, at: Mapping[str, int], environment: Mapping[str, str]) -> tuple[Service, ...]:
    """Describe what follows each project, once the forge runs: its webhook is registered on the way."""
    projects = followed(settings)
    if not projects:
        return ()
    proof = _secret(settings, "platform.git", f"{PLATFORM}:{token(settings, PLATFORM)}")
    knock = _secret(settings, "webhook.secret", secrets.token_urlsafe(24))
    with _api(settings, at, PLATFORM) as api:
        for one in projects:
            _announce(api, one, f"http://127.0.0.1:{at[one.process]}/", knock.read_text())
    files = ("--git-token-file", str(proof), "--webhook-token-file", str(knock))
    return tuple(_follower(settings, one, at, environment, files) for one in projects)


def _follower(
    settings: Settings, one: Followed, at: Mapping[str, int], environment: Mapping[str, str], files: Sequence[str]
) -> Service:
    door = f"127.0.0.1:{at[one.process]}"
    where = ("--repo", f"{address(at)}/{one.project}.git", "--branch", one.branch, "--path", one.path)
    what = ("--name", one.name, "--namespace", one.namespace, "--interval", INTERVAL, "--webhook", door)
    words = ("gitops", *where, *what, "--forge-project", one.project, "--merge-requests", *files)

    def listens() -> bool:
        try:
            return httpx.get(f"http://{door}/healthz", trust_env=False).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False

    command = (sys.executable, "-m", "cdl.cli", *words)
    return Service(one.process, command, listens, tuple(environment.items()), hidden(settings))


def project_of(settings: Settings, at: Mapping[str, int], path: str) -> str:
    """Make sure the forge has a project, and give its address; the running forge is asked.

    Raises:
        Refusal: the forge does not want it.
    """
    group, _, name = path.rpartition("/")
    if not group:
        message = f"PROJECT: found {path!r}, allowed: GROUP/NAME, as in team/news"
        raise Refusal(message)
    with _api(settings, at, PLATFORM) as api:
        if api.get(_resource(path)).status_code == httpx.codes.NOT_FOUND:
            _accepted(api.post("projects", json={"name": name, "path": name, "namespace_path": group}))
    return f"{address(at)}/{path}"


def _announce(api: httpx.Client, one: Followed, door: str, secret: str) -> None:
    """Have the forge tell of pushes and merge requests at this door, and at no other door of ours."""
    hooks = f"{_resource(one.project)}/hooks"
    wanted = {"url": door, "token": secret, "push_events": True, "merge_requests_events": True, "note_events": False}
    ours = [hook for hook in _accepted(api.get(hooks)).json() if str(hook["url"]).startswith("http://127.0.0.1:")]
    if ours:
        _accepted(api.put(f"{hooks}/{ours[0]['id']}", json=wanted))
    else:
        _accepted(api.post(hooks, json=wanted))


def _resource(project: str) -> str:
    return f"projects/{project.replace('/', '%2F')}"


def _api(settings: Settings, at: Mapping[str, int], user: str) -> httpx.Client:
    head = {"PRIVATE-TOKEN": token(settings, user)}
    return httpx.Client(base_url=f"{address(at)}/api/v4/", headers=head, timeout=PATIENCE, trust_env=False)


def _accepted(answer: httpx.Response) -> httpx.Response:
    if answer.is_error:
        message = f"the forge refuses {answer.request.method} {answer.request.url.path}: {answer.text[:300]}"
        raise Refusal(message)
    return answer


# --- files ------------------------------------------------------------------------------------------------------------


def _folder(settings: Settings) -> Path:
    return settings.home.resolve() / FORGE


def _users(settings: Settings) -> Path:
    return _folder(settings) / "users.yaml"


def _secret(settings: Settings, name: str, content: str) -> Path:
    """Keep a line that nobody else may read; one that is there stays."""
    path = _folder(settings) / name
    if not path.exists():
        _write(path, content)
    return path


def _write(path: Path, content: str) -> None:
    new = path.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(content)
    new.replace(path)
