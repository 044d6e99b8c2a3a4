"""A current API server for custom resources alone, built from Debian unstable's Go library packages, once.

`python -m tests.kube.modern.build` says what it does and prints where the program is. It takes 400 MB of downloads
and some minutes, needs no root rights, and finds Debian's archive in this machine's own apt sources, with the suite
replaced. Debian unstable changes daily, so what was built once is kept beside the control plane's programs.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cdl.embedded.controlplane.binaries import cache, program

LIBRARY = "golang-k8s-apiextensions-apiserver-dev"
COMPILER = re.compile(r"golang-1\.(\d+)-go")
SUITE = "sid"
SOURCE = Path(__file__).with_name("crdserver.go")
NAME = "crdserver"


class CannotBuildError(Exception):
    """This machine has no Debian archive, or no way to it; the message says which."""


def kept():
    """The newest program that was built, if any was."""
    found = [folder / NAME for folder in (cache() / "modern").glob("*") if program(folder / NAME)]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def build(say=print):
    """Give the program, built when there is none.

    Raises:
        CannotBuildError: it cannot be built here.
    """
    there = kept()
    if there is not None:
        return there
    (cache() / "modern").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache() / "modern", prefix=".build-") as folder:
        return _build(Path(folder), say)


def _build(folder, say):
    say("1/3 reading Debian unstable's list of packages")
    options = _apt(folder)
    _run(("apt-get", *options, "update"))
    compiler = _newest_compiler(options)
    wish = _run(("apt-get", *options, "install", "--no-install-recommends", "-s", LIBRARY, compiler))
    names = sorted(set(re.findall(r"^Inst (golang-\S+-dev|golang-1\.\d+-(?:go|src)) ", wish, re.MULTILINE)))
    version = re.search(rf"^Inst {LIBRARY} \((\S+)", wish, re.MULTILINE)
    if not names or not version:
        raise CannotBuildError(f"Debian {SUITE} has no {LIBRARY}")
    say(f"2/3 fetching {len(names)} packages of Kubernetes' libraries {version[1]}")
    (folder / "debs").mkdir()
    _run(("apt-get", *options, "download", *names), folder / "debs")
    for deb in (folder / "debs").glob("*.deb"):
        _run(("dpkg", "-x", str(deb), str(folder / "root")))
        deb.unlink()
    say("3/3 compiling: 4 minutes of processor time")
    made = _compile(folder, compiler.removesuffix("-go").removeprefix("golang-"))
    kept_in = cache() / "modern" / version[1].replace(":", "-")
    kept_in.mkdir(exist_ok=True)
    shutil.move(made, kept_in / NAME)
    return kept_in / NAME


def _apt(folder):
    """The options of an apt of our own, that knows one suite and no installed package."""
    for name in ("lists/partial", "cache/archives/partial", "sources"):
        (folder / name).mkdir(parents=True)
    (folder / "status").touch()
    for number, text in enumerate(_sources(Path("/etc/apt"))):
        (folder / "sources" / f"{number}.sources").write_text(text)
    settings = {
        "Dir::State::Lists": folder / "lists",
        "Dir::State::status": folder / "status",
        "Dir::Cache": folder / "cache",
        "Dir::Etc::SourceList": "/dev/null",
        "Dir::Etc::SourceParts": folder / "sources",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
    }
    return ("-q", *(word for name, value in settings.items() for word in ("-o", f"{name}={value}")))


def _sources(system):
    """The archives of Debian that this machine knows, as if it ran the other suite."""
    found = []
    for path in sorted((system / "sources.list.d").glob("*.sources")):
        for stanza in re.split(r"\n\s*\n", path.read_text()):
            suites = re.search(r"(?im)^Suites:\s*(\S+)", stanza)
            address = re.search(r"(?im)^URIs:\s*(\S+)", stanza)
            if suites and address and "/" not in suites[1] and address[1].rstrip("/").endswith("/debian"):
                found.append(re.sub(r"(?im)^(Suites|Types):.*$", "", stanza) + f"\nTypes: deb\nSuites: {SUITE}\n")
    for path in (system / "sources.list", *sorted((system / "sources.list.d").glob("*.list"))):
        for line in path.read_text().splitlines() if path.exists() else ():
            entry = re.match(r"deb\s+(?:\[[^\]]*\]\s+)?(\S+/debian)/?\s", line)
            if entry:
                found.append(f"Types: deb\nURIs: {entry[1]}\nSuites: {SUITE}\nComponents: main\n")
    if not found:
        raise CannotBuildError(f"{system} names no archive of Debian")
    return [re.sub(r"\n\n+", "\n", found[0])]


def _newest_compiler(options):
    known = COMPILER.finditer(_run(("apt-cache", *options, "pkgnames", "golang-1.")))
    numbers = [int(match[1]) for match in known]
    if not numbers:
        raise CannotBuildError(f"Debian {SUITE} has no Go")
    return f"golang-1.{max(numbers)}-go"


def _compile(folder, version):
    place = folder / "path" / "src" / NAME
    place.mkdir(parents=True)
    shutil.copy2(SOURCE, place / "main.go")
    root = folder / "root" / "usr" / "lib" / f"go-{version}"
    environment = {
        **os.environ,
        "GOROOT": str(root),
        "GOPATH": f"{folder / 'path'}:{folder / 'root' / 'usr' / 'share' / 'gocode'}",
        "GOCACHE": str(folder / "gocache"),
        "GO111MODULE": "off",
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "",
        "GOENV": "off",
        "CGO_ENABLED": "0",
    }
    words = ("build", "-trimpath", "-ldflags", "-s -w", "-o", str(folder / NAME), NAME)
    _run((str(root / "bin" / "go"), *words), folder, environment)
    return folder / NAME


def _run(command, where=None, environment=None):
    try:
        done = subprocess.run(command, cwd=where, env=environment, capture_output=True, text=True, check=False)
    except OSError as error:
        raise CannotBuildError(f"{command[0]}: {error.strerror}") from error
    if done.returncode:
        raise CannotBuildError(f"{Path(command[0]).name} ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    return done.stdout


if __name__ == "__main__":
    print(build(lambda line: print(line, file=sys.stderr)))
