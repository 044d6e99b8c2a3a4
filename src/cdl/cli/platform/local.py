"""What `cdl run` starts: engines and an operator over the local store, no API server."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from cdl.cli.context import CLUSTER
from cdl.cli.refusal import Refusal
from cdl.embedded.stack import Service, ports

from . import database, forge, labelstudio, vault
from .processes import (
    NAMES,
    OPERATOR,
    addresses,
    engines,
    hidden,
    is_cluster,
    one_at_a_time,
    ports_of,
    tell,
    told_of_engines,
    told_of_people,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from cdl.settings import Settings

    Say = Callable[[str], None]


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
        at = ports_of(settings, wished)
        command = (sys.executable, "-m", "cdl.cli.operate")
        people = (*forge.service(settings, at), *labelstudio.service(settings, at, tell))
        started = stack.start((*engines(settings, at), *database.service(settings, at), *people))
        database.ready(settings, at)
        told = told_of_engines(settings, at) | told_of_people(settings, at)
        operator = Service(OPERATOR, command, "operator ready", tuple(told.items()), hidden(settings))
        return started + stack.start((operator, *forge.followers(settings, at, told)))


def bring_up_forge(settings: Settings, port: int | None = None) -> str:
    """Make sure the forge of a home folder runs, the first time with users and tokens made for it; give its address.

    Raises:
        Refusal: it did not come up, or the port is taken.
    """
    with one_at_a_time(settings) as stack:
        forge.found(settings)
        at = ports_of(settings, {forge.FORGE: port} if port else None)
        stack.start(forge.service(settings, at))
    return forge.address(at)


def bring_up_label_studio(settings: Settings, say: Say, port: int | None = None) -> str:
    """Make sure the Label Studio of a home folder runs, installing it and making its login first; give its address.

    Raises:
        Refusal: it cannot be installed, did not come up, or the port is taken.
    """
    with one_at_a_time(settings) as stack:
        labelstudio.found(settings, say)
        at = ports_of(settings, {labelstudio.LABEL_STUDIO: port} if port else None)
        stack.start(labelstudio.service(settings, at, say))
    return labelstudio.address(at)


def follow(settings: Settings, wanted: forge.Followed) -> str:
    """Have a project on the running forge, and note that it is followed; `bring_up` then sees to it.

    Raises:
        Refusal: the forge does not want it, or another project goes by its name.
    """
    with one_at_a_time(settings):
        at = ports_of(settings)
        url = forge.project_of(settings, at, wanted.project)
        forge.remember(settings, wanted)
        return url


def bring_up_engines(settings: Settings, names: Collection[str]) -> Settings:
    """Make sure that these engines run in a home folder, and nothing else is started; say where they answer.

    Raises:
        Refusal: one did not come up.
    """
    with one_at_a_time(settings) as stack:
        at = ports(settings.home.resolve(), NAMES)
        stack.start([service for service in engines(settings, at) if service.name in names])
    pachd, determined, seldon = addresses(at)
    known = {"pachd": pachd, "determined": determined, "seldon": seldon, "kubeconfig": None}
    return vault.opened(settings).model_copy(update=known)
