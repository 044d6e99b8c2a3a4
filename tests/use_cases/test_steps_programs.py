"""The built-in programs but checks, clean and idx: what goes in, what comes out, what is counted."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from .conftest import ROOT
from .test_steps_properties import load

NORMALISE = load("text/normalise")
FOLDERS = sorted(step.parent for step in (ROOT / "pipelines").rglob("step.py"))


def drawn(mode="RGB", size=(8, 6), form="PNG", colour=None, **options):
    page = io.BytesIO()
    Image.new(mode, size, colour or 0).save(page, form, **options)
    return page.getvalue()


def picture(raw):
    with Image.open(io.BytesIO(raw)) as opened:
        opened.load()
        return opened


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f.relative_to(ROOT / "pipelines").as_posix())
def test_every_program_has_a_page_and_a_spec_that_runs_it(folder):
    name = folder.relative_to(ROOT / "pipelines").as_posix()
    assert (folder / "README.md").read_text().startswith(f"# {name}\n")
    document = json.loads((folder / "pipeline.json").read_text())
    assert document["transform"]["cmd"] == ["python3", f"/opt/cdl/pipelines/{name}/step.py"]
    assert f"| `{name}` |" in (ROOT / "pipelines" / "README.md").read_text()


def test_texts_that_look_alike_become_the_same_bytes(run_step):
    files = {
        "a/1.txt": "Caf\u00e9\u200b  au\tlait \r\n\r\n\r\n\r\nend".encode(),
        "a/2.txt": "Cafe\u0301 au lait\n\nend\n\n".encode(),
    }
    outcome = run_step("text/normalise", files)
    assert outcome.files == dict.fromkeys(files, "Caf\u00e9 au lait\n\nend\n".encode())
    assert outcome.report["labels"] == {"rows": 2}


def test_lower_case_is_asked_for_and_other_files_stay(run_step):
    files = {"a/1.txt": "\ufb01ne \u0130".encode(), "b.bin": b"\xff\x00"}
    outcome = run_step("text/normalise", files, CDL_FORM="NFKC", CDL_LOWER="true")
    assert outcome.files == {"a/1.txt": "fine i\u0307\n".encode(), "b.bin": b"\xff\x00"}


@given(st.text(), st.sampled_from(NORMALISE.FORMS), st.booleans())
def test_normalising_twice_changes_nothing_more(text, form, lower):
    once = NORMALISE.normalise(text, form, lower=lower)
    assert NORMALISE.normalise(once, form, lower=lower) == once


@pytest.mark.parametrize(
    ("step", "files", "env", "sentence"),
    [
        ("text/normalise", {"a.txt": b"caf\xe9"}, {}, "a.txt: byte 0xe9 at 3 is no UTF-8; run text/clean before"),
        ("text/normalise", {}, {"CDL_FORM": "NFX"}, "CDL_FORM is NFX, allowed are NFC, NFKC, NFD, NFKD"),
        ("text/normalise", {}, {"CDL_LOWER": "1"}, "CDL_LOWER is 1, allowed are true, false"),
        ("table/clean", {"a.csv": b""}, {}, "a.csv: the table is empty; its first line must name the columns"),
        ("table/clean", {"a.csv": b"a,a\n"}, {}, "a.csv line 1: two columns are called a"),
        ("table/clean", {"a.csv": b"a,\n"}, {}, "a.csv line 1: a column has no name"),
        ("image/decode", {}, {"CDL_MODE": "CMYK"}, "CDL_MODE is CMYK, allowed are L, RGB, RGBA"),
        ("image/decode", {"a.png": drawn()}, {"CDL_MAX_PIXELS": "x"}, "CDL_MAX_PIXELS is x, allowed is a whole number"),
        ("image/decode", {"a.png": drawn(), "a.bmp": drawn(form="BMP")}, {}, "a.png: a.bmp becomes a.png too"),
        ("image/resize", {}, {}, "CDL_SIZE is not set, allowed is a width and a height such as 28x28"),
        ("image/resize", {}, {"CDL_SIZE": "0x3"}, "CDL_SIZE is 0x3, allowed is"),
        ("image/resize", {}, {"CDL_SIZE": "3x3", "CDL_FIT": "x"}, "CDL_FIT is x, allowed are stretch, contain, cover"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(run_step, step, files, env, sentence):
    outcome = run_step(step, files, **env)
    assert outcome.status == 1
    assert sentence in outcome.stderr
    assert outcome.stderr.count("\n") == 1


def test_a_table_is_cleaned_row_by_row(run_step):
    table = '\ufeff name ,price\r\n"  two\n words ",1\r\nx,n/a\r\n,\r\n\r\nragged\r\nx,NULL\r\n"a,b","say ""hi"""\r\n'
    outcome = run_step("table/clean", {"t.csv": table.encode(), "t.tsv": b"a\tb\n1\t-\n", "other.txt": b" x "})
    assert outcome.files == {
        "t.csv": b'name,price\ntwo words,1\nx,\n"a,b","say ""hi"""\n',
        "t.tsv": b"a\tb\n1\t\n",
        "other.txt": b" x ",
    }
    assert outcome.report["rejected"] == {"doubled-row": 1, "ragged-row": 1}
    assert outcome.report["items"] == 5  # four rows and a text
    assert {e["path"]: e["found"] for e in outcome.report["examples"]} == {
        "/t.csv row 5": "1 cells, the heading has 2",
        "/t.csv row 6": "the same as row 2",
    }


