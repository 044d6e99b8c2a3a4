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


LIARS = {
    NamesByNumber: {
        "test_the_uri_is_shelf_digest_and_suffix",
        "test_a_missing_artifact_is_rejected",
    },
    IgnoresTheSuffix: {"test_the_uri_is_shelf_digest_and_suffix"},
    CutsContent: {
        "test_what_is_kept_can_be_fetched",
        "test_keeping_twice_changes_nothing",
    },
    KeepsOneThing: {"test_keeping_twice_changes_nothing"},
    BelievesTheName: {"test_a_damaged_artifact_is_rejected"},
    BelievesTheCaller: {"test_an_unexpected_digest_is_rejected"},
    GivesNothing: {"test_a_missing_artifact_is_rejected"},
}
