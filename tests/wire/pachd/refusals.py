"""How a test sees that something was refused, or has come true."""

import time

import grpc
import pytest


def _drain(found):
    return list(found) if hasattr(found, "__next__") else found


def refused(call, *args, **kwargs):
    """Call something that must be refused; tells the status code and the sentence."""
    with pytest.raises(grpc.RpcError) as caught:
        _drain(call(*args, **kwargs))
    return caught.value.code().name, caught.value.details()


def eventually(claim, seconds=20):
    """Wait until a claim about the world holds; the test fails when it never does."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if claim():
            return
        time.sleep(0.02)
    pytest.fail("it never came true")
