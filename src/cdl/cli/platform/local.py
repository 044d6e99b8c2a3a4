"""What `cdl run` starts: engines and an operator over the local store, no API server."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from cdl.cli.context import CLUSTER
from cdl.cli.refusal import Refusal
from cdl.embedded.stack import Service, ports

from . import database
from .processes import NAMES, OPERATOR, addresses, engines, is_cluster, one_at_a_time, told_of_engines

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from cdl.settings import Settings


def bring_up(settings: Settings, wished: Mapping[str, int] | None = None) -> tuple[str, ...]:
    """Make sure engines and operator run, leaving alone what runs already; name the processes that had to be started.

    Raises:
        Refusal: one did not come up, or the home folder is in use by `cdl up`.
    """
    with one_at_a_time(settings) as stack:
        if is_cluster(stack.running()):
            message = (
                f"{settings.home} is in use by `cdl up`: `cdl down` ends that, or choose another folder by CDL_HOME"
            )
            raise Refusal(message)
        (settings.home.resolve() / CLUSTER).unlink(missing_ok=True)  # of a cluster that crashed
        at = ports(settings.home.resolve(), NAMES, wished)
        command = (sys.executable, "-m", "cdl.cli.operate")
        started = stack.start((*engines(settings, at), *database.service(settings, at)))
        database.ready(settings, at)
        operator = Service(OPERATOR, command, "operator ready", tuple(told_of_engines(settings, at).items()))
        return started + stack.start((operator,))


def bring_up_engines(settings: Settings, names: Collection[str]) -> Settings:
    """Make sure that these engines run in a home folder, and nothing else is started; say where they answer.

    Raises:
        Refusal: one did not come up.
    """
    with one_at_a_time(settings) as stack:
        at = ports(settings.home.resolve(), NAMES)
        stack.start([service for service in engines(settings, at) if service.name in names])
    pachd, determined, seldon = addresses(at)
    return settings.model_copy(update={"pachd": pachd, "determined": determined, "seldon": seldon, "kubeconfig": None})
