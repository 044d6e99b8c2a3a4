"""The three embedded engines on folders and ports of their own, as `cdl up` starts them."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from cdl.embedded.stack import Service, Stack, ports

ROOT = Path(__file__).parents[2]
ENGINES = ("pachd", "determined", "seldon")
IMAGE = "cdl/serving:0.1.0"
CAREFUL = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class Servers:
    """Engines below one home folder."""

    def __init__(self, home: Path, slots: int = 2) -> None:
        """Choose ports; nothing is started yet."""
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        self.stack = Stack(home)
        self.at = ports(home, (*ENGINES, "seldon-router"))
        self._slots = slots

    def start(self, *names: str) -> None:
        """Make sure that the engines run; all of them when none is named."""
        services = self._services()
        self.stack.start([services[name] for name in names or ENGINES])

    def pid(self, name: str) -> int:
        """The process of an engine."""
        return int(json.loads((self.home / "processes" / f"{name}.json").read_text())["pid"])

    def stop(self) -> None:
        """End all of them."""
        self.stack.stop()

    def _services(self) -> dict[str, Service]:
        more = {
            "pachd": (
                *("--allow-file-root", str(self.home / "sources")),
                *("--map", f"/opt/cdl/pipelines={ROOT / 'pipelines'}"),
            ),
            "determined": ("--slots", str(self._slots)),
            "seldon": (
                *("--router-port", str(self.at["seldon-router"])),
                *("--image", f"{IMAGE}={sys.executable} -m cdl.serving"),
            ),
        }
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        told = (*CAREFUL.items(), ("PATH", path))
        return {name: Service(name, self._command(name, more[name]), f"{name} ready", told) for name in ENGINES}

    def _command(self, name: str, more: tuple[str, ...]) -> tuple[str, ...]:
        module, data, port = f"cdl.embedded.{name}", str(self.home / name), str(self.at[name])
        return (sys.executable, "-m", module, "--data", data, "--port", port, *more)
