"""The look-alikes: same seed, same bytes, in the original's format."""

import hashlib
import subprocess
import sys
import tarfile

import pytest

from .conftest import USE_CASES

FILES = {
    "bbc_news": ["bbc-fulltext.tar.gz"],
    "cats_dogs": ["base.tar", "transfer.tar"],
    "fashion_mnist": [
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
    ],
}


def generated(case, folder, *arguments):
    program = [sys.executable, str(USE_CASES / case / "synthetic.py"), str(folder), *arguments]
    done = subprocess.run(program, check=True, capture_output=True, text=True, timeout=120)
    assert "look-alike" in done.stdout
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("case", sorted(FILES))
def test_the_seed_alone_decides_the_bytes(case, tmp_path):
    first = generated(case, tmp_path / "a")
    assert sorted(first) == FILES[case]
    assert generated(case, tmp_path / "b", "--seed", "0") == first
    other = generated(case, tmp_path / "c", "--seed", "1")
    assert sorted(other) == FILES[case]
    assert other != first


def test_the_news_archive_holds_what_the_steps_must_cope_with(look_alike):
    with tarfile.open(look_alike("bbc_news") / "bbc-fulltext.tar.gz") as archive:
        texts = {entry.name: archive.extractfile(entry).read() for entry in archive if entry.isfile()}
    assert "bbc/README.TXT" in texts
    classes = {name.split("/")[1] for name in texts if name.endswith(".txt")}
    assert classes == {"business", "entertainment", "politics", "sport", "tech"}
    broken = [name for name, raw in texts.items() if "\ufffd" in raw.decode("utf-8", errors="replace")]
    assert broken == ["bbc/sport/001.txt"]
    assert [name for name, raw in texts.items() if len(raw) < 20] == ["bbc/tech/121.txt"]
    assert len(set(texts.values())) == len(texts)
