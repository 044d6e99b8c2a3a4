"""A status whose reply was lost may stand there all the same; nobody may take it back. Found by tests/chaos."""

import pytest

from cdl.api.conditions import ConditionType
from cdl.ports.errors import Unavailable
from cdl.testing import builders
from cdl.testing.world import World

ROUNDS = 12


class Lossy:
    """A resource store that writes every status, and loses the reply to one of them."""

    def __init__(self, store, victim):
        self._store, self._victim = store, victim
        self.told = []

    def __getattr__(self, name):
        return getattr(self._store, name)

    def write_status(self, key, status, version):
        self._store.write_status(key, status, version)
        ready = status.condition(ConditionType.READY)
        self.told.append(f"{ready.status}/{ready.reason}")
        if len(self.told) == self._victim:
            raise Unavailable("the reply was lost")


@pytest.mark.parametrize("victim", range(1, 5))
def test_a_lost_reply_never_undoes_what_a_status_says(tmp_path, victim):
    """I6: Ready=True was written, its reply lost, and EngineUnavailable put in its place until the next look."""
    world = World(tmp_path)
    key = world.resources.put(builders.pipeline("news")).key
    store = world.resources = Lossy(world.resources, victim)
    world.restart()
    for _ in range(ROUNDS):
        world.turn(key)
        world.advance()
    assert store.told[-1] == "True/Succeeded"
    assert "Unknown/EngineUnavailable" not in store.told, "every engine answered"
