"""Everything that can be wrong with a source, as errors of the port."""

from __future__ import annotations

import errno

from cdl.api.conditions import Reason
from cdl.ports.errors import NotPermitted, PortError, Rejected, Unavailable

PASSING = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.EAGAIN})
FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


def unusable(source: str, what: str) -> Rejected:
    """A person must change the source, its checksum or the file."""
    return Rejected(f"source {source}: {what}", Reason.SOURCE_UNUSABLE)


def disk(source: str, error: OSError) -> PortError:
    """What the local disk said, in one sentence."""
    sentence = f"source {source}: {error.filename or 'the cache'}: {error.strerror or error}"
    if error.errno in PASSING:
        return Unavailable(sentence)
    if error.errno in FORBIDDEN:
        return NotPermitted(sentence)
    return Rejected(sentence, Reason.SOURCE_UNUSABLE)


class PlaceError(Exception):
    """This place did not give the file; `lasting` is false when another day might change that."""

    def __init__(self, sentence: str, *, lasting: bool, mismatch: bool = False) -> None:
        """Say what happened there; a mismatch is a file with another checksum."""
        super().__init__(sentence)
        self.lasting = lasting
        self.mismatch = mismatch
