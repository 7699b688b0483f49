import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.importing.readers.registry import COMPARISON_READERS
from annotation.importing.rows import RowError
from annotation.importing.source_files import read_rows
from tests.annotation.importing.conftest import GRADED, HH, QA, SHARED_DATA, graded_rows, hh_rows, qa_rows
from tests.annotation.importing.readers.conftest import ANY_JSON, make_reader


@pytest.mark.parametrize("name", COMPARISON_READERS)
@given(data=st.data())
def test_no_row_breaks_a_reader(name, data):
    """A row of the right columns with anything in them is read, or is a RowError that names a column."""
    one = make_reader(name)
    row = data.draw(st.fixed_dictionaries({}, optional=dict.fromkeys(one.fields[:12], ANY_JSON)))
    try:
        one.row_id(row)
        found = one.read(row, 1)
    except RowError as problem:
        assert problem.column
        assert problem.reason
    else:
        json.dumps([item.as_json() for item in found]).encode()


# (rows or file, how to read it, judgments, bad rows, flagged groups). Counts of the real files are those of
# the data's README.
FILES = [
    (list(hh_rows(200)), HH, 196, 4, 0),
    (list(qa_rows(100)), QA, 95 + 5 * 6, 0, 5),
    (list(graded_rows(100)), GRADED, 90, 10, 0),
] + [
    (SHARED_DATA / name, *expected)
    for name, *expected in (
        ("hh_rlhf_helpful_base_test.jsonl.gz", HH, 1984, 2, 0),
        ("hh_rlhf_helpful_rejection_sampled_test.jsonl.gz", HH, 2319, 30, 0),
        ("hh_rlhf_harmless_base_test.jsonl.gz", HH, 1974, 0, 0),
        ("finegrained_qa_feedback_4way_with_ties.jsonl.gz", QA, 404 + 21 * 6, 0, 21),
        ("tulu1_graded_pairs_17_evaluators.jsonl.gz", GRADED, 961, 35, 0),
    )
    if (SHARED_DATA / name).is_file()
]


@pytest.mark.parametrize(
    ("source", "read_as", "judgments", "bad", "groups"),
    FILES,
    ids=lambda value: value.name if isinstance(value, Path) else None,
)
def test_whole_files_are_read_as_they_are_known_to_be(write_rows, source, read_as, judgments, bad, groups):
    name, mapping = read_as
    one = make_reader(name, **mapping)
    good, reasons = [], []
    for line, row in read_rows(source if isinstance(source, Path) else write_rows(source)):
        try:
            good += one.read(row, line)
        except RowError as problem:
            reasons.append(problem.reason)
    assert (len(good), len(reasons)) == (judgments, bad)
    assert all("identical responses carry no preference" in reason for reason in reasons)
    assert len({found.flags[0] for found in good if found.flags}) == groups
