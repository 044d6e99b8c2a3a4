"""Who listens to `cdl gitops`: counts where there is a page for them, events where there is an API server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cdl import compose

if TYPE_CHECKING:
    from cdl.kube.following import Following
    from cdl.settings import Settings


def listener(settings: Settings) -> Following | None:
    """Give who listens; None: there is nowhere to say anything."""
    in_cluster = settings.kubeconfig is not None or settings.in_cluster
    if not in_cluster and not settings.metrics_port:
        return None
    from cdl.kube.following import Following

    made = Following()
    if in_cluster:
        from cdl.kube.client import Api
        from cdl.kube.recorder import Recorder

        api = Api.connect(settings.kubeconfig)
        recorder = Recorder(api, compose.GITOPS, dropped=made.event_dropped, hidden=settings.secrets)
        made.posts(recorder.record, recorder.close)
    return made
