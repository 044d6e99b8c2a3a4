"""Make a small look-alike of the BBC news archive: `python3 synthetic.py OUTDIR [--seed N]`.

The archive has the original's name and layout: texts in five folders, a README.TXT, one file that is no UTF-8 and, on
top, one that is too short to be a text. Every sentence is drawn from the word lists below. The same seed makes the same
bytes.
"""

import argparse
import gzip
import io
import random
import tarfile
from pathlib import Path

ARCHIVE = "bbc-fulltext.tar.gz"
TEXTS = 120
"""How many texts a class gets."""

LISTS = """\
business bank market share profit loan merger budget export invoice tariff dividend factory wage currency bond audit
entertainment film actor album festival stage singer comedy premiere ballad studio script theatre audience painter
politics minister ballot parliament law vote treaty council mayor senate reform debate campaign cabinet party citizen
sport goal match coach race medal stadium striker tennis sprint referee league penalty trophy relay keeper squad
tech software server network chip laptop browser robot password sensor download pixel code router gadget battery
everyday today people report year city new plan great small early late number group friend window morning river long
"""
"""One line a class: its name, then its words; the last line is for all of them."""

WORDS = {line.split()[0]: line.split()[1:] for line in LISTS.splitlines()}
EVERYDAY = WORDS.pop("everyday")
PATTERNS = (
    "the {0} and the {1} were the talk of the {2}",
    "a {0} {1} came after the {2} of last week",
    "many say that the {0} needs a better {1} before the {2}",
    "nobody had seen such a {0} near the {1} or the {2}",
    "with the {0} behind them they turned to the {1} and a {2}",
)
README = "Generated texts for trying things out; they come from word lists and report nothing that happened.\n"


def sentence(label: str, source: random.Random) -> str:
    """Make one sentence: mostly words of the class, some of every day and now and then one of another class."""
    words = []
    for _ in range(3):
        chance = source.random()
        lists = WORDS[label] if chance < 0.55 else EVERYDAY
        if chance > 0.95:
            lists = WORDS[source.choice(sorted(WORDS))]
        words.append(source.choice(lists))
    return source.choice(PATTERNS).format(*words).capitalize() + "."


def paragraph(label: str, source: random.Random) -> str:
    """Put a few sentences together."""
    return " ".join(sentence(label, source) for _ in range(source.randint(2, 4)))


def article(label: str, source: random.Random) -> str:
    """Make a headline and a few paragraphs."""
    headline = " ".join(source.sample(WORDS[label], 3)).capitalize()
    paragraphs = [paragraph(label, source) for _ in range(source.randint(3, 6))]
    return "\n\n".join([headline, *paragraphs]) + "\n"


def files(seed: int) -> dict[str, bytes]:
    """Make every file of the archive."""
    source = random.Random(seed)  # noqa: S311 - texts, no secrets
    made = {"bbc/README.TXT": README.encode()}
    for label in sorted(WORDS):
        for number in range(1, TEXTS + 1):
            made[f"bbc/{label}/{number:03d}.txt"] = article(label, source).encode()
    made["bbc/sport/001.txt"] += "Tickets cost £20 each.\n".encode("latin-1")
    made[f"bbc/tech/{TEXTS + 1:03d}.txt"] = b"No signal.\n"
    return made


def write(folder: Path, seed: int) -> Path:
    """Write the archive."""
    folder.mkdir(parents=True, exist_ok=True)
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files(seed).items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    path = folder / ARCHIVE
    path.write_bytes(gzip.compress(raw.getvalue(), mtime=0))
    return path


def main() -> None:
    """Write the look-alike where the command line says."""
    parser = argparse.ArgumentParser(description="Make a small look-alike of the BBC news archive.")
    parser.add_argument("outdir", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    path = write(chosen.outdir, chosen.seed)
    print(f"synthetic BBC news look-alike: {TEXTS * len(WORDS) + 1} generated texts in {path}")


if __name__ == "__main__":
    main()
