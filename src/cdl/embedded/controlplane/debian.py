"""The control plane built from Debian 12's own source package, for machines that can only reach Debian's archive.

Debian 12 has the whole source of Kubernetes 1.20 but ships no API server made of it. Built as it is with its Go 1.19,
the server is broken twice over, for Kubernetes 1.20 is older than that compiler: reflect2 1.0.1 crashes on the first
custom resource, and a validator takes an empty string for null. Debian's newer reflect2 and a simpler test for null
mend both.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import subprocess
import tarfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .apt import Apt, last_lines, run
from .binaries import NEEDED, ControlPlaneError, cache, program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Say = Callable[[str], None]

RECIPE = 1
"""Rises when this recipe makes other programs than before; what an older one made is not used again."""
SUFFIX = f"-debian.{RECIPE}"
CODENAME = "bookworm"
PACKAGES = ("golang-1.19-go", "golang-1.19-src", "golang-github-modern-go-reflect2-dev", "etcd-server")
TOOLS = ("patch",)
"""Packages of one program of the same name, fetched where it is missing."""
MADE = ("kube-apiserver", "kube-controller-manager", "kubectl")
ROOM_GB = 4.5
NEWS_SECONDS = 15

REFLECT = Path("github.com/modern-go/reflect2")
VALIDATORS = (
    Path("vendor/github.com/go-openapi/validate/type.go"),
    Path("vendor/k8s.io/kube-openapi/pkg/validation/validate/type.go"),
)
ZERO_TEST = " || reflect.DeepEqual(reflect.Zero(reflect.TypeOf(data)), reflect.ValueOf(data))"
OPENAPI = Path("pkg/generated/openapi/zz_generated.openapi.go")
OPENAPI_MARK = b"+k8s:openapi-gen="
OPENAPI_ROOTS = ("pkg", "cmd", "plugin", "test", "staging/src", "vendor")
OPENAPI_LEFT_OUT = ("code-generator", "sample-apiserver")
PROJECT = "k8s.io/kubernetes"
VERSIONED = (f"{PROJECT}/vendor/k8s.io/component-base/version", f"{PROJECT}/vendor/k8s.io/client-go/pkg/version")
"""A server that does not know its version says v0.0.0, which clients complain about."""


def build(say: Say) -> Path:
    """Build the programs, or find that somebody has; give the folder in the cache that holds them.

    Interrupted, it goes on where it was the next time. Two at once wait for each other.

    Raises:
        ControlPlaneError: this machine cannot build them.
    """
    _check_machine()
    with _alone(say) as lock:
        there = built()
        if there is not None:
            return there
        _check_room()
        return _Build(cache() / "debian-build", lock, say).made()


def built() -> Path | None:
    """Give the folder of an earlier build by this recipe."""
    for folder in sorted(cache().glob(f"v*{SUFFIX}")):
        if all(program(folder / name) for name in NEEDED):
            return folder
    return None


def _check_machine() -> None:
    try:
        told = Path("/etc/os-release").read_text()
    except OSError:
        told = ""
    if f"VERSION_CODENAME={CODENAME}" not in told.replace('"', "") or not shutil.which("apt-get"):
        raise ControlPlaneError("it is built from Debian 12's source package, on Debian 12 only")


def _check_room() -> None:
    free = shutil.disk_usage(cache()).free / 1e9
    if free < ROOM_GB:
        raise ControlPlaneError(f"building needs {ROOM_GB} GB below {cache()}, {free:.1f} GB are free")


@contextlib.contextmanager
def _alone(say: Say) -> Iterator[int]:
    """Hold the only build; give the lock's file descriptor."""
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / ".build.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another cdl builds the control plane; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock.fileno()


