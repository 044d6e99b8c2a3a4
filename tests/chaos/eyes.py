"""The engines as they are, asked directly with clients of our own: nothing here trusts what the operator says."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import grpc
import httpx
import psutil
from determined.common import api
from determined.common.api import authentication, bindings, certs
from determined.experimental.client import Determined
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs, pps

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.chaos.servers import Servers

PATIENCE = 30.0
OVER = frozenset({"COMPLETED", "CANCELED", "ERROR", "DELETED"})


class Eyes:
    """Looks at pachd, the master and Seldon past every proxy."""

    def __init__(self, servers: Servers) -> None:
        """Connect to running engines."""
        self._port = f":{servers.at['determined']}"
        self.pachd = Client(host="127.0.0.1", port=servers.at["pachd"])
        self.master = _logged_in(f"http://127.0.0.1:{servers.at['determined']}")
        self._seldon = httpx.Client(base_url=f"http://127.0.0.1:{servers.at['seldon']}", timeout=20)

    def close(self) -> None:
        """Hang up."""
        self.pachd._channel.close()
        self._seldon.close()

    # --- Pachyderm

    def repos(self, project: str, name: str) -> list[str]:
        """Name the repositories of a DataPipeline, outputs of steps included."""
        found = self.pachd.pfs.list_repo(type="user", projects=[pfs.Project(name=project)])
        return sorted(r.repo.name for r in found if _of(r.repo.name, name) and r.repo.project.name == project)

    def pipelines(self, project: str, name: str) -> list[str]:
        """Name the pipelines of a DataPipeline."""
        found = self.pachd.pps.list_pipeline(projects=[pfs.Project(name=project)], details=False)
        names = [p.pipeline.name for p in found if p.pipeline.project.name == project]
        return sorted(n for n in names if _of(n, name))

    def doubled_jobs(self, project: str, name: str) -> list[str]:
        """Name what was processed twice: two successful jobs of one version of a pipeline over one input commit."""
        seen: Counter[str] = Counter()
        for pipeline in self.pipelines(project, name):
            handle = pps.Pipeline(project=pfs.Project(name=project), name=pipeline)
            for job in self.pachd.pps.list_job(pipeline=handle, history=-1, details=True):
                if pps.JobState(job.state) is pps.JobState.JOB_SUCCESS:
                    seen[f"{pipeline} v{job.pipeline_version} over {_input(job)}"] += 1
        return [what for what, count in seen.items() if count > 1]

    def content(self, project: str, repo: str, commit: str) -> str:
        """Give a sha256 that stands for every path and byte of a commit."""
        handle = pfs.Commit(
            repo=pfs.Repo(name=repo, type="user", project=pfs.Project(name=project)),
            id=commit,
            branch=pfs.Branch(name="master"),
        )
        handle.branch.repo = handle.repo
        entries = sorted(
            (info.file.path, bytes(info.hash).hex())
            for info in self.pachd.pfs.walk_file(file=pfs.File(commit=handle, path="/"))
            if info.file_type == pfs.FileType.FILE
        )
        return hashlib.sha256(json.dumps(entries).encode()).hexdigest()

    # --- Determined

    def runs(self, namespace: str, name: str) -> list[bindings.v1Experiment]:
        """Give every run there ever was for an Experiment, archived ones included."""
        label = f"cdl-owner={namespace}.{name}"
        answer = bindings.get_GetExperiments(self.master._session, labels=[label], limit=200)
        return [e for e in answer.experiments if label in (e.labels or ())]

    def doubled_runs(self, namespace: str, name: str) -> list[str]:
        """Name keys that more than one run was made for."""
        keys = Counter(
            label for run in self.runs(namespace, name) for label in run.labels or () if label.startswith("cdl-key=")
        )
        return [key for key, count in keys.items() if count > 1]

    def going_on(self, namespace: str, name: str) -> list[str]:
        """Name runs of an Experiment that are neither over nor archived."""
        return [
            f"run {r.id} {r.state.name} archived={r.archived}"
            for r in self.runs(namespace, name)
            if not r.archived or r.state.name not in OVER
        ]

    def versions(self, namespace: str, model: str) -> dict[int, str]:
        """Give the digest of each version of a namespace's model."""
        model = model if namespace == "default" else f"{namespace}.{model}"
        if not any(m.name == model for m in self.master.list_models()):
            return {}
        found = self.master.get_model(model).list_versions()
        return {v.model_version: str((v.metadata or {}).get("cdl.dev/digest", "")) for v in found}

    def checkpoint(self, folder: Path) -> str:
        """Give a sha256 that stands for every path and byte of a checkpoint."""
        files = {
            p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest()
            for p in sorted(folder.rglob("*"))
            if p.is_file()
        }
        return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest() if files else ""

    # --- Seldon

    def deployments(self, namespace: str, name: str) -> list[dict[str, Any]]:
        """Give the SeldonDeployments made for a ModelDeployment."""
        path = f"/apis/machinelearning.seldon.io/v1/namespaces/{namespace}/seldondeployments"
        items = self._seldon.get(path).raise_for_status().json()["items"]
        owner = f"{namespace}/{name}"
        return [i for i in items if i["metadata"].get("annotations", {}).get("cdl.dev/owner") == owner]

    def servers(self, name: str) -> list[int]:
        """Give the process ids of the model servers of a deployment."""
        return [pid for pid, told in _told("cdl.serving") if told.get("SELDON_DEPLOYMENT_ID") == name]

    def trials(self) -> list[int]:
        """Give the process ids of the trials of this home folder's master."""
        return [pid for pid, told in _told("") if told.get("DET_TRIAL_ID") and self._port in told.get("DET_MASTER", "")]

    def answering(self) -> bool:
        """All three answer."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                list(self.pachd.pfs.list_repo())
                bindings.get_GetExperiments(self.master._session, limit=1)
                self._seldon.get("/apis/machinelearning.seldon.io/v1/namespaces/x/seldondeployments").raise_for_status()
            except (grpc.RpcError, ConnectionError, httpx.HTTPError, OSError):
                time.sleep(0.1)
            else:
                return True
        return False


def _logged_in(url: str) -> Determined:
    """Log in without the SDK's advice about passwords, which it prints."""
    cert = certs.default_load(master_url=url)
    token = authentication.login(url, "determined", "", cert).token
    session = api.Session(master=url, username="determined", token=token, cert=cert, max_retries=0)
    return Determined._from_session(session)


def _told(word: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Give the environment of every process whose command has a word in it."""
    for process in psutil.process_iter(["pid", "cmdline", "status"]):
        command = " ".join(process.info["cmdline"] or ())
        if "python" not in command or word not in command or process.info["status"] == psutil.STATUS_ZOMBIE:
            continue
        try:
            yield process.info["pid"], process.environ()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue


def _of(found: str, name: str) -> bool:
    return found == name or found.startswith(f"{name}-")


def _input(job: pps.JobInfo) -> str:
    told = job.details.input if job.details is not None else None
    return str(told.pfs.commit or "") if told is not None and told.pfs is not None else str(job.job.id)
