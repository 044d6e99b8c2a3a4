"""idx/validate: a broken file stops the job with a sentence that names it; a sound one goes on unchanged."""

import gzip
import struct

import pytest

from .conftest import idx_images, idx_labels

IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"


def test_sound_files_go_through_unchanged(run_step):
    files = {IMAGES: idx_images(3), LABELS: idx_labels([0, 9, 4])}
    outcome = run_step("idx/validate", files)
    assert outcome.status == 0
    assert outcome.files == files
    assert outcome.report["accepted"] == 2
    assert outcome.report["labels"] == {"rows": 3}


def test_a_label_file_alone_has_nothing_to_be_compared_with(run_step):
    assert run_step("idx/validate", {LABELS: idx_labels([1, 2])}).report["labels"] == {"rows": 2}


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({IMAGES: idx_images(3)[:40]}, f"{IMAGES}: truncated gzip: "),
        ({IMAGES: b"not a gzip at all"}, f"{IMAGES}: broken gzip: "),
        ({IMAGES: gzip.compress(b"\x00\x00\x0d\x03" + bytes(40))}, f"{IMAGES}: idx magic is 0x00000d03"),
        ({IMAGES: gzip.compress(struct.pack(">2I", 0x803, 3))}, f"{IMAGES}: idx header cut off: 8 bytes"),
        (
            {IMAGES: gzip.compress(struct.pack(">4I", 0x803, 3, 28, 28) + bytes(9))},
            f"{IMAGES}: idx size is 25 bytes, its header announces 2368 (3 x 28 x 28)",
        ),
        ({LABELS: idx_labels([1, 2, 10])}, f"{LABELS}: label 10 at row 2, allowed are 0 to 9"),
        ({f"a/{IMAGES}": idx_images(3), f"a/{LABELS}": idx_labels([1, 2])}, "/a: 3 images but 2 labels"),
    ],
)
def test_a_broken_file_is_named_in_one_sentence(run_step, files, sentence):
    outcome = run_step("idx/validate", files)
    assert outcome.status == 1
    assert outcome.stderr.startswith(sentence)
    assert outcome.stderr.count("\n") == 1


def test_folders_are_compared_each_for_itself(run_step):
    files = {
        f"a/{IMAGES}": idx_images(2),
        f"a/{LABELS}": idx_labels([1, 2]),
        f"b/{IMAGES}": idx_images(1),
        f"b/{LABELS}": idx_labels([3]),
    }
    outcome = run_step("idx/validate", files)
    assert outcome.status == 0
    assert outcome.report["labels"] == {"rows": 3}


def test_a_file_that_is_no_gzip_is_refused_and_counted(run_step):
    outcome = run_step("idx/validate", {"LICENSE": b"MIT", LABELS: idx_labels([1])})
    assert list(outcome.files) == [LABELS]
    assert outcome.report["rejected"] == {"not-idx": 1}
