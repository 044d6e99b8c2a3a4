"""Embedded Seldons that a real API server tells, and what kubectl sees of their objects."""

from __future__ import annotations

import json
from contextlib import contextmanager

import yaml

from tests.wire.seldon.engine import Engine
from tests.wire.seldon.engine import eventually as within

PATIENCE = 90
"""Seconds: an API server, its controllers and model servers share two cores with whoever else is here."""
KIND = "seldondeployments.machinelearning.seldon.io"


def eventually(claim):
    """Wait until a claim holds; gives what it gave."""
    return within(claim, PATIENCE)


class Seldon(Engine):
    """One embedded Seldon on one folder, told by an API server."""

    def __init__(self, folder, kubeconfig, **options):
        super().__init__(folder)
        self.kubeconfig, self.more = kubeconfig, options

    def command(self):
        extra = [word for name, value in self.more.items() for word in (f"--{name.replace('_', '-')}", value)]
        return [*super().command(), "--kubeconfig", str(self.kubeconfig), *extra]

    def ready(self):
        return self.http.get("/readyz").status_code == 200

    def answer(self, namespace, name, path="/x"):
        return self.router.get(f"/seldon/{namespace}/{name}{path}")


class Kubernetes:
    """SeldonDeployments in a namespace, as kubectl sees them."""

    def __init__(self, cluster, namespace):
        self.cluster, self.namespace = cluster, namespace

    def apply(self, document):
        meta = {**document["metadata"], "namespace": self.namespace}
        return self.cluster.apply(yaml.safe_dump({**document, "metadata": meta}))

    def get(self, name):
        return json.loads(self.cluster.kubectl("-n", self.namespace, "get", KIND, name, "-o", "json"))

    def delete(self, name, *options):
        return self.cluster.kubectl("-n", self.namespace, "delete", KIND, name, *options)

    def until(self, name, state="Available"):
        """Wait until the newest generation of an object has this state."""

        def there():
            found = self.get(name)
            status = found.get("status", {})
            is_new = status.get("observedGeneration") == found["metadata"]["generation"]
            return found if is_new and status["state"] == state else None

        return eventually(there)


@contextmanager
def silence(cluster):
    """No API server answers meanwhile, however this ends."""
    cluster.kill("kube-apiserver")
    try:
        yield
    finally:
        cluster.start()
