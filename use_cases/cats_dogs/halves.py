"""Cut an archive of photographs into the two halves: `python3 halves.py CATS-DOGS.tar OUTDIR`.

The archive has pictures in `train/cat`, `train/dog`, `test/cat` and `test/dog`, below any folder; `train` becomes
`base.tar` and `test` becomes `transfer.tar`. The same archive makes the same bytes.
"""

import argparse
import tarfile
from pathlib import Path, PurePosixPath

HALVES = {"train": "base.tar", "test": "transfer.tar"}
CLASSES = ("cat", "dog")


def cut(archive: Path, folder: Path) -> dict[str, int]:
    """Write both halves; gives how many pictures each has."""
    folder.mkdir(parents=True, exist_ok=True)
    counts = {}
    with tarfile.open(archive) as whole:
        members = sorted((m for m in whole if m.isfile()), key=lambda m: m.name)
        for half, name in HALVES.items():
            chosen = [m for m in members if PurePosixPath(m.name).parts[-3:-1] in {(half, c) for c in CLASSES}]
            with tarfile.open(folder / name, "w", format=tarfile.USTAR_FORMAT) as out:
                for member in chosen:
                    entry = tarfile.TarInfo("/".join(PurePosixPath(member.name).parts[-2:]))
                    entry.size = member.size
                    out.addfile(entry, whole.extractfile(member))
            counts[name] = len(chosen)
    return counts


def main() -> None:
    """Cut what the command line names."""
    parser = argparse.ArgumentParser(description="Cut an archive of cats and dogs into the two halves.")
    parser.add_argument("archive", type=Path)
    parser.add_argument("outdir", type=Path)
    chosen = parser.parse_args()
    for name, count in cut(chosen.archive, chosen.outdir).items():
        print(f"{name}: {count} pictures")


if __name__ == "__main__":
    main()
