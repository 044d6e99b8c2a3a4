"""Run a trial's program only in the trial that has the wanted hyperparameters; every other trial ends at once.

    python3 -m cdl.training.only --hparams '{"learning_rate": 0.1}' -- python3 train.py

A search draws each trial's hyperparameters and seed from one stream, so a trial can be trained again, bit for bit, only
inside its search. To rebuild one trial the others need not be trained, though.
"""

import argparse
import json
import os
import sys


def main(arguments: list[str] | None = None) -> int:
    """Become the program, or end well without it; the exit status of the trial."""
    parser = argparse.ArgumentParser(prog="cdl.training.only", description="Run a program in one trial of a search.")
    parser.add_argument("--hparams", required=True, type=json.loads, help="hyperparameters of the trial, as JSON")
    parser.add_argument("program", nargs="+", help="what to run, after --")
    chosen = parser.parse_args(arguments)
    if json.loads(os.environ.get("DET_HPARAMS", "{}")) == chosen.hparams:
        os.execvp(chosen.program[0], chosen.program)  # noqa: S606 - the trial's own program, as its configuration says
    print("this trial is not the one that is rebuilt: it ends here")
    return 0


if __name__ == "__main__":
    sys.exit(main())
