"""cdl.training.transforms: computed once, loaded ever after, and never something else than what was computed."""

import importlib
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch

from cdl.training import TrainingError
from cdl.training.codes import code_of
from cdl.training.transforms import cached

PROGRAM = """
    import json, os, sys
    from pathlib import Path
    from cdl.training.transforms import cached
    import words

    if __name__ == "__main__":
        print(json.dumps(cached(words.counted, Path("data"), **json.loads(sys.argv[1]))))
"""
WORDS = """
    import splitting

    def counted(folder, least=1, rows=()):
        Path = type(folder)
        with Path("computed").open("a") as out:
            out.write("x")
        found = {path.name: len(splitting.split(path.read_text())) for path in sorted(folder.iterdir())}
        return {name: count for name, count in found.items() if count >= least}
"""
SPLITTING = """
    def split(text):
        return text.split()
"""


class Project:
    """A folder of a user's modules, run as a trial runs it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "data").mkdir(parents=True)
        (folder / "data/a.txt").write_text("one two")
        self.write(run=PROGRAM, words=WORDS, splitting=SPLITTING)

    def write(self, **modules: str) -> None:
        for name, text in modules.items():
            (self.folder / f"{name}.py").write_text(textwrap.dedent(text))

    def begin(self, **params: object) -> subprocess.Popen[str]:
        world = {**os.environ, "CDL_CACHE": str(self.folder / "cache"), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.Popen(
            [sys.executable, "run.py", json.dumps(params)],
            cwd=self.folder, env=world, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def run(self, **params: object) -> tuple[dict[str, int], str]:
        process = self.begin(**params)
        out, told = process.communicate(timeout=60)
        assert process.returncode == 0, told
        return json.loads(out), told

    @property
    def computed(self) -> int:
        return len((self.folder / "computed").read_text())


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "project")


def test_a_second_process_loads_what_the_first_computed(project):
    first, told = project.run()
    assert "words.counted of data: computed in " in told
    second, told = project.run()
    assert "words.counted of data: loaded instead of computing it: " in told
    assert first == second == {"a.txt": 2}
    assert project.computed == 1


def test_another_file_param_or_line_of_the_project_computes_anew(project):
    project.run()
    project.run(least=3)
    (project.folder / "data/b.txt").write_text("one")
    assert project.run()[0] == {"a.txt": 2, "b.txt": 1}
    project.write(splitting=SPLITTING.replace("text.split()", "text.split() * 2"))
    assert project.run()[0] == {"a.txt": 4, "b.txt": 2}
    assert project.computed == 4


def test_a_module_that_the_transform_does_not_import_changes_nothing(project):
    project.run()
    project.write(run=PROGRAM + "\n    # another line\n", stranger="x = 1")
    assert "loaded instead" in project.run()[1]


def test_two_at_once_compute_once(project):
    both = [project.begin() for _ in range(2)]
    told = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert [json.loads(out) for out, _ in told] == [{"a.txt": 2}] * 2
    assert project.computed == 1


# -- what is kept -----------------------------------------------------------------------------------------------------

GIVEN: list[object] = []


def given(folder: Path, number: int) -> object:
    """Give what the test put there."""
    return GIVEN[number]


def folder_of_two(folder: Path) -> Path:
    """Write a folder beside the dataset."""
    made = folder.parent / "made"
    (made / "deep").mkdir(parents=True, exist_ok=True)
    (made / "deep/one.bin").write_bytes(b"1")
    (made / "two.bin").write_bytes(b"22")
    return made


def broken(folder: Path) -> None:
    """Fail."""
    raise ValueError(folder.name)


def megabytes(folder: Path, which: int) -> bytes:
    """Give a megabyte and a half."""
    return bytes([which]) * (3 << 19)


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("CDL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.txt").write_text("a")
    return tmp_path / "data"


def kept_below(data: Path) -> list[Path]:
    return sorted(path for path in (data.parent / "cache/transforms").iterdir() if path.is_dir())


def twice(data: Path, value: object) -> object:
    """Keep a value and load it: what was computed is another one by then."""
    GIVEN.append(value)
    assert cached(given, data, len(GIVEN) - 1) is value
    GIVEN[-1] = None
    return cached(given, data, len(GIVEN) - 1)


@pytest.mark.parametrize(
    "value",
    [
        None, True, 1, 1.5, float("inf"), "text", b"\x00", [], (1, [2, (3,)]), {"a": {"b": [None, b"x"]}, "c": ()},
    ],
)  # fmt: skip
def test_plain_values_come_back_as_they_were(data, value):
    assert repr(twice(data, value)) == repr(value)


def test_arrays_and_tensors_come_back_bit_by_bit(data):
    array = np.arange(12, dtype=np.float32).reshape(3, 4)[:, ::2]
    tensor = torch.arange(6, dtype=torch.bfloat16).reshape(2, 3)[:, 1:]
    found = twice(data, {"array": array, "number": np.float64(0.1), "words": np.array(["a", "bc"]), "tensor": tensor})
    assert isinstance(found, dict)
    np.testing.assert_array_equal(found["array"], array)
    assert (found["array"].dtype, type(found["number"]), found["number"]) == (np.float32, np.float64, 0.1)
    assert found["words"].tolist() == ["a", "bc"]
    assert found["tensor"].dtype == torch.bfloat16
    assert torch.equal(found["tensor"], tensor)


def test_a_folder_is_kept_and_its_path_leads_to_what_is_kept(data):
    first, second = cached(folder_of_two, data), cached(folder_of_two, data)
    assert first == second
    assert first.is_relative_to(data.parent / "cache/transforms")
    assert {path.name: path.read_bytes() for path in second.rglob("*.bin")} == {"one.bin": b"1", "two.bin": b"22"}


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"a": [0, {1}]}, r"test_training_transforms.given\['a'\]\[1\] cannot be kept: it is builtins.set"),
        (np.array([{}], dtype=object), "it is numpy.ndarray"),
        ({1: 2}, "it is builtins.dict, allowed are None, bool"),
        (Path("nowhere"), "it is pathlib"),
    ],
)
def test_what_only_pickle_could_keep_is_refused_by_its_place(data, value, sentence):
    GIVEN.append(value)
    with pytest.raises(TrainingError, match=sentence):
        cached(given, data, len(GIVEN) - 1)
    assert kept_below(data) == []


def test_a_transform_that_fails_leaves_nothing(data):
    with pytest.raises(ValueError, match="data"):
        cached(broken, data)
    assert kept_below(data) == []


# -- what lies there --------------------------------------------------------------------------------------------------


def changed(place: Path) -> None:
    file = place / "0"
    file.write_bytes(b"!" + file.read_bytes()[1:])


def halved(place: Path) -> None:
    note = (place / "entry.json").read_text()
    (place / "entry.json").write_text(note[: len(note) // 2])


def lied(place: Path) -> None:
    note = (place / "entry.json").read_text()
    (place / "entry.json").write_text(note.replace('"seconds"', '"Seconds"'))


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (changed, "0 was changed"),
        (lambda place: (place / "0").unlink(), "0 is gone"),
        (lambda place: (place / "1").write_text("x"), "1 was put there"),
        (lambda place: (place / "entry.json").unlink(), "it cannot be read"),
        (halved, "it cannot be read"),
        (lied, "entry.json was changed"),
    ],
)
def test_what_was_damaged_is_computed_again(data, capsys, damage, sentence):
    cached(megabytes, data, 1)
    (place,) = kept_below(data)
    damage(place)
    assert cached(megabytes, data, 1) == bytes([1]) * (3 << 19)
    assert f"what was kept is damaged and is computed again: {sentence}" in capsys.readouterr().err
    assert cached(megabytes, data, 1) == bytes([1]) * (3 << 19)
    assert "loaded instead" in capsys.readouterr().err


def test_the_longest_unused_is_given_up_first(data, monkeypatch, capsys):
    monkeypatch.setenv("CDL_TRANSFORMS_MIB", "4")
    for which in (1, 2):
        cached(megabytes, data, which)
    for age, place in enumerate(kept_below(data)):
        os.utime(place / "entry.json", (1000 + age, 1000 + age))
    first = kept_below(data)[0]
    cached(megabytes, data, 3)
    assert "1 older results were given up to stay within CDL_TRANSFORMS_MIB=4" in capsys.readouterr().err
    assert first not in kept_below(data)
    assert len(kept_below(data)) == 2


def test_a_folder_that_is_read_is_not_given_up(data, monkeypatch):
    monkeypatch.setenv("CDL_TRANSFORMS_MIB", "2")
    used = cached(folder_of_two, data)
    for place in kept_below(data):
        os.utime(place / "entry.json", (1000, 1000))
    cached(megabytes, data, 1)
    cached(megabytes, data, 2)
    assert (used / "two.bin").read_bytes() == b"22"
    assert len(kept_below(data)) == 2


def test_what_a_killed_trial_left_is_cleared_away(data):
    cached(megabytes, data, 1)
    (place,) = kept_below(data)
    left = place.with_name(".partial-some.transform-0")
    left.mkdir()
    (left / "0").write_text("half")
    cached(megabytes, data, 2)
    assert not left.exists()


def test_what_is_larger_than_the_limit_is_given_but_not_kept(data, monkeypatch, capsys):
    monkeypatch.setenv("CDL_TRANSFORMS_MIB", "1")
    assert len(cached(megabytes, data, 1)) == 3 << 19
    assert "and not kept: 1.5 MiB are more than CDL_TRANSFORMS_MIB=1" in capsys.readouterr().err
    assert kept_below(data) == []


def test_none_is_kept_where_nobody_wants_it(data, monkeypatch):
    monkeypatch.setenv("CDL_TRANSFORMS_MIB", "0")
    assert cached(given, data, 0) is GIVEN[0]
    assert not (data.parent / "cache").exists()


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (
            lambda data: cached(lambda folder: 1, data),
            "<lambda> cannot be cached: it has to be a function that a module",
        ),
        (lambda data: cached(Project.write, data), "Project.write cannot be cached"),
        (lambda data: cached(len, data), "len cannot be cached"),
        (lambda data: cached(given, data, {1}), "parameter number is set, allowed is what JSON can say"),
        (lambda data: cached(given, data / "no", 0), "is neither a folder nor a file"),
    ],
)
def test_a_wrong_call_is_one_sentence(data, call, sentence):
    with pytest.raises(TrainingError, match=sentence):
        call(data)


@pytest.mark.parametrize("limit", ["", "-1", "many"])
def test_a_limit_that_is_no_number_is_named(data, monkeypatch, limit):
    monkeypatch.setenv("CDL_TRANSFORMS_MIB", limit)
    with pytest.raises(TrainingError, match="allowed is a number of MiB, 0 for none"):
        cached(given, data, 0)


# -- the code that counts ---------------------------------------------------------------------------------------------


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of a project, with all ways to import."""
    files = {
        "__init__": "",
        "main": "from . import near\nfrom .deep.low import x\nimport numpy as np\n"
        "try:\n    import sparta_of_nowhere\nexcept ImportError:\n    pass\n"
        "def prepared(folder):\n    from shop_pkg import late\n    return np, near, late, x\n",
        "near": "",
        "late": "",
        "never": "",
        "deep/__init__": "",
        "deep/low": "import json\nx = 1\n",
    }
    for name, text in files.items():
        place = tmp_path / "shop_pkg" / f"{name}.py"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / "shop_pkg"


def test_the_code_is_every_file_of_the_project_behind_it_and_the_packages_versions(package, monkeypatch):
    module = importlib.import_module("shop_pkg.main")
    for name in [name for name in sys.modules if name.startswith("shop_pkg")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "shop_pkg.main", module)
    code = code_of(module.prepared)
    assert sorted(code.files) == [
        "shop_pkg", "shop_pkg.deep", "shop_pkg.deep.low", "shop_pkg.late", "shop_pkg.main", "shop_pkg.near",
    ]  # fmt: skip
    assert code.packages == {"numpy": np.__version__, "sparta_of_nowhere": "absent"}
    before = code.digest
    (package / "never.py").write_text("y = 2")
    assert code_of(module.prepared).digest == before
    (package / "deep/low.py").write_text("x = 2")
    assert code_of(module.prepared).digest != before
