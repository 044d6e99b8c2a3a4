"""Where the control plane's programs are taken from: the first place whose programs work."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import debian, download, probe
from .binaries import NEEDED, Binaries, ControlPlaneError, cache, program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    Say = Callable[[str], None]

VARIABLES = {"CDL_ETCD": "etcd", "CDL_APISERVER": "kube-apiserver", "CDL_CONTROLLER_MANAGER": "kube-controller-manager"}
ASSETS = "KUBEBUILDER_ASSETS"
MIRROR, VERSION = "CDL_DOWNLOAD_MIRROR", "CDL_KUBERNETES_VERSION"
VERSION_SECONDS = 20
WAYS_OUT = f"""Ways to get one:
  - name your own programs in {", ".join(VARIABLES)};
  - put etcd, kube-apiserver and kube-controller-manager into one folder and name it in {ASSETS}, or on PATH;
  - `setup-envtest use`, which fills a folder that is looked into;
  - let cdl fetch the official release: needs the network, or a mirror of it in {MIRROR};
  - let cdl build it from Debian's source package: on Debian 12, with its archive reachable."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place that may hold programs, and a question: where is the one of this name?"""

    origin: str
    look: Callable[[str], Path | None]


def find(
    say: Say,
    *,
    environment: Mapping[str, str] | None = None,
    last: Binaries | None = None,
    fetch: bool = True,
) -> Binaries:
    """Give programs that work, and say where they are from; fetch or build them if there are none and that is wanted.

    Those used last go before all that is not named by a variable of our own.

    Raises:
        ControlPlaneError: there are none to be had, or those that somebody named do not work.
    """
    probe.sweep()
    search = _Search(os.environ if environment is None else environment, say, last, fetch=fetch)
    for found in search.candidates():
        fault = probe.fault(found, say)
        if not fault:
            say(f"control plane from {found.origin}: {found.apiserver}")
            return found
        search.pass_over(found.origin, f"{found.apiserver}: {fault}")
    raise ControlPlaneError("\n".join(["no Kubernetes API server that works was found", *search.reasons, WAYS_OUT]))


def at_hand(last: Binaries | None = None) -> Binaries | None:
    """Give the programs that would be tried first, without trying, fetching or building any."""
    try:
        return next(_Search(os.environ, lambda _: None, last, fetch=False).candidates(), None)
    except ControlPlaneError:
        return None


def kubectl(binaries: Binaries) -> Path:
    """Give a kubectl: the person's own, else the one that came with the programs.

    Raises:
        ControlPlaneError: there is none.
    """
    own = shutil.which("kubectl")
    beside = binaries.apiserver.parent / "kubectl"
    if own or program(beside):
        return Path(own or beside)
    raise ControlPlaneError("kubectl is neither on PATH nor beside kube-apiserver; install it")


