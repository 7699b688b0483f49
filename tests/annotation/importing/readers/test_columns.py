import pytest

from annotation.importing.readers.columns import ColumnMap
from annotation.importing.report import ImportRefused
from annotation.importing.rows import RowError, UnreadableValue

ROW = {"meta": {"question": "Why?", "list": [{"x": "y"}]}, "a.b": "dotted", "plain": "p", "nothing": None}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("meta.question", "Why?"),
        ("meta.list.0.x", "y"),
        ("a.b", "dotted"),
        ("plain", "p"),
        ("meta.list.-1.x", "y"),
    ],
)
def test_a_field_is_found_by_a_path_into_nested_cells(column, value):
    columns = ColumnMap(["prompt"], {"prompt": [column]}, format_name="trl")
    assert columns.value(ROW, "prompt") == value
    assert columns.name("prompt") == column


def test_several_columns_make_a_list():
    columns = ColumnMap(["responses"], {"responses": ["plain", "a.b"]}, format_name="ranked")
    assert columns.value(ROW, "responses") == ["p", "dotted"]


def test_a_missing_column_is_named_with_what_the_row_has_and_how_to_map():
    columns = ColumnMap(["prompt"], {}, format_name="trl")
    with pytest.raises(RowError) as problem:
        columns.value(ROW, "prompt")
    assert problem.value.column == "prompt"
    assert problem.value.reason == (
        "is missing (the row has: a.b, meta, nothing, plain); name another with --map prompt=COLUMN"
    )


def test_a_mapped_column_that_is_missing_is_never_taken_for_an_absent_option():
    plain = ColumnMap(["annotator"], {}, format_name="trl")
    assert not plain.has(ROW, "annotator")
    mapped = ColumnMap(["annotator"], {"annotator": ["worker"]}, format_name="trl")
    with pytest.raises(RowError, match="worker: is missing"):
        mapped.has(ROW, "annotator")


def test_a_field_that_the_format_does_not_have_is_refused():
    with pytest.raises(ImportRefused, match="the format trl has no field promt; it has prompt"):
        ColumnMap(["prompt"], {"promt": ["x"]}, format_name="trl")


@pytest.mark.parametrize(
    "value",
    [UnreadableValue("NaN is no JSON number"), [1, {"deep": [UnreadableValue("NaN is no JSON number")]}]],
)
def test_only_a_column_that_is_read_may_not_hold_what_cannot_be_read(value):
    columns = ColumnMap(["score", "text"], {}, format_name="any")
    row = {"score": value, "text": "a"}
    assert columns.value(row, "text") == "a"
    with pytest.raises(RowError, match=r"score: has a value that cannot be read \(NaN is no JSON number\)"):
        columns.value(row, "score")


def test_a_value_nested_as_deep_as_a_file_may_nest_it_is_looked_through():
    value = []
    for _ in range(100_000):
        value = [value]
    assert ColumnMap(["deep"], {}, format_name="any").value({"deep": value}, "deep") is value
