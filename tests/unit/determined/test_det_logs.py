"""Lines of trials, and when they were written."""

from pathlib import Path

from cdl.embedded.determined.logs import Growth, TrialLog


def write(log: Path, octets: bytes) -> None:
    with log.open("ab") as out:
        out.write(octets)


def test_lines_keep_the_time_their_file_was_seen_to_hold_them(tmp_path: Path) -> None:
    log = tmp_path / "1.log"
    write(log, b"one\ntw")
    Growth(log).notes.write_text("6 100.0\n8 200.0\n")
    write(log, b"o\nlate\n")
    lines = list(TrialLog(tmp_path).fresh())
    assert [(line.text, line.seen) for line in lines[:2]] == [("one", 100.0), ("two", 100.0)]
    assert (lines[2].text, lines[2].seen) == ("late", log.stat().st_mtime)


def test_a_follower_waits_for_whole_noted_lines(tmp_path: Path) -> None:
    log, reader = tmp_path / "1.log", TrialLog(tmp_path)
    write(log, b"one\n")
    assert list(reader.fresh(final=False)) == []
    growth = Growth(log)
    growth.note()
    write(log, b"two\nthr")
    assert [line.text for line in reader.fresh(final=False)] == ["one"]
    growth.note()
    assert [line.text for line in reader.fresh(final=False)] == ["two"]
    write(log, b"ee")
    assert [line.text for line in reader.fresh()] == ["three"]


def test_runs_follow_one_another(tmp_path: Path) -> None:
    for run in (2, 10, 1):
        write(tmp_path / f"{run}.log", f"run {run}\n".encode())
    lines = list(TrialLog(tmp_path).fresh())
    assert [(line.number, line.run_id, line.text) for line in lines] == [
        (1, 1, "run 1"),
        (2, 2, "run 2"),
        (3, 10, "run 10"),
    ]


def test_level_and_rank_are_read_from_the_line(tmp_path: Path) -> None:
    write(tmp_path / "1.log", b"[rank=1] WARNING: [7] x: y\nERROR: z\nplain \xff\n")
    found = [(line.level, line.rank, line.text) for line in TrialLog(tmp_path).fresh()]
    assert found == [
        ("WARNING", 1, "[rank=1] WARNING: [7] x: y"),
        ("ERROR", None, "ERROR: z"),
        ("INFO", None, "plain \ufffd"),
    ]
