"""Stands in for rsync where it is not installed: the five ways in which gitlab-ci-local calls it, and no other."""

import fnmatch
import shutil
import sys
from pathlib import Path


def parsed(words):
    """Tell options, patterns to leave out, and paths apart."""
    flags, without, paths = set(), [], []
    words = iter(words)
    for word in words:
        if word.startswith("--exclude-from="):
            without += [line for line in Path(word.partition("=")[2]).read_text().splitlines() if line]
        elif word.startswith("--exclude="):
            without.append(word.partition("=")[2])
        elif word == "--exclude":
            without.append(next(words))
        elif word.startswith("--"):
            flags.add(word)
        elif word.startswith("-"):
            flags |= set(word[1:])
        else:
            paths.append(word)
    unknown = flags - {"a", "R", "--delete", "--delete-excluded"}
    if unknown:
        sys.exit(f"this stand-in of rsync does not know {sorted(unknown)}; install rsync")
    return flags, without, paths


def left_out(name, patterns):
    """Whether a path below the source is excluded, or lies in something that is."""
    parts = name.split("/")
    heads = ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]
    return any(fnmatch.fnmatchcase(head, p.strip("/").removesuffix("/**")) for head in heads for p in patterns)


def copied(top, target, patterns, below):
    """Copy what lies below a folder; give the names."""
    names = []
    for path in [top, *sorted(top.rglob("*"))] if top.is_dir() else [top]:
        name = path.relative_to(below).as_posix()
        if name == "." or left_out(name, patterns):
            continue
        names.append(name)
        place = target / name
        if path.is_dir() and not path.is_symlink():
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.unlink(missing_ok=True)
            shutil.copy2(path, place, follow_symlinks=False)
    return names


def main():
    """Copy; with -R the paths keep their names, and --delete removes what the source lacks."""
    flags, without, paths = parsed(sys.argv[1:])
    *sources, last = paths
    target = Path(last)
    target.mkdir(parents=True, exist_ok=True)
    there = set()
    for source in sources:
        top = Path(source)
        if not top.exists():
            sys.exit(f"rsync: {source}: no such file")
        there.update(copied(top, target, without, Path() if "R" in flags else top if top.is_dir() else top.parent))
    if "--delete" in flags:
        for path in sorted(target.rglob("*"), reverse=True):
            if path.relative_to(target).as_posix() not in there:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


if __name__ == "__main__":
    main()
