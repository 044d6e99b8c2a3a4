"""text/clean: what leaves the step is valid UTF-8, and nothing else changed."""

LATIN = "Tickets cost £20.\n".encode("latin-1")


def test_invalid_bytes_are_replaced_in_the_output_itself(run_step):
    outcome = run_step("text/clean", {"sport/199.txt": LATIN})
    assert outcome.status == 0
    assert outcome.files["sport/199.txt"].decode("utf-8") == "Tickets cost \ufffd20.\n"


def test_a_replacement_is_reported_as_a_warning_and_the_file_stays(run_step):
    report = run_step("text/clean", {"sport/199.txt": LATIN, "sport/200.txt": b"fine\n"}).report
    assert report == {
        "step": "clean",
        "accepted": 2,
        "rejected": {},
        "warned": {"invalid-utf8": 1},
        "examples": [
            {
                "path": "/sport/199.txt",
                "reason": "invalid-utf8",
                "found": "1 undecodable byte sequences, replaced by U+FFFD",
            }
        ],
        "labels": {"rows": 2},
    }


def test_valid_text_goes_through_byte_for_byte(run_step):
    text = "Ünïcödé — with a replacement character that was always there: \ufffd\n".encode()
    outcome = run_step("text/clean", {"tech/1.txt": text})
    assert outcome.files == {"tech/1.txt": text}
    assert outcome.report["warned"] == {}


def test_line_ends_and_the_byte_order_mark_are_normalised(run_step):
    outcome = run_step("text/clean", {"a/1.txt": b"\xef\xbb\xbfone\r\ntwo\rthree\n"})
    assert outcome.files == {"a/1.txt": b"one\ntwo\nthree\n"}


def test_other_files_pass_through_untouched(run_step):
    binary = bytes(range(256))
    outcome = run_step("text/clean", {"pictures/1.png": binary, "README.TXT": b"hi\r\n"})
    assert outcome.files == {"pictures/1.png": binary, "README.TXT": b"hi\n"}
    assert outcome.report["labels"] == {"rows": 1}


def test_reports_of_an_earlier_step_do_not_travel(run_step):
    outcome = run_step("text/clean", {"_reports/x.json": b"{}", "a/1.txt": b"one\n"})
    assert list(outcome.files) == ["a/1.txt"]


def test_outside_a_worker_the_step_says_so_in_one_sentence(run_step, tmp_path):
    outcome = run_step("text/clean", {}, CDL_PFS_ROOT=str(tmp_path / "nowhere"))
    assert outcome.status == 1
    assert outcome.stderr.endswith("a step runs inside a Pachyderm worker, or with CDL_PFS_ROOT set\n")
    assert outcome.stderr.count("\n") == 1
