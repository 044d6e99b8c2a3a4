"""How a test sees that something was refused."""

import grpc
import pytest


def _drain(found):
    return list(found) if hasattr(found, "__next__") else found


def refused(call, *args, **kwargs):
    """Call something that must be refused; tells the status code and the sentence."""
    with pytest.raises(grpc.RpcError) as caught:
        _drain(call(*args, **kwargs))
    return caught.value.code().name, caught.value.details()
