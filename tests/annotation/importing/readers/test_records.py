import pytest

from tests.annotation.importing.readers.conftest import (
    COMPARISON,
    JUDGMENT,
    changed,
    make_reader,
    problem_with,
)


def test_the_two_kinds_of_records_are_told_apart_by_their_columns():
    reader = make_reader("records")
    assert (reader.row_id(JUDGMENT), reader.row_id_column(JUDGMENT)) == ("7", "judgment_id")
    assert (reader.row_id(COMPARISON), reader.row_id_column(COMPARISON)) == ("g1", "group_id")
    for row, annotator in ((JUDGMENT, JUDGMENT["annotator"]), (COMPARISON, None)):
        (found,) = reader.read(row, 1)
        assert (found.annotator, found.ranks) == (annotator, [1, 0, 1])


@pytest.mark.parametrize("row", [JUDGMENT, COMPARISON])
def test_records_of_another_criterion_are_refused(row):
    problem = problem_with("records", changed(row, {"criterion": "harmless"}))
    assert problem == "criterion: is harmless, and this import is about helpful"


def test_a_row_of_neither_kind_is_no_record():
    row = changed(COMPARISON, {"ranks": None, "soft_preference": None})
    assert problem_with("records", row).startswith("tiers: is missing, and so are ranks and soft_preference")
