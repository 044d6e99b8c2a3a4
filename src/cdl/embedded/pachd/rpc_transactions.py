"""Handlers for transactions."""

from cdl.embedded.pachd import wire
from cdl.embedded.pachd.door import Handlers
from cdl.embedded.pachd.transactions import Desk
from cdl.embedded.pachd.wire import Msg


class Transactions:
    """Answers about transactions."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def handlers(self) -> Handlers:
        """List what is answered here."""
        return {
            f"transaction_v2.API/{name}": getattr(self, name)
            for name in (
                "BatchTransaction",
                "StartTransaction",
                "InspectTransaction",
                "DeleteTransaction",
                "ListTransaction",
                "FinishTransaction",
                "DeleteAll",
            )
        }

    async def BatchTransaction(self, request: Msg) -> Msg:
        """Run several requests as one transaction."""
        return self._desk.batch(list(request.requests))

    async def StartTransaction(self, _request: Msg) -> Msg:
        """Open a transaction."""
        return self._desk.start()

    async def InspectTransaction(self, request: Msg) -> Msg:
        """Describe a transaction."""
        return self._desk.inspect(request.transaction.id)

    async def DeleteTransaction(self, request: Msg) -> Msg:
        """Forget a transaction."""
        self._desk.delete(request.transaction.id)
        return wire.Empty()

    async def ListTransaction(self, _request: Msg) -> Msg:
        """Describe every open transaction."""
        return wire.transaction.TransactionInfos(transaction_info=self._desk.every())

    async def FinishTransaction(self, request: Msg) -> Msg:
        """Run a transaction."""
        return self._desk.finish(request.transaction.id)

    async def DeleteAll(self, _request: Msg) -> Msg:
        """Forget every transaction."""
        self._desk.delete_all()
        return wire.Empty()
