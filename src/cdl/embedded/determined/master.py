"""The parts of a running master, put together once."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from cdl.embedded.determined.accounts import Accounts
from cdl.embedded.determined.config import Site
from cdl.embedded.determined.container import Place
from cdl.embedded.determined.engine import Engine
from cdl.embedded.determined.fields import Tree
from cdl.embedded.determined.intake import Intake
from cdl.embedded.determined.journal import Journal
from cdl.embedded.determined.ledger import Ledger
from cdl.embedded.determined.lifecycle import Lifecycle
from cdl.embedded.determined.records import Project
from cdl.embedded.determined.store import Store
from cdl.embedded.determined.webhooks import Shipper

VERSION = "0.38.1"


@dataclass(frozen=True)
class Master:
    """What the endpoints work with."""

    store: Store
    ledger: Ledger
    lifecycle: Lifecycle
    engine: Engine
    intake: Intake
    accounts: Accounts
    place: Place
    shipper: Shipper
    journal: Journal

    @property
    def default_storage(self) -> Tree:
        """Where checkpoints go when a config does not say."""
        return {"type": "directory", "container_path": str(self.place.data / "checkpoints")}

    def site(self, now: int, name: str, home: Project | None = None) -> Site:
        """Return what this master fills into configs; a workspace may have a storage of its own."""
        own = self.ledger.workspace(home.workspace_id).storage if home else {}
        return Site(own or self.default_storage, now, name)


def build(data: Path, url: str, slots: int) -> Master:
    """Open the data folder and put a master together; nothing runs yet."""
    for name in ("checkpoints", "logs", "runs", "home"):
        (data / name).mkdir(parents=True, exist_ok=True)
    store = Store(data / "master.db")
    place = Place(data, url, _cluster_id(store))
    ledger = Ledger(store)
    engine = Engine(ledger, place, slots)
    intake = Intake(ledger, engine.lifecycle)
    return Master(store, ledger, engine.lifecycle, engine, intake, Accounts(store), place, Shipper(store), Journal())


def _cluster_id(store: Store) -> str:
    store.run("INSERT OR IGNORE INTO settings (name, value) VALUES ('cluster_id', ?)", secrets.token_hex(16))
    row = store.row("SELECT value FROM settings WHERE name = 'cluster_id'")
    return str(row["value"]) if row else ""
