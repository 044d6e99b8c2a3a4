"""Make a data set to try everything on, without a download: `python3 synthetic.py OUTDIR [--seed N]`.

Measures of three kinds of things that nobody measured. The same seed makes the same bytes.
"""

import argparse
import random
from pathlib import Path

HEAD = "length,width,weight,kind"
ROWS = {"train": 240, "test": 60}
KINDS = {"bolt": (40.0, 8.0, 20.0), "nut": (12.0, 12.0, 9.0), "plate": (60.0, 45.0, 70.0)}
"""What a thing of each kind measures on the whole."""
SPREAD = 0.15


def table(rows: int, source: random.Random) -> str:
    """Make one table, the kinds in turn."""
    lines = [HEAD]
    for number in range(rows):
        kind = sorted(KINDS)[number % len(KINDS)]
        measures = (f"{source.gauss(middle, middle * SPREAD):.2f}" for middle in KINDS[kind])
        lines.append(",".join([*measures, kind]))
    return "\n".join(lines) + "\n"


def write(folder: Path, seed: int = 0) -> list[Path]:
    """Write what the DataPipeline's sources name."""
    folder.mkdir(parents=True, exist_ok=True)
    source, made = random.Random(seed), []
    for side, rows in ROWS.items():
        path = folder / f"{side}.csv"
        path.write_text(table(rows, source), encoding="utf-8")
        made.append(path)
    return made


def unpacked(folder: Path, seed: int = 0) -> None:
    """Write the files as a trial gets them: those of one side."""
    _, test = write(folder, seed)
    test.unlink()


def main() -> None:
    """Write where the command line says."""
    parser = argparse.ArgumentParser(description="Make a synthetic data set of measures.")
    parser.add_argument("outdir", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    print(f"synthetic tables in {', '.join(map(str, write(chosen.outdir, chosen.seed)))}")


if __name__ == "__main__":
    main()
