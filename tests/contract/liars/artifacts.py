"""Artifact stores that break one promise each."""

from __future__ import annotations

from cdl.testing.memory import MemoryArtifacts


class NamesByNumber(MemoryArtifacts):
    def keep(self, content, suffix):
        uri = f"memory:///{len(content)}{suffix}"
        self.contents.setdefault(uri, content)
        return uri


class IgnoresTheSuffix(MemoryArtifacts):
    def keep(self, content, suffix):
        return super().keep(content, "")


class CutsContent(MemoryArtifacts):
    def fetch(self, uri, sha256):
        path = super().fetch(uri, sha256)
        path.write_bytes(path.read_bytes()[:-1])
        return path


class KeepsOneThing(MemoryArtifacts):
    def keep(self, content, suffix):
        if len(self.contents) > 0:
            self.contents.clear()
        return super().keep(content, suffix)


class BelievesTheName(MemoryArtifacts):
    def fetch(self, uri, sha256):
        path = self._folder / "believed"
        if sha256 in uri and uri in self.contents:
            path.write_bytes(self.contents[uri])
            return path
        return super().fetch(uri, sha256)


class BelievesTheCaller(MemoryArtifacts):
    def fetch(self, uri, sha256):
        path = self._folder / "believed"
        if sha256 not in uri:
            path.write_bytes(self.contents[uri])
            return path
        return super().fetch(uri, sha256)


class GivesNothing(MemoryArtifacts):
    def fetch(self, uri, sha256):
        if uri not in self.contents:
            return self._folder / "nothing"
        return super().fetch(uri, sha256)


class HashesTheName(MemoryArtifacts):
    def hashes(self, uri):
        for path, sha256 in super().hashes(uri):
            yield path, path.partition(".")[0] if "." in path and "/" not in path and len(path) > 64 else sha256


class RemembersWhatLay(MemoryArtifacts):
    def hashes(self, uri):
        self.seen = getattr(self, "seen", {}) | dict(super().hashes(uri))
        yield from self.seen.items()


class HashesTheTopAlone(MemoryArtifacts):
    def hashes(self, uri):
        yield from ((path, sha256) for path, sha256 in super().hashes(uri) if "/" not in path)


class HashesNeighbours(MemoryArtifacts):
    def hashes(self, uri):
        found = list(super().hashes(uri))
        yield from found if uri in self.contents or not found else [*found, *super().hashes("memory://")]


class SeesNothingAnywhere(MemoryArtifacts):
    def hashes(self, uri):
        yield from super().hashes(uri) if uri.startswith("memory:") else ()


HASHED = "test_a_file_hashes_to_what_lies_there_now"
FOLDER = "test_a_folder_hashes_to_every_file_below_it"
LIARS = {
    HashesTheName: {HASHED},
    RemembersWhatLay: {HASHED},
    HashesTheTopAlone: {FOLDER},
    HashesNeighbours: {FOLDER},
    SeesNothingAnywhere: {"test_a_place_that_cannot_be_seen_from_here_is_not_said_to_be_empty"},
    NamesByNumber: {
        "test_the_uri_is_shelf_digest_and_suffix",
        "test_a_missing_artifact_is_rejected",
        HASHED,
    },
    IgnoresTheSuffix: {"test_the_uri_is_shelf_digest_and_suffix", HASHED},
    CutsContent: {
        "test_what_is_kept_can_be_fetched",
        "test_keeping_twice_changes_nothing",
    },
    KeepsOneThing: {"test_keeping_twice_changes_nothing"},
    BelievesTheName: {"test_a_damaged_artifact_is_rejected"},
    BelievesTheCaller: {"test_an_unexpected_digest_is_rejected"},
    GivesNothing: {"test_a_missing_artifact_is_rejected"},
}