def test_what_means_nothing_can_be_named(run_step):
    outcome = run_step("table/clean", {"t.csv": b"a,b\nNA,unknown\n"}, CDL_NULLS="unknown")
    assert outcome.files == {"t.csv": b"a,b\nNA,\n"}


def test_cleaning_a_table_twice_changes_nothing_more(run_step, tmp_path_factory):
    once = run_step("table/clean", {"t.csv": b"a, b\n 1 ,null\n1,\n2,x\n"}).files
    rows = list(csv.reader(io.StringIO(once["t.csv"].decode())))
    assert rows == [["a", "b"], ["1", ""], ["2", "x"]]


@pytest.mark.parametrize(
    ("mode", "form"), [("P", "GIF"), ("L", "JPEG"), ("CMYK", "JPEG"), ("RGBA", "WEBP"), ("1", "PPM")]
)
@pytest.mark.parametrize("wanted", ["L", "RGB", "RGBA"])
def test_every_picture_becomes_a_png_of_one_mode(run_step, mode, form, wanted):
    name = f"cat/1.{form.lower()}"
    outcome = run_step("image/decode", {name: drawn(mode, form=form), "cat/notes.txt": b"x"}, CDL_MODE=wanted)
    assert outcome.stderr == ""
    assert outcome.files["cat/notes.txt"] == b"x"
    made = picture(outcome.files["cat/1.png"])
    assert (made.format, made.mode, made.size) == ("PNG", wanted, (8, 6))
    assert outcome.report["labels"] == {"rows": 2}


def test_equal_pixels_become_equal_bytes(run_step):
    tagged = Image.new("RGB", (8, 6), "red")
    page, exif = io.BytesIO(), Image.Exif()
    exif[0x010E] = "a note of the camera"
    tagged.save(page, "PNG", exif=exif, dpi=(300, 300))
    outcome = run_step("image/decode", {"a.png": page.getvalue(), "b.bmp": drawn("RGB", form="BMP", colour="red")})
    assert len(set(outcome.files.values())) == 1


def test_a_picture_stands_as_its_camera_noted(run_step):
    page, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.new("RGB", (8, 6)).save(page, "JPEG", exif=exif)
    assert picture(run_step("image/decode", {"a.jpg": page.getvalue()}).files["a.png"]).size == (6, 8)


def test_what_is_see_through_lies_on_white(run_step):
    outcome = run_step("image/decode", {"a.png": drawn("RGBA", colour=(0, 0, 0, 0))})
    assert picture(outcome.files["a.png"]).getpixel((0, 0)) == (255, 255, 255)


def test_a_broken_or_huge_picture_stays_behind_and_is_counted(run_step):
    files = {
        "a/cut.png": drawn(size=(64, 64), colour="red")[:-30],
        "a/lie.jpg": b"no picture",
        "a/empty.gif": b"",
        "a/huge.png": drawn(size=(40, 40)),
        "a/good.png": drawn(),
    }
    for step, env in (("image/decode", {}),):
        outcome = run_step(step, files, CDL_MAX_PIXELS="1500", **env)
        assert outcome.report["rejected"] == {"broken-picture": 4}
        assert list(outcome.files) == ["a/good.png"]
    found = {e["path"]: e["found"] for e in outcome.report["examples"]}
    assert found["/a/huge.png"] == "40x40 pixels, allowed are 1500"


