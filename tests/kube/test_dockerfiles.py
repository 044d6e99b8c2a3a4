"""The Dockerfiles, read: nothing here can build them, but much that goes wrong in one can be seen."""

import re
from importlib import metadata

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.tree import ROOT
from tests.kube.chart import objects

FOLDER = ROOT / "docker"
FILES = sorted(FOLDER.glob("*.Dockerfile"))
PINNED = re.compile(r"^[\w./-]+:\d+\.\d+\.\d+[\w.-]*$")
INSTALL = re.compile(r'--constraint /source/(requirements/\w+\.txt) "/source\[([^\]]+)\]"((?: [\w=.]+)*)')
SECRETS = re.compile(r"password|token|secret|api_?key|credential", re.IGNORECASE)
KNOWN = {"FROM", "ENV", "ARG", "RUN", "COPY", "USER", "WORKDIR", "EXPOSE", "CMD"}


def instructions(path):
    """The instructions of a Dockerfile, continued lines joined, as (word, rest)."""
    text = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines if line.strip()]


def stages(path):
    """The same, one list a stage."""
    parts = []
    for word, rest in instructions(path):
        if word == "FROM":
            parts.append([])
        parts[-1].append((word, rest))
    return parts


def faults(path):
    """What is wrong with a Dockerfile, by the last stage, which is the image."""
    found = [f"{word} is not an instruction used here" for word, _ in instructions(path) if word not in KNOWN]
    for word, rest in instructions(path):
        image = rest.split()[0]
        if word == "FROM" and not PINNED.match(image):
            found.append(f"{image} is not pinned")
        if word in {"ENV", "ARG"} and SECRETS.search(rest):
            found.append(f"{rest} may be a secret")
    last = stages(path)[-1]
    users = [rest for word, rest in last if word == "USER"]
    if not users or not re.fullmatch(r"[1-9]\d+:[1-9]\d+", users[-1]):
        found.append(f"it runs as {users[-1] if users else 'root'}")
    if [word for word, _ in last].index("CMD") != len(last) - 1:
        found.append("CMD is not its last word")
    return found


@pytest.fixture(params=FILES, ids=lambda path: path.name)
def dockerfile(request):
    return request.param


def test_there_is_one_for_each_purpose():
    assert {path.name.partition(".")[0] for path in FILES} == {
        "operator", "embedded", "serving", "steps", "trial-torch", "trial-tf",
    }  # fmt: skip


def test_an_image_is_pinned_holds_no_secret_and_is_not_root(dockerfile):
    assert faults(dockerfile) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("FROM python:latest\nUSER 10001:10001\nCMD x", "python:latest is not pinned"),
        ("FROM python\nUSER 10001:10001\nCMD x", "python is not pinned"),
        ("FROM python:3.11.13\nCMD x", "it runs as root"),
        ("FROM python:3.11.13\nUSER root\nCMD x", "it runs as root"),
        ("FROM python:3.11.13\nENV DB_PASSWORD=x\nUSER 10001:10001\nCMD x", "DB_PASSWORD=x may be a secret"),
        ("FROM python:3.11.13\nUSER 10001:10001\nCMD x\nUSER 0:0", "it runs as 0:0"),
        ("FROM python:3.11.13\nADD . /\nUSER 10001:10001\nCMD x", "ADD is not an instruction used here"),
    ],
)
def test_a_bad_dockerfile_is_found(tmp_path, text, fault):
    path = tmp_path / "Dockerfile"
    path.write_text(text)
    assert fault in faults(path)


def test_what_is_copied_is_there_and_is_sent_to_the_build(dockerfile):
    sent = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    for word, rest in instructions(dockerfile):
        if word == "COPY" and not rest.startswith("--from="):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert source.split("/")[0] in sent, source


def test_nothing_else_is_sent_to_the_build():
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"


def closure(extras):
    """Every package that comes with cdl and some extras, as it is installed here."""
    todo, seen = [("cdl", frozenset(extras))], set()
    while todo:
        name, wanted = todo.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        for text in metadata.requires(name) or ():
            needed = Requirement(text)
            if not needed.marker or any(needed.marker.evaluate({"extra": extra}) for extra in (*wanted, "")):
                todo.append((canonicalize_name(needed.name), frozenset(needed.extras)))
    return {name for name, _ in seen} - {"cdl"}


def test_every_package_is_held_to_a_lock(dockerfile):
    found = [match for _, rest in instructions(dockerfile) for match in INSTALL.findall(rest)]
    assert len(found) == any("pip install" in rest for _, rest in instructions(dockerfile))
    arguments = dict(rest.split("=") for word, rest in instructions(dockerfile) if word == "ARG")
    for lock, extras, more in found:
        named = extras.replace("${FRAMEWORKS}", arguments.get("FRAMEWORKS", "")).split(",")
        pinned = set(re.findall(r"^([\w.-]+)==", (ROOT / lock).read_text(), re.MULTILINE))
        # These belong to one build of torch, and that build pins them.
        assert {name for name in closure(named) - pinned if not name.startswith(("nvidia", "cuda", "triton"))} == set()
        assert all("==" in package for package in more.split())


def test_the_chart_starts_programs_that_lie_in_the_images():
    """The paths that the chart says to the embedded engines are those of their image."""
    text = (FOLDER / "embedded.Dockerfile").read_text()
    (pachd,) = [
        d for d in objects("values-embedded.yaml") if d["metadata"]["name"] == "cdl-pachd" and "template" in d["spec"]
    ]
    (container,) = pachd["spec"]["template"]["spec"]["containers"]
    (mapped,) = [a for a in container["args"] if a.startswith("--map=")]
    assert f"COPY pipelines {mapped.rpartition('=')[2]}\n" in text
    assert container["volumeMounts"][0]["mountPath"] in text
