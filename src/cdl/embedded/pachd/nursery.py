"""The parent of all user processes: a small process that outlives the server by just long enough to kill them.

It is started by path, with nothing but the standard library, so that it forks in milliseconds and never shares a
thread with gRPC. Orders come over a socket, one JSON object each, with the write end of the output pipe attached.
When the socket closes, however the server died, every descendant is killed.

Where the machine allows it, it lives in a mount namespace of its own, whose root is the machine's with an empty `/pfs`
added; each program then gets its bench bound there. Nobody else sees that.
"""

import ctypes
import json
import os
import select
import signal
import socket
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_CLONE_NEWNS, _CLONE_NEWUSER = 0x20000, 0x10000000
_MS_BIND, _MS_REC, _MS_SLAVE = 1 << 12, 1 << 14, 1 << 19
LARGEST = 1024 * 1024  # bytes of one order


def _call(name: str, *words: object) -> None:
    """Make a system call that the standard library does not have."""
    libc = ctypes.CDLL(None, use_errno=True)
    coded = [os.fsencode(word) if isinstance(word, str) else word for word in words]
    if getattr(libc, name)(*coded) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _mount(source: str | None, target: str, kind: str | None, flags: int) -> None:
    _call("mount", source, target, kind, ctypes.c_ulong(flags), None)


def _unshare() -> None:
    """Leave the machine's mount namespace: as root at once, as anybody else within a user namespace."""
    uid, gid = os.geteuid(), os.getegid()
    try:
        _call("unshare", _CLONE_NEWNS)
    except OSError:
        _call("unshare", _CLONE_NEWUSER | _CLONE_NEWNS)
        for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
            with open(f"/proc/self/{name}", "w") as file:  # noqa: PTH123  pathlib doubles the start-up time
                file.write(text)


def enter(world: str) -> None:
    """Make `world`, an empty folder, the root: all that the machine's root has, and an empty `/pfs`."""
    _unshare()
    _mount(None, "/", None, _MS_REC | _MS_SLAVE)
    # What holds `world` goes first, or everything bound so far would be bound again below it.
    names = sorted(os.listdir("/"), key=lambda name: not world.startswith(f"/{name}/"))  # noqa: PTH208  as above
    _mount("tmpfs", world, "tmpfs", 0)
    for name in names:
        source, target = f"/{name}", f"{world}/{name}"
        if name == "pfs":
            continue
        if os.path.islink(source):  # noqa: PTH114  as above
            os.symlink(os.readlink(source), target)  # noqa: PTH115, PTH211  as above
        elif os.path.isdir(source):  # noqa: PTH112  as above
            os.mkdir(target)  # noqa: PTH102  as above
            _mount(source, target, None, _MS_BIND | _MS_REC)
    os.mkdir(f"{world}/pfs")  # noqa: PTH102  as above
    os.chroot(world)
    os.chdir("/")


def may_enter(world: str) -> bool:
    """Try it in a process that ends at once: what fails half way leaves nothing behind."""
    pid = os.fork()
    if pid == 0:
        try:
            enter(world)
            os._exit(0)
        except OSError:
            os._exit(1)
        finally:
            os._exit(1)
    return os.waitpid(pid, 0)[1] == 0


def _become_reaper() -> None:
    """Let orphaned descendants become our children, so that none gets away."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _exec(order: dict[str, object], out: int, parent: int) -> None:
    """In the child: become the user's program. Never returns."""
    env = order["env"]
    argv = order["argv"]
    try:
        os.setsid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(125)
        if order["pfs"]:
            _call("unshare", _CLONE_NEWNS)
            _mount(str(order["pfs"]), "/pfs", None, _MS_BIND)
        stdin = os.open(str(order["stdin"]), os.O_RDONLY)
        for source, target in ((stdin, 0), (out, 1), (out, 2)):
            os.dup2(source, target)
        os.closerange(3, 256)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGPIPE):
            signal.signal(number, signal.SIG_DFL)
        os.chdir(str(order["cwd"]))
        if isinstance(env, dict) and isinstance(argv, list):
            os.execvpe(argv[0], argv, env)  # noqa: S606  no shell is the point
    except OSError as error:
        program = argv[0] if isinstance(argv, list) else ""
        os.write(2, f"cannot start {program!r}: {error.strerror}\n".encode())
    finally:
        os._exit(127)


class Nursery:
    """Starts, watches and kills."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._pids: dict[int, int] = {}  # pidfd -> pid
        self._runs: dict[int, tuple[int, bytes]] = {}  # pid -> run, mark

    def serve(self, world: str) -> None:
        """Tell whether programs can have a /pfs, then work until the server is gone."""
        mounts = bool(world) and may_enter(world)
        if mounts:
            enter(world)
        self._say({"mounts": int(mounts)})
        while True:
            for handle, _ in self._poll.poll():
                if handle != self._sock.fileno():
                    self._ended(handle)
                elif not self._order():
                    return

    def _order(self) -> bool:
        body, handles, _, _ = socket.recv_fds(self._sock, LARGEST, 1)
        if not body:
            return False
        order = json.loads(body)
        if "kill" in order:
            for pid, (run, _) in self._runs.items():
                if run == order["kill"]:
                    _kill_group(pid)
            return True
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            _exec(order, handles[0], parent)
        os.close(handles[0])
        watch = os.pidfd_open(pid)
        self._pids[watch] = pid
        self._runs[pid] = (order["run"], order["mark"].encode())
        self._poll.register(watch, select.POLLIN)
        self._say({"run": order["run"], "pid": pid})
        return True

    def _say(self, body: dict[str, int]) -> None:
        """Tell the server something."""
        self._sock.send(json.dumps(body).encode())

    def _ended(self, watch: int) -> None:
        """A program exited: what it left running is killed, then its exit status is told."""
        pid = self._pids.pop(watch)
        self._poll.unregister(watch)
        os.close(watch)
        _kill_group(pid)  # the pid is still ours: the program is not yet waited for
        _, status = os.waitpid(pid, 0)
        run, _ = self._runs.pop(pid)
        self._kill_strays()
        self._say({"run": run, "status": os.waitstatus_to_exitcode(status)})

    def _kill_strays(self) -> None:
        """Kill orphans of runs that have ended, and wait for those that are dead."""
        marks = {mark for _, mark in self._runs.values()}
        for pid in children():
            if pid in self._runs:
                continue
            try:
                if os.waitpid(pid, os.WNOHANG) != (0, 0):
                    continue
                with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123  pathlib doubles the start-up time
                    environ = file.read().split(b"\0")
                if not any(mark in environ for mark in marks):
                    os.kill(pid, signal.SIGKILL)
            except (ProcessLookupError, ChildProcessError, FileNotFoundError, PermissionError):
                continue

    def end(self) -> None:
        """Kill every descendant and wait for all."""
        while True:
            for pid in [*self._runs, *children()]:
                _kill_group(pid)
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                return


def _kill_group(pid: int) -> None:
    """Kill a program and its process group."""
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


def children() -> list[int]:
    """List our direct children, adopted orphans included."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as file:  # noqa: PTH123  pathlib doubles the start-up time
            return [int(pid) for pid in file.read().split()]
    except OSError:
        return []


def main() -> None:
    """Serve the socket whose number is given, in the world whose folder is given, or in the machine's own."""
    handle = int(sys.argv[1])
    os.set_inheritable(handle, False)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    _become_reaper()
    nursery = Nursery(socket.socket(fileno=handle))
    try:
        nursery.serve(sys.argv[2])
    except ConnectionError:
        pass
    finally:
        nursery.end()


if __name__ == "__main__":
    main()
