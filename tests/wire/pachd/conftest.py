"""The embedded pachd as its clients see it: a process of its own, and the real SDK."""

import io
import itertools
import os
import select
import signal
import subprocess
import sys
import tarfile

import pytest
from pachyderm_sdk import Client
from pachyderm_sdk.api import pfs, pps

_NUMBERS = itertools.count(1)


class Pachd:
    """One server process on one folder; it can be killed and started again."""

    def __init__(self, folder, *options, env=None):
        self.folder = folder
        self.options = options
        self.env = env
        self.process = None
        self.client = None

    def start(self):
        command = [sys.executable, "-m", "cdl.embedded.pachd", "--data", str(self.folder), "--port", "0", *self.options]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **(self.env or {})}
        )
        ready, _, _ = select.select([self.process.stdout], [], [], 30)
        line = self.process.stdout.readline() if ready else ""
        if not line.startswith("pachd ready grpc://"):
            self.process.kill()
            pytest.fail(f"pachd did not start: {line!r} {self.process.communicate()[1]}")
        self.address = line.split()[-1]
        self.client = Client.from_pachd_address(self.address)
        return self

    def end(self, number=signal.SIGTERM):
        """Send a signal and wait; tells the exit status."""
        if self.client is not None:
            self.client._channel._channel.close() if hasattr(self.client._channel, "_channel") else None
            self.client = None
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.errors = self.process.communicate(timeout=30)[1]
        return self.process.returncode

    # -- what tests say to it -----------------------------------------------------------------------------------------

    def repo(self, name=None):
        repo = pfs.Repo(name=name or f"repo{next(_NUMBERS)}")
        self.client.pfs.create_repo(repo=repo)
        return repo

    def put(self, repo, files, delete=()):
        """Write files in one commit; tells the commit when it is finished."""
        with self.client.pfs.commit(branch=pfs.Branch(repo=repo, name="master")) as commit:
            for path in delete:
                commit.delete_file(path=path)
            for path, body in files.items():
                commit.put_file_from_bytes(path, body)
        return commit.wait().commit

    def head(self, repo):
        return pfs.Commit(repo=repo, branch=pfs.Branch(repo=repo, name="master"))

    def read(self, commit, path="/"):
        """Every file of a commit with its content, through one tar."""
        body = b"".join(piece.value for piece in self.client.pfs.get_file_tar(file=pfs.File(commit=commit, path=path)))
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            return {m.name: tar.extractfile(m).read() for m in tar.getmembers() if m.isfile()}

    def pipeline(self, repo, script, *, glob="/*", name=None, cmd=("sh",), update=False, reprocess=False, **fields):
        pipeline = pps.Pipeline(name=name or f"pipe{next(_NUMBERS)}")
        transform = {k: fields.pop(k) for k in list(fields) if k in _TRANSFORM}
        self.client.pps.create_pipeline(
            pipeline=pipeline,
            input=pps.Input(pfs=pps.PfsInput(repo=repo.name, glob=glob, name="in")),
            transform=pps.Transform(cmd=list(cmd), stdin=[script] if script else [], **transform),
            update=update,
            reprocess=reprocess,
            **fields,
        )
        return pipeline

    def job(self, pipeline, *, wait=True):
        """The newest job, when it has ended."""
        newest = next(iter(self.client.pps.list_job(pipeline=pipeline, history=-1)))
        return self.client.pps.inspect_job(job=newest.job, wait=wait, details=True)

    def output(self, pipeline):
        return self.read(self.head(pfs.Repo(name=pipeline.name)))


_TRANSFORM = {"env", "err_cmd", "err_stdin", "accept_return_code", "working_dir"}


@pytest.fixture(scope="session")
def pachd(tmp_path_factory):
    """A server for tests that only need one; each makes its own repos."""
    root = tmp_path_factory.mktemp("allowed")
    server = Pachd(tmp_path_factory.mktemp("pachd"), "--allow-file-root", str(root), "--workers", "2").start()
    server.root = root
    yield server
    assert server.end() == 0
    assert server.errors == ""


@pytest.fixture
def own_pachd(tmp_path):
    """A factory of servers that a test may kill."""
    made = []

    def make(*options, folder=None, env=None):
        server = Pachd(folder or tmp_path / "pachd", *options, env=env)
        made.append(server)
        return server.start()

    yield make
    for server in made:
        if server.process is not None and server.process.poll() is None:
            server.end(signal.SIGKILL)


@pytest.fixture
def client(pachd):
    return pachd.client
