"""The ledger and the label store in PostgreSQL."""

from .labels import PostgresLabels
from .ledger import PostgresLedger
from .tables import prepare

__all__ = ["PostgresLabels", "PostgresLedger", "prepare"]
