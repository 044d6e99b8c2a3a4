"""The resource contract, kept by the SQLite store."""

from __future__ import annotations

import pytest

from cdl.local import LocalStore
from cdl.testing.resources_contract import ResourceStoreContract


class TestLocalStore(ResourceStoreContract):
    @pytest.fixture
    def engine(self, tmp_path):
        store = LocalStore(tmp_path / "resources.db")
        yield store
        store.close()

    def apply(self, engine, resource):
        engine.apply(resource.plain())

    def delete(self, engine, key):
        engine.delete(key)
