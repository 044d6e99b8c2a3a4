"""Loaded by every Python process of a trial, before anything else.

The harness of determined 0.38.1 is made for a container: it writes to /run/determined, and
parts of it import packages that need not be here. This folder is on PYTHONPATH of trials
only; it repoints those paths to the allocation's own folder and offers stand-ins for what is
missing. No file of the library is touched. It knows private names of that one version.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import time
import types
from collections.abc import Callable, Sequence
from pathlib import Path

FOLDER = os.environ.get("CDL_ALLOCATION_DIR", "")
CONTAINER = "/run/determined"
TMP_LINK = "/tmp/tensorboard"  # noqa: S108 - the name the harness insists on
KERAS_STUBS = (
    "keras.src.saving.legacy",
    "keras.src.saving.legacy.hdf5_format",
    "keras.src.utils.mode_keys",
)
EVENT_WRITERS = {
    # Both real ones import a whole framework to append a few bytes to a file.
    "determined.tensorboard.metric_writers.tensorflow": "cdl_event_files",
    "torch.utils.tensorboard": "cdl_event_files",
}


def _here(path: str) -> str:
    return path.replace(CONTAINER, FOLDER, 1)


def _repoint_info(module: types.ModuleType) -> None:
    """Change the default path arguments of the four info files."""
    for name in ("RendezvousInfo", "TrialInfo", "ResourcesInfo", "ClusterInfo"):
        kind = getattr(module, name)
        for method in (kind._to_file, kind._from_file.__func__):
            method.__defaults__ = tuple(map(_here, method.__defaults__))


def _repoint_constants(module: types.ModuleType) -> None:
    for name in ("CONTAINER_STDOUT", "CONTAINER_STDERR", "MANAGED_TRAINING_MODEL_COPY"):
        setattr(module, name, _here(getattr(module, name)))


def _mend_symlink(module: types.ModuleType) -> None:
    """Make the one shared link survive trials that start at the same moment."""
    original = module.force_create_symlink

    def force_create_symlink(src: str, dst: str) -> None:
        if dst != TMP_LINK:
            original(src, dst)
            return
        Path(src).mkdir(parents=True, exist_ok=True)
        mine = Path(f"{dst}-{os.getpid()}")
        mine.symlink_to(src)
        try:
            mine.replace(dst)
        except OSError:  # somebody keeps a real folder there; it is not ours to remove
            mine.unlink()

    module.force_create_symlink = force_create_symlink  # type: ignore[attr-defined]  # its own name


def _note_launches(event: str, arguments: tuple[object, ...]) -> None:
    """Write down when the harness last started a process: the user's entrypoint."""
    if event == "subprocess.Popen" and arguments:
        Path(FOLDER, "launched").write_text(repr(time.time()))


PATCHES: dict[str, Callable[[types.ModuleType], None]] = {
    "determined._info": _repoint_info,
    "determined.constants": _repoint_constants,
    "determined.util": _mend_symlink,
}


class _Patching(importlib.abc.Loader):
    """Run the real loader, then the patch."""

    def __init__(self, real: importlib.abc.Loader, patch: Callable[[types.ModuleType], None]) -> None:
        self._real, self._patch = real, patch

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        return self._real.create_module(spec)

    def exec_module(self, module: types.ModuleType) -> None:
        self._real.exec_module(module)
        self._patch(module)


class _First(importlib.abc.MetaPathFinder):
    """Asked before the usual finders: patched modules, and writers that need no framework."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name in PATCHES:
            spec = importlib.machinery.PathFinder.find_spec(name, path, target)
            if spec and spec.loader:
                spec.loader = _Patching(spec.loader, PATCHES[name])
            return spec
        if name in EVENT_WRITERS and _writer_wanted(name):
            source = Path(__file__).with_name(f"{EVENT_WRITERS[name]}.py")
            return importlib.util.spec_from_file_location(name, source)
        return None


class _Last(importlib.abc.MetaPathFinder):
    """Asked when nobody else has it: empty stand-ins for what deprecated code imports."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        del path, target
        if name in KERAS_STUBS or name == "tensorboard.compat.notf":
            return importlib.machinery.ModuleSpec(name, _Empty(), is_package=True)
        return None


class _Empty(importlib.abc.Loader):
    """A module that has every name, each None."""

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType | None:
        return None

    def exec_module(self, module: types.ModuleType) -> None:
        if module.__name__ in KERAS_STUBS:
            module.__getattr__ = _nothing  # type: ignore[method-assign]  # PEP 562


def _nothing(name: str) -> None:
    if name.startswith("__"):
        raise AttributeError(name)


def _writer_wanted(name: str) -> bool:
    """Keep the real writer where it costs nothing more, or where its package is installed."""
    if name.startswith("determined."):
        return "tensorflow" not in sys.modules
    return importlib.machinery.PathFinder.find_spec("tensorboard") is None


def _launches() -> bool:
    """Say whether this process is the one that starts the user's entrypoint."""
    words = sys.orig_argv[1:3]
    return words == ["-m", "determined.exec.launch"] or words[:1] == [str(Path(__file__).with_name("cdl_container.py"))]


if FOLDER:
    sys.meta_path.insert(0, _First())
    sys.meta_path.append(_Last())
    if _launches():
        sys.addaudithook(_note_launches)
