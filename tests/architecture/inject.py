"""Run as a program on a copy of the tree: inject one illegal import at a time, say which contracts break.

python inject.py FOLDER < mutants.json > broken.json; FOLDER holds `cdl/` and `pyproject.toml` and leads PYTHONPATH.
A mutant is {"name": ..., "files": {"cdl/api/meta.py": "import time"}}: lines to append, the file made if need be.
"""

import json
import sys
from pathlib import Path

from importlinter import configuration
from importlinter.application import use_cases
from importlinter.application.output import console


def broken(folder: Path) -> list[str]:
    """The ids of the contracts that do not hold; an exhaustive contract that cannot even be checked counts."""
    options = use_cases.read_user_options(str(folder / "pyproject.toml"))
    names = {contract["name"]: contract["id"] for contract in options.contracts_options}
    report = use_cases.create_report(options, cache_dir=str(folder / ".cache"))
    if not report.module_count:
        raise SystemExit(f"no modules were found in {folder}")
    return sorted(names[contract.name] for contract, check in report.get_contracts_and_checks() if not check.kept)


def mutated(folder: Path, files: dict[str, str]) -> list[str]:
    """Append, look, and put everything back."""
    before = {path: path.read_bytes() if path.exists() else None for path in (folder / name for name in files)}
    new_folders = []
    for path, line in zip(before, files.values(), strict=True):
        if not path.parent.exists():
            path.parent.mkdir()
            new_folders.append(path.parent)
        path.write_bytes((before[path] or b"") + f"\n{line}\n".encode())
    try:
        return broken(folder)
    finally:
        for path, content in before.items():
            if content is None:
                path.unlink()
            else:
                path.write_bytes(content)
        for empty in new_folders:
            empty.rmdir()


def main() -> None:
    folder = Path(sys.argv[1])
    configuration.configure()
    console.quiet = True
    use_cases._register_contract_types(use_cases.read_user_options(str(folder / "pyproject.toml")))
    mutants = json.load(sys.stdin)
    verdicts = {mutant["name"]: mutated(folder, mutant["files"]) for mutant in mutants}
    sys.stdout.write("\n" + json.dumps(verdicts) + "\n")  # the last line; progress bars may have left others


if __name__ == "__main__":
    main()
