import pytest
from hypothesis import given

from annotation.importing.readers.fields import (
    NamedStrengths,
    parse_integer,
    parse_name,
    parse_number,
    parse_preference,
    parse_strength,
    parse_text,
)
from annotation.importing.readers.messages import MessageParser
from annotation.importing.rows import RowError
from tests.annotation.importing.readers.conftest import ANY_JSON


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (True, "should be text but is a boolean (true)"),
        (None, "should be text but is null"),
        (5, "should be text but is a number (5)"),
        (["x"], "should be text but is a list"),
        ("a\0b", "has a NUL character (character 2)"),
        ("ab\ud83d", "has half of a surrogate pair (character 3)"),
        ("x" * 5_000_000, "has 5,000,000 characters; at most 1,000,000 are taken"),
    ],
)
def test_text_that_is_none_is_refused_with_its_column(value, reason):
    with pytest.raises(RowError) as problem:
        parse_text(value, "chosen")
    assert (problem.value.column, problem.value.reason) == ("chosen", reason)


@pytest.mark.parametrize(
    "value", ["", "x", "a\r\nb", "\ufeffx", "\u202eright to left", "👩‍🍳", "x" * 1_000_000]
)
def test_text_that_is_text_is_taken_as_it_is(value):
    assert parse_text(value, "chosen") == value


@pytest.mark.parametrize(("value", "number"), [(2, 2), ("2", 2), (" 2 ", 2), (2.0, 2), ("+2", 2), (-1, -1)])
def test_numbers_may_be_written_as_text(value, number):
    assert parse_integer(value, "rank", -3, 3) == number


@pytest.mark.parametrize(
    "value", [True, "two", 2.5, "2.5", None, [], "", 4, "9" * 40, 10**40, 1e308, float("inf")]
)
def test_what_is_no_whole_number_in_range_is_refused(value):
    with pytest.raises(RowError):
        parse_integer(value, "rank", -3, 3)


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        ("a-is-better", (-1, 2)),
        ("a-is-slightly-better", (-1, 1)),
        ("b-is-better", (1, 2)),
        ("B is significantly better", (1, 3)),
        ("response_2 much better", (1, 3)),
        ("B is a little better", (1, 1)),
        ("a is barely better / unsure", (-1, 0)),
        ("first_is_negligibly_better", (-1, 0)),
        ("tie", (0, 0)),
        (-3, (-1, 3)),
        ("1", (1, 1)),
        (0, (0, 0)),
        ("left", (-1, 2)),
    ],
)
def test_graded_choices_are_read_by_name(value, meaning):
    assert parse_preference(value, "preference", NamedStrengths({"left": "a:2"})) == meaning


@pytest.mark.parametrize("value", ["a is nicer", "", 4, True, None, "a-is-worse"])
def test_a_preference_without_a_known_meaning_is_refused(value):
    with pytest.raises(RowError):
        parse_preference(value, "preference", NamedStrengths({}))


@given(ANY_JSON)
def test_no_value_breaks_a_parser(value):
    """Whatever JSON can hold, a value is parsed or is a RowError, and what is read can be stored."""
    for parse in (
        lambda: parse_text(value, "c"),
        lambda: parse_name(value, "c"),
        lambda: parse_integer(value, "c", 0, 9),
        lambda: parse_number(value, "c"),
        lambda: MessageParser().prompt(value, "c"),
        lambda: MessageParser().response(value, "c"),
        lambda: parse_strength(value, "c"),
        lambda: parse_preference(value, "c", NamedStrengths({})),
    ):
        try:
            result = parse()
        except RowError:
            continue
        if isinstance(result, str):
            assert "\0" not in result
            result.encode("utf-8")


@pytest.mark.parametrize(
    ("label", "names", "meaning"),
    [
        (1, {"1": "a:2", "0": "b:2"}, (-1, 2)),
        (0, {"1": "a:2", "0": "b:2"}, (1, 2)),
        ("1", {"1": "a:2", "0": "b:2"}, (-1, 2)),
        ("0", {"1": "a:2", "0": "b:2"}, (1, 2)),
        (1.0, {"1": "a:2"}, (-1, 2)),
        (-3, {"-3": "b:1"}, (1, 1)),
        (7, {"7": "tie"}, (0, 0)),
        (True, {"true": "a:3", "false": "b:3"}, (-1, 3)),
        (False, {"true": "a:3", "false": "b:3"}, (1, 3)),
        ("tie", {"tie": "a:1"}, (-1, 1)),
        ("a is better", {"a is better": "b:2"}, (1, 2)),
        # Without a name for it a number is on HelpSteer3's scale, as long as no number was named.
        (-2, {"left": "a:3"}, (-1, 2)),
    ],
)
def test_a_name_that_was_given_wins_whatever_the_label_looks_like(label, names, meaning):
    assert parse_preference(label, "label", NamedStrengths(names)) == meaning


@pytest.mark.parametrize("label", [2, "2", 2.0, -1])
def test_a_number_without_a_name_beside_named_numbers_is_refused(label):
    with pytest.raises(RowError, match="other numbers were given a meaning"):
        parse_preference(label, "label", NamedStrengths({"1": "a:2", "0": "b:2"}))


@pytest.mark.parametrize("label", [True, False])
def test_a_truth_value_without_a_name_says_how_to_name_it(label):
    with pytest.raises(RowError, match=rf"“{str(label).lower()}”.*--strength NAME"):
        parse_preference(label, "label", NamedStrengths({"left": "a:2"}))


def test_names_that_no_label_has_used_are_known():
    names = NamedStrengths({"1": "a:2", "0": "b:2", "tie": "tie"})
    parse_preference(1, "label", names)
    assert names.unused == ["0", "tie"]
