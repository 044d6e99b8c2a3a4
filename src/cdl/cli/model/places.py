"""Where files of a model lie: what the platform keeps, and buckets of an object store."""

from __future__ import annotations

import hashlib
import shutil
from typing import TYPE_CHECKING

from cdl.ports.errors import Rejected, Unavailable
from cdl.stores.sources import Buckets
from cdl.stores.sources.faults import PlaceError

if TYPE_CHECKING:
    from pathlib import Path

    from cdl.ports.artifacts import ArtifactStore
    from cdl.settings import Settings

SCHEME = "s3://"


def buckets(settings: Settings) -> Buckets:
    """Open the object store that the settings name."""
    return Buckets(settings.s3, settings.s3_access_key, settings.s3_secret_key, settings.s3_region)


class Places:
    """Gives files by address and digest."""

    def __init__(self, artifacts: ArtifactStore, objects: Buckets) -> None:
        """Ask nobody yet."""
        self.artifacts = artifacts
        self._objects = objects

    def copy(self, uri: str, sha256: str, target: Path) -> None:
        """Write the file of an address, checked; an object comes to lie there only whole.

        Raises:
            Rejected: it is not there, not readable with these keys, or has another digest.
            Unavailable: the object store does not answer.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        if not uri.startswith(SCHEME):
            source = self.artifacts.fetch(uri, sha256)
            target.unlink(missing_ok=True)
            shutil.copyfile(source, target)
            return
        partial = target.with_name(f".{target.name}.part")
        try:
            with partial.open("w+b") as file:
                self._objects.fetch(uri, file)
                file.seek(0)
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != sha256:
                raise Rejected(f"artifact {uri} has sha256 {found[:12]}…, expected {sha256[:12]}…")
            partial.replace(target)
        except PlaceError as error:
            told = f"checkpoint: {error}; CDL_S3, CDL_S3_ACCESS_KEY and CDL_S3_SECRET_KEY say where and who"
            raise (Rejected(told) if error.lasting else Unavailable(told)) from error
        finally:
            partial.unlink(missing_ok=True)
