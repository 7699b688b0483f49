import pytest
from hypothesis import given

from annotation.importing.readers.fields import (
    NamedStrengths,
    parse_integer,
    parse_name,
    parse_number,
    parse_preference,
    parse_prompt,
    parse_response,
    parse_strength,
    parse_text,
)
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


@pytest.mark.parametrize("value", ["", "   ", [], [{"role": "user", "content": " \n"}]])
def test_an_empty_prompt_is_refused(value):
    with pytest.raises(RowError, match="is empty"):
        parse_prompt(value, "prompt")


@pytest.mark.parametrize(
    ("value", "column"),
    [
        ([{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}], "prompt"),
        ([{"role": "human", "content": "x"}], "prompt.0.role"),
        ([{"content": "x"}], "prompt.0.role"),
        ([{"role": "user", "content": True}], "prompt.0.content"),
        ([{"role": "user"}], "prompt.0.content"),
        (["x"], "prompt.0"),
        ({"role": "user", "content": "x"}, "prompt"),
    ],
)
def test_messages_that_are_no_prompt_name_the_cell(value, column):
    with pytest.raises(RowError) as problem:
        parse_prompt(value, "prompt")
    assert problem.value.column == column


def test_a_text_prompt_is_one_user_turn():
    assert parse_prompt("Hi", "prompt") == [{"role": "user", "content": "Hi"}]


def test_the_fields_of_a_message_are_kept_and_what_cannot_be_kept_is_named():
    turn = {"role": "tool", "content": "42", "name": "x", "tool_call_id": "c1"}
    nothing = {"refusal": None, "annotations": [], "tool_calls": None, "function_call": None}
    assert parse_prompt([turn | nothing], "prompt") == [turn]
    with pytest.raises(RowError, match="prompt.0.audio: cannot be kept"):
        parse_prompt([turn | {"audio": {"id": "a"}}], "prompt")
    with pytest.raises(RowError, match="prompt.0.tool_calls: is on a turn of somebody else"):
        parse_prompt([turn | {"tool_calls": [{"name": "f", "arguments": "{}"}]}], "prompt")
    with pytest.raises(RowError, match="prompt.0.content: should be text but is null"):
        parse_prompt([turn | {"content": None}], "prompt")


CALL = {"id": "c1", "name": "book", "arguments": '{"people": 2}'}


@pytest.mark.parametrize(
    ("field", "value", "stored"),
    [
        ("tool_calls", [CALL], CALL),
        ("tool_calls", [CALL | {"type": "function", "index": 0}], CALL),
        ("tool_calls", [CALL | {"arguments": {"people": 2}}], CALL),
        ("tool_calls", [{"name": "book"}], {"id": None, "name": "book", "arguments": "{}"}),
        (
            "tool_calls",
            [{"id": "c1", "type": "function", "function": {"name": "book", "arguments": '{"people": 2}'}}],
            CALL,
        ),
        ("function_call", {"name": "book", "arguments": '{"people": 2}'}, CALL | {"id": None}),
    ],
)
def test_every_spelling_of_a_call_is_one_call(field, value, stored):
    turns = [{"role": "assistant", "content": None, field: value}]
    assert parse_response(turns, "chosen") == [{"role": "assistant", "content": "", "tool_calls": [stored]}]


@pytest.mark.parametrize(
    ("calls", "problem"),
    [
        ("book", "chosen.0.tool_calls: should be a list"),
        (["book"], "chosen.0.tool_calls.0: should be a call"),
        ([CALL | {"type": "custom"}], "chosen.0.tool_calls.0.type: is not function"),
        ([CALL | {"name": " "}], "chosen.0.tool_calls.0.name: is empty"),
        ([CALL | {"name": None}], "chosen.0.tool_calls.0.name: should be text but is null"),
        ([CALL | {"output": "7"}], "chosen.0.tool_calls.0.output: cannot be kept"),
        ([CALL | {"arguments": "\x00"}], "chosen.0.tool_calls.0.arguments: has a NUL character"),
        ([{"function": {"name": "book", "strict": True}}], "chosen.0.tool_calls.0.function.strict: cannot be kept"),
    ],
)  # fmt: skip
def test_a_call_that_cannot_be_kept_is_refused_by_its_place(calls, problem):
    with pytest.raises(RowError, match=problem):
        parse_response([{"role": "assistant", "content": "", "tool_calls": calls}], "chosen")


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        ("a-is-better", (-1, 2)),
        ("a-is-slightly-better", (-1, 1)),
        ("b-is-better", (1, 2)),
        ("B is significantly better", (1, 3)),
        ("response_2 much better", (1, 3)),
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
        lambda: parse_prompt(value, "c"),
        lambda: parse_response(value, "c"),
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
