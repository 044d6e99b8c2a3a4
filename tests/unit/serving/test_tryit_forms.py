"""The interface alone decides which form the page at `/` shows."""

import pytest

from cdl.serving.interface import Field
from cdl.serving.tryit import form, wants_page


def only(datatype, *shape):
    return form([Field("x", datatype, shape)], [])


@pytest.mark.parametrize(("shape", "sent"), [((-1,), [1]), ((1,), [1]), ((-1, 1), [1, 1])])
def test_one_text_is_asked_for_in_a_box(shape, sent):
    assert only("BYTES", *shape) == {"kind": "text", "name": "x", "datatype": "BYTES", "shape": sent}


@pytest.mark.parametrize(
    ("datatype", "shape", "picture"),
    [
        ("UINT8", (-1, 28, 28), (28, 28, 1, False, 255)),
        ("FP32", (-1, 784), (28, 28, 1, False, 1)),
        ("FP32", (-1, 28, 28, 1), (28, 28, 1, False, 1)),
        ("UINT8", (1, 48, 64, 3), (48, 64, 3, False, 255)),
        ("FP32", (-1, 3, 48, 64), (48, 64, 3, True, 1)),
    ],
)
def test_pictures_are_drawn_or_chosen(datatype, shape, picture):
    found = only(datatype, *shape)
    assert found["kind"] == "image"
    assert found["shape"] == [1, *shape[1:]]
    assert tuple(found[name] for name in ("height", "width", "channels", "channelsFirst", "most")) == picture


def test_a_row_has_a_cell_for_each_number():
    found = only("FP64", -1, 3)
    assert (found["kind"], found["inputs"]) == ("row", [{"name": "x", "datatype": "FP64", "shape": [1, 3]}])
    assert [cell["label"] for cell in found["cells"]] == ["x 1", "x 2", "x 3"]
    assert [cell["label"] for cell in only("INT64", 2)["cells"]] == ["x 1", "x 2"]


def test_the_model_may_name_the_columns():
    fields = [Field("x", "FP64", (-1, 2))]
    assert [cell["label"] for cell in form(fields, ["length", "width"])["cells"]] == ["length", "width"]
    # names that do not fit are nobody's names
    assert [cell["label"] for cell in form(fields, ["length"])["cells"]] == ["x 1", "x 2"]


def test_several_inputs_make_one_row_of_mixed_types():
    fields = [Field("age", "INT64", (-1, 1)), Field("town", "BYTES", (-1,)), Field("member", "BOOL", (-1, 1))]
    found = form(fields, [])
    assert [(cell["label"], cell["datatype"]) for cell in found["cells"]] == [
        ("age", "INT64"),
        ("town", "BYTES"),
        ("member", "BOOL"),
    ]


@pytest.mark.parametrize(
    ("datatype", "shape"),
    [("FP32", (-1, -1)), ("FP32", (-1, 4000)), ("FP32", (-1, 4, 4)), ("BYTES", (-1, -1)), ("FP32", (2, 3)),
     ("FP32", (-1, 28, 28, 5)), ("FP32", (100_000,))],
)  # fmt: skip
def test_what_fits_no_form_is_left_to_json(datatype, shape):
    assert only(datatype, *shape) is None


def test_an_undeclared_interface_is_left_to_json():
    assert form([], []) is None


def test_only_browsers_get_the_page():
    assert wants_page("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
    assert not any(wants_page(accept) for accept in ("", "*/*", "application/json"))
