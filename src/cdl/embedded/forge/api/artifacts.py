"""What a job left behind, and whether a pipeline's file can be read at all."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import yaml
from starlette.responses import Response

from cdl.embedded.forge.accounts import DEVELOPER, MAINTAINER, REPORTER
from cdl.embedded.forge.errors import forbidden, incomplete, invalid, missing
from cdl.embedded.forge.store import Tree
from cdl.embedded.forge.web import Answer, Call, Routes

KEYWORDS = {"default", "include", "stages", "variables", "workflow", "spec", "image", "services", "cache", "pages"}
KEYWORDS |= {"before_script", "after_script"}
RUNS = {"script", "trigger", "run", "extends"}


def add_to(routes: Routes) -> None:
    """Serve these."""
    one = "/projects/{project}/jobs/{job}/artifacts"
    routes.add("POST", one, keep)
    routes.add("GET", one, all_of)
    routes.add("GET", f"{one}/{{path*}}", one_of)
    routes.add("POST", "/projects/{project}/ci/lint", lint)
    routes.add("GET", "/projects/{project}/ci/lint", lint_committed)


def _place(call: Call) -> tuple[Tree, Path]:
    project = call.project()
    job = call.forge.store.get("job", call.number("job"))
    if job is None or job["project_id"] != project["id"]:
        raise missing()
    return job, call.forge.data / "artifacts" / str(project["id"]) / f"{job['id']}.zip"


def keep(call: Call) -> Answer:
    """POST /jobs/:id/artifacts: a zip, by the job itself or a maintainer; in the place of a runner.

    Raises:
        ApiError: somebody else, or no zip.
    """
    job, place = _place(call)
    if call.user.job != job["id"] and (
        call.user.job or call.forge.accounts.access(call.user, call.project()) < MAINTAINER
    ):
        raise forbidden()
    given = call.given.get("file")
    if not isinstance(given, tuple):
        raise incomplete("file")
    content = bytes(given[1])
    if not zipfile.is_zipfile(io.BytesIO(content)):
        raise invalid("The artifacts are no zip archive")
    place.parent.mkdir(parents=True, exist_ok=True)
    new = place.with_suffix(".new")
    with new.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    new.replace(place)
    return {"message": "201 Created"}


def _kept(call: Call) -> Path:
    call.repository(REPORTER)
    _, place = _place(call)
    if not place.exists():
        raise missing()
    return place


def all_of(call: Call) -> Answer:
    """GET /jobs/:id/artifacts."""
    return Response(_kept(call).read_bytes(), media_type="application/zip")


def one_of(call: Call) -> Answer:
    """GET /jobs/:id/artifacts/:path; never as something that a browser would run."""
    with zipfile.ZipFile(_kept(call)) as packed:
        try:
            content = packed.read(call.name("path"))
        except (KeyError, zipfile.BadZipFile) as error:
            raise missing() from error
    headers = {"X-Content-Type-Options": "nosniff", "Content-Disposition": "attachment"}
    return Response(content, media_type="application/octet-stream", headers=headers)


def lint(call: Call) -> Answer:
    """POST /ci/lint."""
    call.writes(DEVELOPER)
    return _judged(call.needed("content"))


def lint_committed(call: Call) -> Answer:
    """GET /ci/lint: the file of the default branch, or of a commit."""
    project, repository = call.repository(DEVELOPER)
    sha = repository.resolve(call.text("content_ref") or call.text("sha") or project["default_branch"])
    found = repository.blob(sha, ".gitlab-ci.yml") if sha else None
    return _judged(found[2].decode(errors="replace") if found else "")


def _judged(content: str) -> Tree:
    """Say what is wrong with a pipeline's file, as far as can be seen without running it."""
    errors = []
    try:
        read = yaml.load(content, _Loose)  # noqa: S506 - a SafeLoader that leaves unknown tags alone
    except yaml.YAMLError as error:
        read, errors = None, [f"Invalid configuration format: {str(error).splitlines()[0]}"]
    if not errors and not isinstance(read, dict):
        errors = ["Please provide content of .gitlab-ci.yml" if not read else "Invalid configuration format"]
    jobs = {
        str(name): job
        for name, job in (read if isinstance(read, dict) else {}).items()
        if name not in KEYWORDS and not str(name).startswith(".")
    }
    if not errors and not jobs and not (isinstance(read, dict) and "include" in read):
        errors = ["jobs config should contain at least one visible job"]
    errors += [
        f"jobs:{name} config should implement the script:, run:, or trigger: keyword"
        for name, job in jobs.items()
        if not isinstance(job, dict) or not RUNS & job.keys()
    ]
    listed = [{"name": name, "stage": job.get("stage", "test")} for name, job in jobs.items() if isinstance(job, dict)]
    return {
        "valid": not errors,
        "errors": errors,
        "warnings": [],
        "merged_yaml": content,
        "includes": [],
        "jobs": listed,
    }


class _Loose(yaml.SafeLoader):
    """Reads `!reference` and other tags as what they stand on."""


def _as_it_is(loader: yaml.SafeLoader, _suffix: str, node: yaml.Node) -> object:
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node)
    return loader.construct_mapping(node) if isinstance(node, yaml.MappingNode) else str(node.value)


_Loose.add_multi_constructor("!", _as_it_is)
