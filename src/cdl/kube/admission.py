"""The admission server: kopf answers the API server's questions with what `review` says.

It needs the API once, at its start, to learn that the kinds are there. After that it watches nothing and writes
nothing, so an outage of the API server does not concern it, and any number of replicas may run at once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import kopf

from cdl.api.meta import API_VERSION, GROUP, VERSION
from cdl.ports.errors import PortError, Unavailable

from .answers import guarded, judged
from .decisions import refusal, rights, signed
from .webhooks import DECIDE, MUTATE, SIGN, VALIDATE

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator
    from pathlib import Path

    from .client import Api

PAUSE_SECONDS = 1.0
ALONE = {VALIDATE: judged, MUTATE: guarded}
"""The questions whose answer needs nothing but the document that is asked about."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Door:
    """Where the API server knocks, and what proves that it knocks at the right place."""

    address: str
    port: int
    certificate: Path
    key: Path
    """Both are read again when they change on disk."""


def serve(api: Api, door: Door, *, probe: str = "") -> None:
    """Answer until a signal ends the process; with `probe`, an address as in http://0.0.0.0:8080/healthz, say so there.

    Raises:
        NotPermitted: the API server does not know us.
    """
    _wait_for_the_kinds(api)
    registry, settings = kopf.OperatorRegistry(), kopf.OperatorSettings()
    register(registry, api)
    kopf.on.login(registry=registry)(lambda **_: connection(api))
    configure(settings, door)
    kopf.run(
        registry=registry,
        settings=settings,
        memories=_Forgetful(),  # type: ignore[arg-type]  # what kopf calls of it is there
        clusterwide=True,
        standalone=True,
        liveness_endpoint=probe or None,
    )


def configure(settings: kopf.OperatorSettings, door: Door) -> None:
    """Have kopf listen at a door, and do nothing besides."""
    settings.admission.server = _Server(
        addr=door.address, port=door.port, certfile=str(door.certificate), pkeyfile=str(door.key)
    )
    settings.admission.managed = None  # the configurations are applied, see `webhooks`
    settings.scanning.disabled = True  # no watch that an outage could end, and no rights for one
    settings.posting.enabled = False
    settings.peering.standalone = True


def register(registry: kopf.OperatorRegistry, api: Api) -> None:
    """Name what answers which question; those in `ALONE` are answered without kopf's handlers."""
    kopf.on.validate(GROUP, VERSION, "releases", id=DECIDE, operations=["UPDATE"], registry=registry)(_decide(api))
    kopf.on.mutate(GROUP, VERSION, "releases", id=SIGN, operations=["UPDATE"], registry=registry)(sign)


def _decide(api: Api) -> Callable[..., Coroutine[None, None, None]]:
    """Make the handler that asks the API server about rights."""

    async def decide(**asked: Any) -> None:  # noqa: ANN401 - kopf's arguments are many
        old, new, who = asked["old"], asked["new"], asked["userinfo"]
        if old is None or new is None:
            return
        may = rights(api, who, dict(new))
        try:
            refused = await asyncio.to_thread(refusal, dict(old), dict(new), str(who.get("username", "")), may)
        except PortError as error:
            raise kopf.AdmissionError(f"who may decide cannot be found out: {error}", code=503) from error
        if refused:
            raise kopf.AdmissionError(refused, code=403)

    return decide


async def sign(*, patch: kopf.Patch, **asked: Any) -> None:  # noqa: ANN401 - kopf's arguments are many
    """Write the name and the time of a decision over whatever was sent."""
    old, new = asked["old"], asked["new"]
    if old is None or new is None:
        return
    user, now = str(asked["userinfo"].get("username", "")), datetime.now(UTC).isoformat()
    notes = signed(dict(old), dict(new), user, now)
    if notes:
        patch.metadata["annotations"] = notes


def connection(api: Api) -> kopf.ConnectionInfo:
    """Tell kopf how to reach the API server that a client of ours reaches."""
    known = api.configuration
    bearer = known.auth_settings().get("BearerToken", {}).get("value")  # a service account's, inside a cluster
    scheme, _, token = str(bearer or "").rpartition(" ")
    return kopf.ConnectionInfo(
        server=known.host,
        ca_path=known.ssl_ca_cert,
        insecure=not known.verify_ssl,
        username=known.username or None,
        password=known.password or None,
        scheme=(scheme or "Bearer") if token else None,
        token=token or None,
        certificate_path=known.cert_file,
        private_key_path=known.key_file,
    )


def _wait_for_the_kinds(api: Api) -> None:
    """Kopf looks once which kinds there are; so they must be there."""
    said = ""
    while True:
        try:
            if api.get(f"/apis/{API_VERSION}") is not None:
                return
            reason = f"the API server does not know {API_VERSION} yet"
        except Unavailable as error:
            reason = str(error)
        if reason != said:
            log.warning("%s; waiting", reason)
            said = reason
        time.sleep(PAUSE_SECONDS)


class _Server(kopf.WebhookServer):
    """Kopf's server: the connections, the certificate and its renewal. Two of the questions do not go further."""

    def __call__(self, fn: Any) -> Any:  # noqa: ANN401 - kopf's types of it are not public
        async def answer(request: Any, *, webhook: str | None = None, **rest: Any) -> Any:  # noqa: ANN401 - the same
            alone = ALONE.get(webhook or "")
            return await fn(request, webhook=webhook, **rest) if alone is None else alone(request)

        return super().__call__(answer)


class _Forgetful:
    """Kopf's memory of resources: none. Its own would grow by each resource that was ever updated, for good."""

    async def recall_memo(self, *_: object, **__: object) -> kopf.Memo:
        return kopf.Memo()

    def iter_all_daemon_memories(self) -> Iterator[object]:
        return iter(())

    def iter_all_memories(self) -> Iterable[object]:
        return ()
