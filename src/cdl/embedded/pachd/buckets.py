"""Write files into an object store that speaks S3."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from io import RawIOBase
from urllib.parse import parse_qs, unquote, urlsplit

from cdl.embedded.pachd.refusals import invalid

SCHEME = "s3"
AMAZON = "s3.amazonaws.com"
REGION = "us-east-1"
SECONDS = 60
TRIES = 2


@dataclass(frozen=True)
class Bucket:
    """A place in a bucket, as Pachyderm writes it: `s3://BUCKET/PREFIX?endpoint=HOST:PORT&disableSSL=true&region=R`."""

    name: str
    bucket: str
    prefix: str
    endpoint: str
    region: str
    secure: bool
    keys: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(cls, url: str, keys: Mapping[str, bytes]) -> "Bucket":
        """Read a URL; the keys are AMAZON_ID and AMAZON_SECRET, as in a real pachd's own secret.

        Raises:
            RefusedError: it names no bucket, or carries keys itself.
        """
        split = urlsplit(url)
        said = {key: values[-1] for key, values in parse_qs(split.query).items()}
        if not split.netloc or "@" in split.netloc:
            raise invalid(
                f"egress to {url.rpartition('@')[2]!r} is not allowed: use s3://BUCKET/PREFIX, without keys in it"
            )
        if strange := sorted(said.keys() - {"endpoint", "disableSSL", "region"}):
            raise invalid(
                f"egress to s3://{split.netloc}: {strange[0]} is not allowed: use endpoint, disableSSL, region"
            )
        plain = {key: value.decode(errors="replace").strip() for key, value in keys.items()}
        return cls(
            f"s3://{split.netloc}{split.path}",
            split.netloc,
            unquote(split.path).strip("/"),
            said.get("endpoint", AMAZON),
            said.get("region") or plain.get("AMAZON_REGION") or REGION,
            said.get("disableSSL", "false") != "true",
            plain,
        )

    def write(self, files: Iterable[tuple[str, int, Iterator[bytes]]]) -> int:
        """Put every file below the prefix, each whole or not at all; tells how many bytes. In a thread.

        Raises:
            OSError: the store does not take one, with what it says.
        """
        try:
            from minio import Minio
            from minio.error import MinioException, S3Error
            from urllib3 import PoolManager, Retry, Timeout
            from urllib3.exceptions import HTTPError
        except ImportError as error:
            raise OSError("the package minio is not installed") from error
        web = PoolManager(timeout=Timeout(connect=10, read=SECONDS), retries=Retry(total=TRIES, backoff_factor=0.2))
        store = Minio(
            self.endpoint,
            access_key=self.keys.get("AMAZON_ID") or None,
            secret_key=self.keys.get("AMAZON_SECRET") or None,
            secure=self.secure,
            region=self.region,
            http_client=web,
        )
        total = 0
        try:
            for path, size, pieces in files:
                key = f"{self.prefix}/{path}".lstrip("/")
                store.put_object(self.bucket, key, _Pieces(pieces), size)  # type: ignore[arg-type]  # it reads, no more
                total += size
        except S3Error as error:
            raise OSError(f"{self.endpoint} answered {error.code}") from error
        except (HTTPError, MinioException, ValueError) as error:
            raise OSError(f"{self.endpoint} took nothing: {type(error).__name__}") from error
        finally:
            web.clear()
        return total


class _Pieces(RawIOBase):
    """Content that comes in pieces, to be read by length."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._held = b""

    def read(self, size: int = -1) -> bytes:
        """Give so many bytes, fewer only at the end."""
        parts, length = [self._held], len(self._held)
        while (size < 0 or length < size) and (piece := next(self._pieces, None)) is not None:
            parts.append(piece)
            length += len(piece)
        whole = b"".join(parts)
        given, self._held = (whole, b"") if size < 0 else (whole[:size], whole[size:])
        return given