@pytest.mark.parametrize("fit", ["stretch", "contain", "cover"])
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_pictures_of_every_mode_get_the_size(run_step, fit, mode):
    outcome = run_step("image/resize", {"a/1.png": drawn(mode)}, CDL_SIZE="5x4", CDL_FIT=fit)
    assert outcome.stderr == ""
    assert picture(outcome.files["a/1.png"]).size == (5, 4)


def test_a_whole_picture_has_edges_and_a_filled_one_has_not(run_step, tmp_path_factory):
    wide = drawn("L", size=(20, 10), colour=200)
    resize = load("image/resize")
    sizes = {fit: resize.resize(picture(wide), (10, 10), fit) for fit in resize.FITS}
    assert {fit: made.getpixel((5, 0)) for fit, made in sizes.items()} == {"stretch": 200, "contain": 0, "cover": 200}


def task(number, label, **parts):
    done = {"result": [{"value": {"choices": [label]}}], "created_at": "2026-01-01", "completed_by": {"email": "ada"}}
    shown = {"id": number, "data": {"path": f"sport/{number}.txt"}, "annotations": [done | parts]}
    return json.dumps(shown).encode()


def stored(outcome):
    return list(csv.DictReader(io.StringIO(outcome.files["labels.csv"].decode())))


def test_labels_of_folders_and_annotations_become_one_table(run_step):
    files = {
        "sport/a.txt": b"x",
        "top.txt": b"x",
        "7.json": task(7, "tech"),
        "8.json": task(8, "tech", was_cancelled=True),
    }
    outcome = run_step("store_labels", files, in_COMMIT="c1")
    folder, annotated = sorted(stored(outcome), key=lambda row: row["label"])
    assert (folder["label"], folder["path"], folder["data_commit"], folder["annotator"]) == (
        "sport",
        "/sport/a.txt",
        "c1",
        "",
    )
    assert annotated == {
        "label_id": "task-7",
        "label": "tech",
        "path": "/sport/7.txt",
        "data_commit": "c1",
        "annotator": "ada",
        "labelled_at": "2026-01-01",
    }
    assert outcome.report["rejected"] == {"no-label": 2}
    assert outcome.files["labels.csv"].partition(b"\n")[2] == outcome.files["labels/0000"]


def test_labels_of_tables_become_one_table(run_step):
    files = {
        "t/a.csv": b"item,topic\n2,tech\n1,sport\n,cars\n3,\n",
        "b.jsonl": b'{"item": 4, "topic": "tech"}\n',
        "sport/c.txt": b"x",
    }
    asked = {"CDL_LABEL_FILES": "*.[cj]s*", "CDL_LABEL_ID": "item", "CDL_LABEL": "topic", "in_COMMIT": "c1"}
    outcome = run_step("store_labels", files, **asked)
    assert {(row["path"], row["label"], row["data_commit"]) for row in stored(outcome)} == {
        ("1", "sport", "c1"),
        ("2", "tech", "c1"),
        ("4", "tech", "c1"),
    }
    assert outcome.report["rejected"] == {"no-label": 2}
    assert outcome.report["labels"] == {"rows": 3}


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        (b"id,label\n1,tech\n1,cars\n", "1: has two labels, tech and cars"),
        (b"id,topic\n1,tech\n", "a.csv: has no column 'label'; columns: id, topic"),
        (b"id,label\n1\n", "a.csv: line 2: 1 cells, the heading has 2"),
    ],
)
def test_tables_that_do_not_say_one_label_each_stop_the_job(run_step, table, sentence):
    outcome = run_step("store_labels", {"a.csv": table}, CDL_LABEL_FILES="*")
    assert (outcome.status, outcome.stderr) == (1, f"{sentence}\n")


def test_the_newest_annotation_counts(run_step):
    document = json.loads(task(7, "tech"))
    document["annotations"].append(
        document["annotations"][0] | {"updated_at": "2026-02-01", "result": [{"value": {"choices": ["b", "a"]}}]}
    )
    outcome = run_step("store_labels", {"7.json": json.dumps(document).encode()})
    assert [row["label"] for row in stored(outcome)] == ["a;b"]


def test_two_items_of_one_label_id_stop_the_job(run_step):
    other = json.loads(task(7, "tech"))
    other["data"]["path"] = "elsewhere.txt"
    outcome = run_step("store_labels", {"7.json": task(7, "tech"), "8.json": json.dumps(other).encode()})
    assert outcome.status == 1
    assert outcome.stderr == "elsewhere.txt: has the label id task-7, as /sport/7.txt has\n".replace(
        "elsewhere", "/elsewhere"
    )
