"""What every ArtifactStore must keep; subclass it, give it a store, and run it with pytest."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from cdl.ports.errors import Rejected, Unavailable

if TYPE_CHECKING:
    from cdl.ports.artifacts import ArtifactStore

CONTENT = b"weights and code"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class ArtifactStoreContract:
    """One test a promise of `cdl.ports.artifacts`."""

    @pytest.fixture
    def engine(self) -> ArtifactStore:
        """Give the store under test; a subclass knows which."""
        raise NotImplementedError

    def damage(self, engine: ArtifactStore, uri: str) -> None:
        """Change the content that lies at a URI behind the store's back."""
        raise NotImplementedError

    def lose(self, engine: ArtifactStore, uri: str) -> None:
        """Remove what lies at a URI behind the store's back."""
        raise NotImplementedError

    def lay(self, engine: ArtifactStore, files: dict[str, bytes]) -> str:
        """Lay files into a folder that the store did not write, and give its URI."""
        raise NotImplementedError

    def test_the_uri_is_shelf_digest_and_suffix(self, engine: ArtifactStore) -> None:
        """So that the name itself can be checked, and said before anything is kept."""
        assert engine.keep(CONTENT, ".tar.gz") == f"{engine.shelf}{SHA256}.tar.gz"

    def test_what_is_kept_can_be_fetched(self, engine: ArtifactStore) -> None:
        """As a local file with the very same bytes."""
        assert engine.fetch(engine.keep(CONTENT, ".json"), SHA256).read_bytes() == CONTENT

    def test_keeping_twice_changes_nothing(self, engine: ArtifactStore) -> None:
        """The URI is the same and the content is still there; other content has another URI."""
        uri = engine.keep(CONTENT, ".json")
        assert engine.keep(CONTENT, ".json") == uri
        assert engine.keep(CONTENT + b".", ".json") != uri
        assert engine.fetch(uri, SHA256).read_bytes() == CONTENT

    def test_a_damaged_artifact_is_rejected(self, engine: ArtifactStore) -> None:
        """Nobody runs code that is not what was kept."""
        uri = engine.keep(CONTENT, ".json")
        self.damage(engine, uri)
        with pytest.raises(Rejected):
            engine.fetch(uri, SHA256)

    def test_an_unexpected_digest_is_rejected(self, engine: ArtifactStore) -> None:
        """What lies there is whole, but not what was asked for."""
        with pytest.raises(Rejected):
            engine.fetch(engine.keep(CONTENT, ".json"), hashlib.sha256(b"other").hexdigest())

    def test_a_missing_artifact_is_rejected(self, engine: ArtifactStore) -> None:
        """With a sentence that names it."""
        uri = engine.keep(CONTENT, ".json")
        self.lose(engine, uri)
        with pytest.raises(Rejected, match=SHA256[:12]):
            engine.fetch(uri, SHA256)

    def test_a_file_hashes_to_what_lies_there_now(self, engine: ArtifactStore) -> None:
        """Whatever its name says, and nothing is given where nothing lies any more."""
        uri = engine.keep(CONTENT, ".json")
        assert list(engine.hashes(uri)) == [(f"{SHA256}.json", SHA256)]
        self.damage(engine, uri)
        ((_, damaged),) = engine.hashes(uri)
        assert damaged != SHA256
        self.lose(engine, uri)
        assert list(engine.hashes(uri)) == []

    def test_a_folder_hashes_to_every_file_below_it(self, engine: ArtifactStore) -> None:
        """Each by its path, and none of its neighbours."""
        engine.keep(CONTENT, ".json")
        uri = self.lay(engine, {"weights/layer.h5": CONTENT, "notes.json": b"{}"})
        empty = hashlib.sha256(b"{}").hexdigest()
        assert dict(engine.hashes(uri)) == {"weights/layer.h5": SHA256, "notes.json": empty}

    def test_a_place_that_cannot_be_seen_from_here_is_not_said_to_be_empty(self, engine: ArtifactStore) -> None:
        """Another kind of storage may well hold it."""
        with pytest.raises(Unavailable):
            list(engine.hashes("gs://bucket/checkpoint"))
