"""NumPy's legacy ``RandomState`` stream, drawn with the standard library's Mersenne Twister.

A real master samples with exactly this stream, so the same seed gives the same
hyperparameters, request ids and trial seeds here and there.
"""

import random
import uuid

WORDS = 624
WORD_BITS = 32
WORD_MASK = 0xFFFFFFFF
KNUTH = 1812433253
VERSION = 3  # of random.Random's own state tuple


class Draws:
    """A stream of draws that can be stored as (seed, words drawn) and continued."""

    def __init__(self, seed: int, drawn: int = 0) -> None:
        """Start at seed and skip what was drawn before."""
        self.seed = seed & WORD_MASK
        self.drawn = 0
        self._twister = random.Random()  # noqa: S311 - reproducible sampling, not secrets
        self._twister.setstate((VERSION, (*_initial_words(self.seed), WORDS), None))
        for _ in range(drawn):
            self.word()

    def word(self) -> int:
        """Draw 32 bits."""
        self.drawn += 1
        return self._twister.getrandbits(WORD_BITS)

    def unit(self) -> float:
        """Draw a double in [0, 1) from two words, as ``random_sample``."""
        high, low = self.word() >> 5, self.word() >> 6
        return (high * 67108864.0 + low) / 9007199254740992.0

    def uniform(self, low: float, high: float) -> float:
        """Draw a double in [low, high)."""
        return low + (high - low) * self.unit()

    def below(self, limit: int) -> int:
        """Draw an integer in [0, limit) by masked rejection, as ``randint(0, limit)``."""
        top = limit - 1
        if top <= 0:
            return 0
        mask = (1 << top.bit_length()) - 1
        while True:
            value = self.word() if top <= WORD_MASK else (self.word() << WORD_BITS) | self.word()
            if value & mask <= top:
                return value & mask

    def request_id(self) -> str:
        """Draw a version 4 UUID from four little-endian words."""
        octets = b"".join(self.word().to_bytes(4, "little") for _ in range(4))
        return str(uuid.UUID(bytes=octets, version=4))


def _initial_words(seed: int) -> list[int]:
    words = [seed]
    for index in range(1, WORDS):
        previous = words[-1]
        words.append((KNUTH * (previous ^ (previous >> 30)) + index) & WORD_MASK)
    return words
