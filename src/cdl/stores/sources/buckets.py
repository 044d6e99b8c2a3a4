"""Fetch from an object store that speaks S3: one object, or all below a prefix as an archive."""

from __future__ import annotations

import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from .faults import PlaceError

if TYPE_CHECKING:
    from typing import IO

    from minio import Minio

PIECE = 1 << 20
IN_MEMORY = 64 << 20
SCHEME = "s3://"
AMAZON = "https://s3.amazonaws.com"
SECONDS = 60
TRIES = 3
PASSING = frozenset({"InternalError", "ServiceUnavailable", "SlowDown", "RequestTimeout", "XMinioServerNotInitialized"})
"""What a store says that may say something else tomorrow."""


@dataclass(frozen=True, slots=True)
class Buckets:
    """Where the object store is, and what it is shown; without keys only what is public is given."""

    endpoint: str = AMAZON
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    region: str = "us-east-1"

    def fetch(self, uri: str, out: IO[bytes]) -> None:
        """Write `s3://bucket/key` to the open file; of `s3://bucket/prefix/` everything below, as a tar archive.

        Raises:
            PlaceError: it gave nothing, or not all.
        """
        try:
            from minio.error import MinioException, S3Error  # noqa: PLC0415 - only who has such a source needs it
            from urllib3.exceptions import HTTPError  # noqa: PLC0415 - only who has such a source needs it
        except ImportError as error:
            raise PlaceError(f"{uri} needs the package minio, which is not installed", lasting=True) from error
        bucket, key = _parts(uri)
        try:
            store = self._client()
            if key and not key.endswith("/"):
                _object(store, bucket, key, out)
            else:
                _folder(store, bucket, key, out)
        except S3Error as error:
            raise PlaceError(f"{uri} answered {error.code}", lasting=error.code not in PASSING) from error
        except (HTTPError, OSError, MinioException) as error:
            raise PlaceError(
                f"{uri} cannot be fetched from {self.endpoint} ({_short(error)})", lasting=False
            ) from error
        except ValueError as error:  # what the library says of a bucket's name
            raise PlaceError(f"{uri} is no address to fetch from ({error})", lasting=True) from error

    def _client(self) -> Minio:
        from minio import Minio  # noqa: PLC0415 - only who has such a source needs it
        from urllib3 import PoolManager, Retry, Timeout  # noqa: PLC0415 - only who has such a source needs it

        at = urlsplit(self.endpoint)
        if at.scheme not in {"http", "https"} or not at.hostname:
            raise PlaceError(f"CDL_S3: found {self.endpoint!r}, allowed: http(s)://host", lasting=True)
        patience = Timeout(connect=10, read=SECONDS)
        web = PoolManager(timeout=patience, retries=Retry(total=TRIES, backoff_factor=0.2, status_forcelist=[503]))
        return Minio(
            at.netloc,
            access_key=self.access_key or None,
            secret_key=self.secret_key or None,
            secure=at.scheme == "https",
            region=self.region,
            http_client=web,
        )


def name_in(uri: str) -> str:
    """What `s3://bucket/prefix/` is called as an archive."""
    bucket, key = _parts(uri)
    return f"{PurePosixPath(key).name or bucket}.tar"


def _parts(uri: str) -> tuple[str, str]:
    at = urlsplit(uri)
    return at.netloc, unquote(at.path).removeprefix("/")


def _object(store: Minio, bucket: str, key: str, out: IO[bytes]) -> None:
    answer = store.get_object(bucket, key)
    try:
        expected, written = answer.headers.get("content-length"), 0
        for piece in answer.stream(PIECE):
            written += out.write(piece)
        if expected is not None and written != int(expected):
            raise PlaceError(f"{SCHEME}{bucket}/{key} was cut off after {written} bytes", lasting=False)
    finally:
        answer.close()
        answer.release_conn()


def _folder(store: Minio, bucket: str, prefix: str, out: IO[bytes]) -> None:
    """Equal objects give equal bytes: sorted, one mode, no times; what is written meanwhile counts or does not."""
    found = sorted(str(o.object_name) for o in store.list_objects(bucket, prefix, recursive=True) if not o.is_dir)
    if not found:
        raise PlaceError(f"{SCHEME}{bucket}/{prefix} holds no objects", lasting=True)
    top = PurePosixPath(prefix).name or bucket
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for key in found:
            with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as content:
                _object(store, bucket, key, content)
                member = tarfile.TarInfo(f"{top}/{key.removeprefix(prefix)}")
                member.size, member.mode = content.tell(), 0o644
                content.seek(0)
                archive.addfile(member, content)


def _short(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
