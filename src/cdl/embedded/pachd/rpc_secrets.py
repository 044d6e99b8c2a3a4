"""Handlers for secrets."""

from cdl.embedded.pachd import secrets, views, wire
from cdl.embedded.pachd.door import Handlers
from cdl.embedded.pachd.engine import Engine
from cdl.embedded.pachd.secrets import Secret
from cdl.embedded.pachd.wire import Msg


class Secrets:
    """Answers about secrets; what they hold never leaves."""

    def __init__(self, engine: Engine) -> None:
        self._store = engine.store

    def handlers(self) -> Handlers:
        """List what is answered here."""
        return {
            f"pps_v2.API/{name}": getattr(self, name)
            for name in ("CreateSecret", "InspectSecret", "ListSecret", "DeleteSecret")
        }

    async def CreateSecret(self, request: Msg) -> Msg:
        """Keep a secret."""
        with self._store.write() as db:
            secrets.create(db, request.file)
        return wire.Empty()

    async def InspectSecret(self, request: Msg) -> Msg:
        """Tell that a secret is there, and since when."""
        return _info(secrets.find(self._store.db, request.secret.name))

    async def ListSecret(self, _request: Msg) -> Msg:
        """List the secrets."""
        return wire.pps.SecretInfos(secret_info=[_info(row) for row in secrets.every(self._store.db)])

    async def DeleteSecret(self, request: Msg) -> Msg:
        """Remove a secret."""
        with self._store.write() as db:
            secrets.delete(db, request.secret.name)
        return wire.Empty()


def _info(row: Secret) -> Msg:
    return wire.pps.SecretInfo(secret={"name": row.name}, type=row.type, creation_timestamp=views.stamp(row.created))
