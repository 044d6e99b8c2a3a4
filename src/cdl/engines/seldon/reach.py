"""Reach a real API server: the one a kubeconfig names, the one we run in, or the user's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubernetes import client, config

from cdl.ports.errors import Rejected

if TYPE_CHECKING:
    from pathlib import Path


def reached(kubeconfig: Path | None) -> client.ApiClient:
    """Make a client from a kubeconfig; without one from where this process runs, else from kubectl's default.

    Raises:
        Rejected: there is no such file, or it names no cluster.
    """
    made: Any = client.Configuration()
    try:
        if kubeconfig is not None:
            config.load_kube_config(config_file=str(kubeconfig), client_configuration=made)
        else:
            _of_this_place(made)
    except (config.ConfigException, OSError) as error:
        message = f"kubeconfig {kubeconfig or '(the default one)'} cannot be used: {error}"
        raise Rejected(message) from error
    made.retries = False  # the loop asks again, and knows when
    return client.ApiClient(made)


def _of_this_place(made: Any) -> None:  # noqa: ANN401 - the library has no types
    try:
        config.load_incluster_config(client_configuration=made)
    except config.ConfigException:
        config.load_kube_config(client_configuration=made)
