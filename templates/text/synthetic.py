"""Make a data set to try everything on, without a download: `python3 synthetic.py OUTDIR [--seed N]`.

Short texts of two classes, drawn from the word lists below. The same seed makes the same bytes.
"""

import argparse
import gzip
import io
import random
import tarfile
from pathlib import Path

ARCHIVE = "texts.tar.gz"
TEXTS = 60
"""How many a class gets."""
WORDS = {
    "complaint": ["late", "broken", "rude", "slow", "cold", "missing", "wrong", "dirty"],
    "praise": ["quick", "lovely", "friendly", "warm", "perfect", "helpful", "clean", "bright"],
}
THINGS = ["parcel", "waiter", "room", "train", "meal", "letter", "shop", "driver"]
PATTERNS = (
    "The {0} was {1} and the {2} {3}.",
    "What a {1} {0}, and such a {3} {2}.",
    "We found the {0} {1}, even {3}.",
)


def text(label: str, source: random.Random) -> str:
    """Make one text."""
    sentences = []
    for _ in range(source.randint(1, 3)):
        things, words = source.sample(THINGS, 2), source.sample(WORDS[label], 2)
        sentences.append(source.choice(PATTERNS).format(things[0], words[0], things[1], words[1]))
    return " ".join(sentences) + "\n"


def files(seed: int) -> dict[str, bytes]:
    """Make every text; each is there once."""
    source = random.Random(seed)
    made: dict[str, bytes] = {}
    for label in sorted(WORDS):
        different: set[str] = set()
        while len(different) < TEXTS:
            different.add(text(label, source))
        made |= {f"{label}/{number:03d}.txt": one.encode() for number, one in enumerate(sorted(different))}
    return made


def write(folder: Path, seed: int = 0) -> list[Path]:
    """Write what the DataPipeline's sources name."""
    folder.mkdir(parents=True, exist_ok=True)
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files(seed).items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    path = folder / ARCHIVE
    path.write_bytes(gzip.compress(raw.getvalue(), mtime=0))
    return [path]


def unpacked(folder: Path, seed: int = 0) -> None:
    """Write the files as a trial gets them."""
    for name, content in files(seed).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def main() -> None:
    """Write where the command line says."""
    parser = argparse.ArgumentParser(description="Make a synthetic data set of short texts.")
    parser.add_argument("outdir", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    print(f"synthetic texts in {', '.join(map(str, write(chosen.outdir, chosen.seed)))}")


if __name__ == "__main__":
    main()
