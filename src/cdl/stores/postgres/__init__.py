"""The ledger in PostgreSQL."""

from .ledger import PostgresLedger
from .tables import prepare

__all__ = ["PostgresLedger", "prepare"]
