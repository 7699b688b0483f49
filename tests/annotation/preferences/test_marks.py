"""What was said beside the order is what was asked: right values pass as they are, all others are refused."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.errors import InvalidJudgment, InvalidText
from annotation.preferences.marks import (
    clean_asked_marks,
    clean_confidence,
    require_passages,
    show_marks,
)
from workspace.asked import Asked, Mark, parse_asked

ASKED = parse_asked(
    {
        "marks": [
            {"name": "quality", "label": "Quality", "kind": "likert", "points": 7, "required": True},
            {"name": "safe", "label": "Safe?", "kind": "yes_no"},
            {"name": "tone", "label": "Tone", "kind": "choice", "choices": ["warm", "cold"]},
            {"name": "fix", "label": "What to mend", "kind": "text"},
            {"name": "alone", "label": "Alone", "kind": "likert", "points": 3, "tasks": "one"},
            {"name": "among", "label": "Among", "kind": "yes_no", "tasks": "several"},
        ],
        "confidence_points": 9,
    }
)
FIT = {
    "quality": st.integers(1, 7),
    "safe": st.booleans(),
    "tone": st.sampled_from(["warm", "cold"]),
    "fix": st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=40).filter(str.strip),
    "among": st.booleans(),
}
OF_ONE = st.fixed_dictionaries(
    {"quality": FIT["quality"]}, optional={name: values for name, values in FIT.items() if name != "quality"}
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def refused(marks, labels=("A", "B"), asked=ASKED):
    with pytest.raises((InvalidJudgment, InvalidText)) as caught:
        clean_asked_marks(asked, marks, labels)
    return caught.value


@given(marks=st.fixed_dictionaries({"A": OF_ONE, "B": OF_ONE}))
def test_what_was_asked_passes_as_it_is(marks):
    assert clean_asked_marks(ASKED, marks, ["A", "B"]) == marks


@given(name=st.sampled_from([*FIT, "alone", "other"]), value=ANYTHING)
def test_nothing_else_passes(name, value):
    """Each kind by its own words, not by the code's: what passes is of the kind."""
    marks = {"A": {"quality": 1} | {name: value}, "B": {"quality": 7}}
    fits = {
        "quality": type(value) is int and 1 <= value <= 7,
        "safe": value is True or value is False,
        "tone": value in ("warm", "cold"),
        "fix": isinstance(value, str) and "\x00" not in value,
        "among": value is True or value is False,
    }.get(name, False)
    if fits:
        kept = clean_asked_marks(ASKED, marks, ["A", "B"])["A"]
        assert kept.get(name, "") == value or not value.strip()
    else:
        refused(marks)


def test_a_required_mark_that_is_missing_is_named():
    error = refused({"A": {"quality": 3}})
    assert (error.code, error.message) == ("mark_required", "Answer B: say “Quality”.")
    assert refused({}, labels=("A",)).message == "The answer: say “Quality”."


def test_a_mark_of_other_tasks_is_not_asked():
    assert refused({"A": {"quality": 3, "alone": 1}, "B": {"quality": 3}}).code == "mark_unknown"
    assert refused({"A": {"quality": 3, "among": True}}, labels=("A",)).code == "mark_unknown"
    assert clean_asked_marks(ASKED, {"A": {"quality": 3, "alone": 1}}, ["A"]) == {
        "A": {"quality": 3, "alone": 1}
    }


WHY = Mark(name="why", label="What is wrong", kind="span", choices=("untrue", "rude"), required=True)


def passage(start, text, label="untrue"):
    return {"start": start, "end": start + len(text), "label": label, "text": text}


@pytest.mark.parametrize(
    "value",
    [
        [],
        "text",
        [passage(0, "Tea") | {"label": "long"}],
        [passage(0, "Tea") | {"end": 2}],
        [passage(0, "Tea") | {"start": -1}],
        [passage(0, "Tea") | {"more": 1}],
        [passage(0, "")],
        [passage(True, "Tea")],
        ["Tea"],
        [passage(0, "Tea")] * 51,
    ],
)
def test_a_passage_has_a_place_a_label_and_its_text(value):
    asked = Asked(marks=(WHY,))
    good = {"A": {"why": [passage(0, "Tea"), passage(4, "🍵 is", "rude")]}}
    assert clean_asked_marks(asked, good, ["A"]) == good
    refused({"A": {"why": value}}, ("A",), asked)


@given(
    text=st.text(st.sampled_from("ab \r\n🍵é"), max_size=12),
    start=st.integers(0, 12),
    length=st.integers(1, 4),
)
def test_a_passage_stands_in_the_answer_as_a_browser_shows_it(text, start, length):
    """Line ends are one character each: Python's own text reader says how."""
    shown = io.StringIO(text, newline=None).read()
    part = shown[start : start + length]
    if len(part) == length:
        require_passages({"why": [passage(start, part)], "n": 3}, text, "A")
        with pytest.raises(InvalidJudgment):
            require_passages({"why": [passage(start, "x" * length)]}, text, "A")


def test_an_empty_text_is_none_and_a_long_one_is_refused():
    asked = Asked(marks=(Mark(name="fix", label="What to mend", kind="text", required=True),))
    assert refused({"A": {"fix": "  "}}, ("A",), asked).code == "mark_required"
    assert refused({"A": {"fix": "x" * 2001}}, ("A",), asked).code == "mark_unfit"


@pytest.mark.parametrize("value", [0, 10, True, 3.0, "3"])
def test_confidence_is_a_point_of_the_scale(value):
    with pytest.raises(InvalidJudgment):
        clean_confidence(ASKED, value, 2)


def test_confidence_is_asked_of_comparisons_alone():
    assert [clean_confidence(ASKED, point, 2) for point in range(1, 10)] == list(range(1, 10))
    assert clean_confidence(ASKED, None, 1) is None
    assert clean_confidence(Asked(), None, 2) is None
    for asked, value, responses in ((ASKED, None, 2), (ASKED, 3, 1), (Asked(), 3, 2)):
        with pytest.raises(InvalidJudgment):
            clean_confidence(asked, value, responses)


def test_marks_are_shown_in_the_words_of_the_question():
    marks = {"own": 3.5, "tone": "warm", "safe": True, "quality": 6.0, "among": 0.0}
    assert show_marks(ASKED, marks, 2) == [
        ("Quality", "6 of 7"), ("Safe?", "yes"), ("Tone", "warm"), ("Among", "no"), ("own", "3.5"),
    ]  # fmt: skip
