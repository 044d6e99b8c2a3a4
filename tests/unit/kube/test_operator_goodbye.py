"""An operator whose work has ended is gone soon after, whatever kopf still waits for."""

import subprocess
import sys

PROGRAM = """
import asyncio, sys
from cdl.kube import operator

class Leadership:
    def release(self):
        print("released", flush=True)

async def kopf(waits):
    made = operator.Operator(None, None, None, Leadership(), None)
    await made._end()
    await asyncio.sleep(waits)

operator.GOODBYE_SECONDS = float(sys.argv[2])
asyncio.run(kopf(float(sys.argv[1])))
print("kopf ended", flush=True)
"""


def ended(waits, patience):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(waits), str(patience)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout.split("\n"), done.stderr


def test_a_goodbye_that_never_ends_is_cut_short():
    status, said, told = ended(600, 0.2)
    assert (status, said) == (3, ["released", ""])
    assert "kopf did not end within" in told


def test_an_ordinary_goodbye_is_left_alone():
    assert ended(0, 60)[:2] == (0, ["released", "kopf ended", ""])
