"""`python -m cdl.cli` is `cdl`."""

from . import main

main(prog_name="cdl")
