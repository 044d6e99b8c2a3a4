"""Start the embedded engines as a user's machine does, and talk to them with the real SDKs."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs, pps

from .conftest import ROOT

DONE = {pps.JobState.JOB_SUCCESS, pps.JobState.JOB_FAILURE, pps.JobState.JOB_KILLED, pps.JobState.JOB_UNRUNNABLE}


@contextmanager
def server(name: str, data: Path, *arguments: str) -> Iterator[int]:
    """Run `python -m cdl.embedded.<name>` on a free port for as long as the block lasts; yields the port."""
    log = data.with_suffix(".log")
    program = [sys.executable, "-m", f"cdl.embedded.{name}", "--data", str(data), "--port", "0", *arguments]
    with log.open("w") as out, subprocess.Popen(program, stdout=out, stderr=out) as process:
        try:
            yield int(until(lambda: re.search(r"ready \S+:(\d+)", log.read_text()), 30).group(1))
        finally:
            process.terminate()
            process.wait(timeout=30)


def until(look: Callable[[], object], seconds: float):
    """Look until there is something to see."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        seen = look()
        if seen:
            return seen
        time.sleep(0.1)
    raise AssertionError(f"nothing after {seconds} s")


def repo(name: str) -> pfs.Repo:
    return pfs.Repo(name=name, type="user", project=pfs.Project(name="default"))


def ingest(client: Client, name: str, files: dict[str, bytes]) -> pfs.Commit:
    """Put the files into a new repository, in one commit."""
    client.pfs.create_repo(repo=repo(name))
    with client.pfs.commit(branch=pfs.Branch(repo=repo(name), name="master")) as commit:
        head = [pfs.ModifyFileRequest(set_commit=commit)]
        adds = [pfs.ModifyFileRequest(add_file=pfs.AddFile(path=f"/{path}", raw=raw)) for path, raw in files.items()]
        client.pfs.modify_file(iter(head + adds))
    return commit


def step(client: Client, name: str, source: str, program: str, glob: str = "/[!_]*", **env: str) -> pps.JobInfo:
    """Create a pipeline that runs a built-in step, and wait for its first job."""
    document = {
        "pipeline": {"name": name},
        "input": {"pfs": {"repo": source, "branch": "master", "glob": glob, "name": "in"}},
        "transform": {"image": "cdl/steps", "cmd": ["python3", f"/opt/cdl/pipelines/{program}/step.py"], "env": env},
        "datum_tries": 1,
    }
    client.pps.create_pipeline_v2(create_pipeline_request_json=json.dumps(document))

    def finished() -> pps.JobInfo | None:
        jobs = list(client.pps.list_job(pipeline=pps.Pipeline(name=name, project=pfs.Project(name="default"))))
        return jobs[0] if jobs and jobs[0].state in DONE else None

    return until(finished, 60)


@contextmanager
def pachd(data: Path) -> Iterator[tuple[Client, int]]:
    """Run a pachd whose pipelines find our steps where the image has them."""
    with server("pachd", data, "--map", f"/opt/cdl/pipelines={ROOT / 'pipelines'}") as port:
        yield Client(host="127.0.0.1", port=port), port