class _Search:
    """One walk through the places."""

    def __init__(self, environment: Mapping[str, str], say: Say, last: Binaries | None, *, fetch: bool) -> None:
        self._environment = environment
        self._say = say
        self._last = last
        self._fetch = fetch
        self._wish = download.Wish(environment.get(MIRROR, ""), environment.get(VERSION, ""))
        self._named = _named(environment)
        self.reasons: list[str] = []

    def pass_over(self, origin: str, reason: str) -> None:
        """Note why a place does not do.

        Raises:
            ControlPlaneError: somebody named it: then it is not for us to take another.
        """
        if "kube-apiserver" in self._named:
            raise ControlPlaneError(f"CDL_APISERVER: {reason}")
        self.reasons.append(f"  - {origin}: {reason}")
        self._say(f"passed over {origin}: {reason}")

    def candidates(self) -> Iterator[Binaries]:
        """Give what might work, the most wanted first; later ones are fetched only when they are asked for."""
        if "kube-apiserver" in self._named:
            yield from self._completed(Place("CDL_APISERVER", _beside(self._named["kube-apiserver"].parent)))
            return
        if self._last is not None and not self._named:
            yield self._last
        for place in self._places():
            if place.look("kube-apiserver"):
                yield from self._completed(place)
            elif place.origin == ASSETS:
                self.pass_over(ASSETS, f"{self._environment[ASSETS]} holds no kube-apiserver that can be run")
        if not self._fetch:
            self.reasons.append("  - nothing was fetched or built: `python -m cdl.embedded.controlplane` does that")
            return
        for origin, bring in (("the official release", self._official), ("Debian's source package", self._debian)):
            try:
                folder = bring()
            except (ControlPlaneError, OSError) as error:
                self.pass_over(origin, str(error))
            else:
                yield from self._completed(Place(origin, _beside(folder)))

    def _official(self) -> Path:
        return download.fetch(self._wish, self._say)

    def _debian(self) -> Path:
        return debian.build(self._say)

    def _places(self) -> Iterator[Place]:
        assets = self._environment.get(ASSETS, "")
        if assets:
            yield Place(ASSETS, _beside(Path(assets).resolve()))
        for folder in _newest_first(_envtest_store(self._environment).glob(f"*-linux-{download.architecture()}")):
            yield Place("the store of setup-envtest", _beside(folder))
        yield Place("PATH", lambda name: _on_path(name, self._environment))
        for folder in _newest_first(cache().glob("v*")):
            # what an older recipe of ours built is not what we would build now
            if "-debian." not in folder.name or folder.name.endswith(debian.SUFFIX):
                yield Place("cdl's cache", _beside(folder))

    def _completed(self, place: Place) -> Iterator[Binaries]:
        """Take what the place has, what was named instead of it, and what it lacks from elsewhere."""
        apiserver = self._named.get("kube-apiserver") or place.look("kube-apiserver")
        if apiserver is None:
            return
        etcd = self._named.get("etcd") or place.look("etcd") or self._elsewhere("etcd")
        manager = self._named.get(download.MANAGER) or place.look(download.MANAGER) or self._manager(apiserver)
        if etcd is None or manager is None:
            lacking = ", ".join(name for name, path in zip(NEEDED[::2], (etcd, manager), strict=True) if path is None)
            self.pass_over(place.origin, f"{apiserver}: there is no {lacking} to go with it")
            return
        yield Binaries(etcd, apiserver, manager, place.origin)

    def _elsewhere(self, name: str) -> Path | None:
        return next((path for place in self._places() if (path := place.look(name))), None)

    def _manager(self, apiserver: Path) -> Path | None:
        """Get the controller manager of the same version if that can be had, else any; the probe judges."""
        version = _version(apiserver)
        there = cache() / version / download.MANAGER
        if program(there):
            return there
        if version and self._fetch:
            try:
                return download.fetch_manager(self._wish, version, self._say)
            except (ControlPlaneError, OSError) as error:
                self._say(f"no {download.MANAGER} {version}: {error}")
        return self._elsewhere(download.MANAGER)


def _named(environment: Mapping[str, str]) -> dict[str, Path]:
    """Read the programs somebody named.

    Raises:
        ControlPlaneError: one is not there, or is no program.
    """
    named = {}
    for variable, name in VARIABLES.items():
        if environment.get(variable):
            path = Path(environment[variable]).resolve()
            if not program(path):
                raise ControlPlaneError(
                    f"{variable}: found {environment[variable]!r}, allowed: a program that can be run"
                )
            named[name] = path
    return named


def _beside(folder: Path) -> Callable[[str], Path | None]:
    return lambda name: folder / name if program(folder / name) else None


def _on_path(name: str, environment: Mapping[str, str]) -> Path | None:
    found = shutil.which(name, path=environment.get("PATH", ""))
    return Path(found).resolve() if found else None


def _envtest_store(environment: Mapping[str, str]) -> Path:
    data = environment.get("XDG_DATA_HOME", "")
    root = Path(data) if data else Path.home() / ".local" / "share"
    return root / "kubebuilder-envtest" / "k8s"


def _newest_first(folders: Iterator[Path]) -> list[Path]:
    return sorted(folders, key=lambda folder: [int(n) for n in re.findall(r"\d+", folder.name)], reverse=True)


def _version(apiserver: Path) -> str:
    """Ask for the version only to know which controller manager goes with it; empty when there is no answer."""
    try:
        told = subprocess.run(
            [apiserver, "--version"], capture_output=True, text=True, timeout=VERSION_SECONDS, check=False
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
    found = re.search(r"v[1-9]\d*\.\d+\.\d+", told)
    return found[0] if found else ""