class _Build:
    """One build, in a folder that is kept until it has succeeded; every step may be done twice."""

    def __init__(self, folder: Path, lock: int, say: Say) -> None:
        self._folder = folder
        self._lock = lock
        self._say = say
        self._root = folder / "root"
        self._tree = folder / "gopath" / "src" / PROJECT
        self._out = folder / "out"
        self._begun = time.monotonic()

    def made(self) -> Path:
        self._tell("building the control plane from Debian's source package: about 5 minutes on two cores, once")
        for name in ("home", "tmp", "out", "gopath"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        if not (self._folder / "fetched").exists():
            self._fetch()
            (self._folder / "fetched").touch()
        if not (self._folder / "prepared").exists():
            self._prepare()
            (self._folder / "prepared").touch()
        self._compile()
        shutil.copy2(self._root / "usr" / "bin" / "etcd", self._out / "etcd")
        folder = cache() / f"{self._version()}{SUFFIX}"
        shutil.rmtree(folder, ignore_errors=True)
        self._out.rename(folder)
        shutil.rmtree(self._folder)
        self._tell(f"built {folder}")
        return folder

    def _fetch(self) -> None:
        self._tell("1/4 fetching packages and source (130 MB)")
        apt = Apt(self._folder / "apt", self._lock)
        apt.update()
        tools = tuple(name for name in TOOLS if not shutil.which(name))
        apt.packages((*PACKAGES, *tools), self._root)
        source = apt.source("kubernetes")
        self._tell("2/4 unpacking")
        shutil.rmtree(self._tree, ignore_errors=True)
        _unpack(_only(source, "*.orig.tar.*"), self._folder / "unpacked")
        _unpack(_only(source, "*.debian.tar.*"), self._folder / "packaging")
        (upstream,) = (self._folder / "unpacked").iterdir()
        (self._folder / "version").write_text(upstream.name.rpartition("-")[2])
        self._tree.parent.mkdir(parents=True, exist_ok=True)
        upstream.rename(self._tree)
        patches = self._folder / "packaging" / "debian" / "patches"
        for line in (patches / "series").read_text().splitlines():
            name = line.partition("#")[0].strip()
            if name:
                patch = (shutil.which("patch") or str(self._root / "usr" / "bin" / "patch"), "-s", "-p1", "-i")
                run((*patch, str(patches / name)), self._lock, where=self._tree)

    def _prepare(self) -> None:
        """Mend the two faults, and generate the one file that the source leaves to its own make."""
        self._tell("3/4 mending and generating")
        vendored = self._tree / "vendor" / REFLECT
        shutil.rmtree(vendored, ignore_errors=True)
        shutil.copytree(self._root / "usr" / "share" / "gocode" / "src" / REFLECT, vendored)
        for name in VALIDATORS:
            text = (self._tree / name).read_text()
            if ZERO_TEST in text:
                (self._tree / name).write_text(text.replace(ZERO_TEST, ""))
            elif "if data == nil {" not in text:
                raise ControlPlaneError(f"Debian's source has changed: {name} has another test for null than expected")
        self._go("build", "-o", str(self._folder / "home"), "./vendor/k8s.io/kube-openapi/cmd/openapi-gen")
        inputs = ",".join(f"{PROJECT}/{folder}" for folder in _marked(self._tree))
        command = (
            str(self._folder / "home" / "openapi-gen"),
            *("-i", inputs, "-p", f"{PROJECT}/{OPENAPI.parent}", "-O", OPENAPI.stem),
            *("-h", "vendor/k8s.io/code-generator/hack/boilerplate.go.txt", "-r", str(self._folder / "report")),
        )
        run(command, self._lock, where=self._tree, environment=self._environment())

    def _compile(self) -> None:
        self._tell("4/4 compiling")
        version = self._version()
        major, minor = version.removeprefix("v").split(".")[:2]
        told = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
        flags = " ".join(["-s -w", *(f"-X {package}.{k}={v}" for package in VERSIONED for k, v in told.items())])
        commands = [f"./cmd/{name}" for name in MADE]
        total = len(self._go("list", "-deps", *commands).splitlines())
        words = ("build", "-v", "-ldflags", flags, "-o", str(self._out), *commands)
        process = subprocess.Popen(
            (self._program(), *words),
            cwd=self._tree,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            pass_fds=(self._lock,),
        )
        said, news = [], time.monotonic()
        with process:
            for line in process.stdout or ():
                said.append(line)
                if time.monotonic() - news > NEWS_SECONDS:
                    news = time.monotonic()
                    self._tell(f"4/4 compiling, {len(said)} of at most {total} packages")
        if process.returncode != 0:
            raise ControlPlaneError(f"the compiler ended with {process.returncode}: {last_lines(''.join(said))}")

    def _version(self) -> str:
        return f"v{(self._folder / 'version').read_text()}"

    def _program(self) -> str:
        return str(self._root / "usr" / "lib" / "go-1.19" / "bin" / "go")

    def _go(self, *words: str) -> str:
        return run((self._program(), *words), self._lock, where=self._tree, environment=self._environment())

    def _environment(self) -> dict[str, str]:
        """Nobody's own Go settings decide what is built."""
        goroot = self._root / "usr" / "lib" / "go-1.19"
        return {
            "PATH": f"{goroot / 'bin'}:{os.environ.get('PATH', '/usr/bin:/bin')}",
            "HOME": str(self._folder / "home"),
            "TMPDIR": str(self._folder / "tmp"),
            "LC_ALL": "C",
            "GOROOT": str(goroot),
            "GOPATH": str(self._folder / "gopath"),
            "GOCACHE": str(self._folder / "gocache"),
            "GOENV": "off",
            "GO111MODULE": "off",
            "GOFLAGS": "-trimpath",
            "CGO_ENABLED": "0",
        }

    def _tell(self, text: str) -> None:
        self._say(f"[{time.monotonic() - self._begun:5.0f} s] {text}")


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime)
    if not found:
        raise ControlPlaneError(f"Debian's source package has no {pattern}")
    return found[-1]


def _unpack(archive: Path, target: Path) -> None:
    """Unpack what apt has checked the signature of."""
    shutil.rmtree(target, ignore_errors=True)
    try:
        with tarfile.open(archive) as held:
            # Debian 12's own Python is a little too old for the word `filter`
            held.extraction_filter = getattr(tarfile, "tar_filter", None)
            held.extractall(target)  # noqa: S202 - the archive is signed
    except (tarfile.TarError, EOFError) as error:
        raise ControlPlaneError(f"{archive.name} cannot be unpacked: {error}") from error


def _marked(tree: Path) -> list[str]:
    """Name the folders whose types the API is described by, as their packages are imported."""
    found = set()
    for root in OPENAPI_ROOTS:
        for folder, folders, files in os.walk(tree / root):
            folders[:] = [name for name in folders if name not in OPENAPI_LEFT_OUT]
            texts = ((Path(folder) / name).read_bytes() for name in files if name.endswith(".go"))
            if any(OPENAPI_MARK in text for text in texts):
                found.add(re.sub("^staging/src/", "vendor/", str(Path(folder).relative_to(tree))))
    return sorted(found)
