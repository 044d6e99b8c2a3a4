"""A real PostgreSQL on a folder of its own, and who may do what in it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psycopg

ROLES = ("cdl_owner", "cdl_writer")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Postgres:
    """The embedded server, as the stack starts it."""

    def __init__(self, data):
        self.data, self.port = data, free_port()
        self.log = data.with_suffix(".log")
        self.process = None

    def start(self):
        command = [sys.executable, "-m", "cdl.embedded.postgres", "--data", str(self.data), "--port", str(self.port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        said = self.process.stdout.readline()
        assert said == "postgres ready\n", self.log.read_text()

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            assert self.process.wait(30) == 0, self.log.read_text()
            self.process.stdout.close()
            self.process = None

    def kill(self, pid=None):
        """Kill the process that was started, or another, and wait until the server is gone too."""
        server = self.pid()
        os.kill(pid or self.process.pid, 9)
        self.process.wait(30)
        self.process.stdout.close()
        self.process = None
        deadline = time.monotonic() + 30
        while Path(f"/proc/{server}").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not Path(f"/proc/{server}").exists()

    def pid(self):
        """The server itself, which the process that was started looks after."""
        return int((self.data / "server/cluster/postmaster.pid").read_text().splitlines()[0])

    def address(self, role, database="cdl"):
        secret = self.data / "server" / f"{role}.pgpass"
        return f"postgresql://{role}@127.0.0.1:{self.port}/{database}?passfile={secret}"

    @property
    def owner(self):
        return self.address("cdl_owner")

    @property
    def writer(self):
        return self.address("cdl_writer")

    def empty(self):
        """Take away every table, as the owner who can."""
        with psycopg.connect(self.owner, autocommit=True) as connection:
            connection.execute("DROP SCHEMA IF EXISTS cdl CASCADE")

    def tamper(self, statement, *values):
        """Do what no trigger lets anybody do: as the superuser, who can switch them off."""
        with psycopg.connect(self.owner, autocommit=True) as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute(statement, values)
