"""Rows and readers that the tests of several formats share."""

import copy

import pytest
from hypothesis import strategies as st

from annotation.importing.readers.columns import ColumnMap
from annotation.importing.readers.fields import NamedStrengths
from annotation.importing.readers.margins import Margins
from annotation.importing.readers.registry import (
    COMPARISON_READERS,
    DEMONSTRATION_READERS,
    PROMPT_READERS,
)
from annotation.importing.rows import RowError

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=[]), max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip

ORDERS = st.lists(st.integers(0, 4), min_size=2, max_size=6).flatmap(
    lambda ranks: st.tuples(
        st.just(ranks),
        st.lists(st.integers(0, 3), min_size=len(set(ranks)) - 1, max_size=len(set(ranks)) - 1),
    )
)


USER = [{"role": "user", "content": "Why?"}]

JUDGMENT = {
    "judgment_id": "7", "supersedes": None, "is_current": True, "withdrawn": False, "surplus": False,
    "project": "kitchen", "batch": "b", "round": None, "criterion": "helpful", "purpose": "normal", "task_id": "3",
    "prompt_id": "p1", "prompt": [{"role": "user", "content": "Why?"}],
    "responses": [
        {"response_id": "x", "text": "a", "source": "policy", "policy": "base", "sampling": {"temperature": 1.0},
         "marks": {"harmful": 1.0}},
        {"response_id": "y", "text": "b", "source": "person", "policy": None, "sampling": None, "marks": {}},
        {"response_id": "z", "text": "c", "source": "import", "policy": None, "sampling": None, "marks": {}},
    ],
    "order_shown": ["z", "x", "y"], "tiers": [["y"], ["x", "z"]], "strengths": [2], "annotator": "annotator-1",
    "annotator_kind": "person", "rationale": "clear", "flags": ["hard"], "seconds": 12.5, "guideline_version": 1,
    "settings_version": 1, "split": "train", "created_at": "2026-01-31T09:30:00.000000Z",
}  # fmt: skip


COMPARISON = {
    "group_id": "g1", "criterion": "helpful", "prompt": [{"role": "user", "content": "Why?"}],
    "responses": ["a", "b", "c"], "response_ids": ["x", "y", "z"], "ranks": [1, 0, 1],
    "grade": [[None, None, None], [2.0, None, 2.4], [None, None, None]],
    "soft_preference": [[None, 0.0, 0.5], [1.0, None, 1.0], [0.5, 0.0, None]], "weight": 1.0, "n_annotators": 1,
    "agreement": None, "annotator_kind": "person", "round": None, "split": "train",
}  # fmt: skip


OTHER_READERS = {"prompts": PROMPT_READERS["records"], "demonstrations": DEMONSTRATION_READERS["records"]}


def make_reader(name, named_strengths=None, margins=None, **mapping):
    """A reader of comparisons by its format; those of `prompts` and `demonstrations` by these words."""
    mapping = {
        field: [columns] if isinstance(columns, str) else columns for field, columns in mapping.items()
    }
    if name in OTHER_READERS:
        kind = OTHER_READERS[name]
        return kind(ColumnMap(kind.fields, mapping, format_name=name))
    kind = COMPARISON_READERS[name]
    return kind(
        ColumnMap(kind.fields, mapping, format_name=name),
        criterion="helpful",
        named_strengths=NamedStrengths(named_strengths or {}),
        margins=Margins(margins),
    )


def read_one(name, row, **mapping):
    (found,) = make_reader(name, **mapping).read(row, 1)
    return found


def read_records(row):
    return make_reader("records").read(row, 1)


def problem_with(name, row, **mapping):
    with pytest.raises(RowError) as problem:
        make_reader(name, **mapping).read(row, 1)
    return str(problem.value)


def assistant_turn(answer):
    return [{"role": "assistant", "content": answer}]


def changed(row, change):
    """The row with other values at these paths."""
    row = copy.deepcopy(row)
    for path, value in change.items():
        *parents, last = path.split(".")
        inside = row
        for part in parents:
            inside = inside[int(part) if part.isdigit() else part]
        inside[last] = value
    return row
