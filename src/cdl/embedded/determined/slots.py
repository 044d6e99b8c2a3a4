"""Which slots are closed for new trials; a restart of the master does not open them."""

from cdl.embedded.determined.store import Store, dump, load

SETTING = "closed_slots"


class Slots:
    """The slots of this machine, numbered from 0."""

    def __init__(self, store: Store, count: int) -> None:
        """Remember in the store what is closed."""
        self.store = store
        self.count = count

    @property
    def closed(self) -> dict[int, bool]:
        """The closed slots; True for those whose trials may finish."""
        row = self.store.row("SELECT value FROM settings WHERE name = ?", SETTING)
        return {int(slot): bool(drain) for slot, drain in load(str(row["value"])).items()} if row else {}

    @property
    def open(self) -> list[int]:
        """The slots that new trials may take."""
        closed = self.closed
        return [slot for slot in range(self.count) if slot not in closed]

    def close(self, slots: list[int], *, drain: bool) -> None:
        """Let no new trial onto these slots."""
        self._keep(self.closed | dict.fromkeys(slots, drain))

    def reopen(self, slots: list[int]) -> None:
        """Let trials onto these slots again."""
        self._keep({slot: drain for slot, drain in self.closed.items() if slot not in slots})

    def _keep(self, closed: dict[int, bool]) -> None:
        written = dump({str(slot): drain for slot, drain in closed.items()})
        self.store.run("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", SETTING, written)
