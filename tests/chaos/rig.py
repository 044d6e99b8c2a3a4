"""The whole platform on this machine with a proxy before every door, and the means to look past them."""

from __future__ import annotations

import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.chaos import words
from tests.chaos.calls import Gate
from tests.chaos.certificates import Authority, entrance, redirected
from tests.chaos.eyes import Eyes
from tests.chaos.grpc_proxy import GrpcProxy
from tests.chaos.http_proxy import HttpProxy
from tests.chaos.kube import Kube, Recorder
from tests.chaos.materials import Shelf
from tests.chaos.operator_process import Operator
from tests.chaos.servers import ROOT, Servers
from tests.chaos.shop import Shop
from tests.chaos.threads import Loop

if TYPE_CHECKING:
    from collections.abc import Iterator

SYSTEM = "cdl-system"
SERVICE_ACCOUNT = "cdl-operator"
QUICK = {"CDL_SLOTS": "2", "CDL_METRICS_PORT": "0", "CDL_LOG_FORMAT": "text", "OMP_NUM_THREADS": "1"}


class Rig:
    """Everything a scenario needs."""

    def __init__(self, home: Path, cluster: Any, parts: ExitStack) -> None:
        """Bring the engines and proxies up; the cluster is up, the operator is not yet."""
        self.home, self.cluster = home, cluster
        self.gate = Gate()
        self.servers = Servers(home)
        self.shop = parts.enter_context(Shop())
        self.loop = Loop()
        parts.callback(self.loop.close)
        parts.callback(self.servers.stop)
        self.servers.start()
        self.proxies = self._proxies(entrance(self._identity()))
        for proxy in (*self.proxies.values(), self.pachd):
            self.loop.run(proxy.start())
            parts.callback(lambda p=proxy: self.loop.run(p.stop()))
        self.kube = Kube(cluster.kubeconfig)
        parts.callback(self.kube.close)
        self.eyes = Eyes(self.servers)
        parts.callback(self.eyes.close)
        self.recorder = parts.enter_context(Recorder(self.kube))
        self.shelf = Shelf(home)
        self.operator = Operator(self._environment(), home / "operator.log")
        self.gate.kill = self.operator.kill
        self.gate.is_operator = self.operator.owns
        parts.callback(self.operator.stop)

    def source(self, name: str) -> str:
        """Where the archive of a DataPipeline is fetched from: through a proxy."""
        return f"http://127.0.0.1:{self.proxies['sources'].listening}/{name}.tar"

    def kill(self) -> None:
        """Kill the operator at no call in particular."""
        self.gate.die()

    def _identity(self) -> Path:
        return Path(self.cluster.account(SYSTEM, SERVICE_ACCOUNT))

    def _proxies(self, api: Any) -> dict[str, HttpProxy]:
        self._authority = Authority(self.home / "chaos-ca", "chaos")
        at, gate = self.servers.at, self.gate
        self.pachd = GrpcProxy("pachd", gate, f"127.0.0.1:{at['pachd']}")
        return {
            "api": HttpProxy(
                "api",
                gate,
                api.host,
                api.port,
                upstream_tls=api.tls,
                own_tls=self._authority.server(),
                describe=words.of_kubernetes,
            ),
            "determined": HttpProxy("determined", gate, "127.0.0.1", at["determined"], describe=words.of_determined),
            "seldon": HttpProxy("seldon", gate, "127.0.0.1", at["seldon"], describe=words.of_kubernetes),
            "sources": HttpProxy("sources", gate, "127.0.0.1", self.shop.port),
        }

    def _environment(self) -> dict[str, str]:
        api = f"https://127.0.0.1:{self.proxies['api'].listening}"
        kubeconfig = redirected(self._identity(), self.home / "operator.kubeconfig", api, self._authority.certificate)
        return {
            **QUICK,
            "CDL_HOME": str(self.home),
            "CDL_KUBECONFIG": str(kubeconfig),
            "CDL_PACHD": f"grpc://127.0.0.1:{self.pachd.listening}",
            "CDL_DETERMINED": f"http://127.0.0.1:{self.proxies['determined'].listening}",
            "CDL_SELDON": f"http://127.0.0.1:{self.proxies['seldon'].listening}",
            "CDL_PROGRAMS": str(ROOT / "pipelines"),
            "CDL_LEASE_NAMESPACE": SYSTEM,
        }


@contextmanager
def rig(home: Path, cluster: Any) -> Iterator[Rig]:
    """Bring everything up on a running cluster with cdl's kinds and rights; end it all afterwards."""
    with ExitStack() as parts:
        yield Rig(home, cluster, parts)


def rights(cluster: Any) -> None:
    """Give the operator's service account what the chart gives it, and nothing more."""
    import yaml

    from cdl.kube import rbac

    there = cluster.run("get", "namespace", SYSTEM)
    if there.returncode != 0:
        cluster.kubectl("create", "namespace", SYSTEM)
    cluster.apply(yaml.safe_dump_all(rbac.documents(SYSTEM)))


def say(text: str) -> None:
    """Tell whoever watches."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
