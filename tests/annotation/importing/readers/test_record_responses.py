import pytest

from tests.annotation.importing.readers.conftest import (
    COMPARISON,
    JUDGMENT,
    changed,
    problem_with,
    read_records,
)


def test_settings_of_sampling_are_numbers_also_where_they_are_written_as_text():
    given = {
        "temperature": "0.7",
        "top_p": 1,
        "top_k": "40",
        "max_tokens": 64.0,
        "seed": 42,
        "repetition_penalty": None,
    }
    (found,) = read_records(changed(JUDGMENT, {"responses.0.sampling": given}))
    assert found.sampling[0] == {"temperature": 0.7, "top_p": 1.0, "top_k": 40, "max_tokens": 64, "seed": 42}


@pytest.mark.parametrize("marks", [[("harmful", 1.0)], [{"key": "harmful", "value": 1.0}]])
def test_marks_are_read_in_parquets_spellings_too(marks):
    (found,) = read_records(changed(JUDGMENT, {"responses.0.marks": marks}))
    assert found.marks[0] == {"harmful": 1.0}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"responses.0.text": True}, "responses.0.text: should be text but is a boolean"),
        ({"responses.0.response_id": None}, "responses.0.response_id: should be text but is null"),
        ({"responses.0.source": "moon"}, "responses.0.source: is moon"),
        (
            {"responses.0.logprob": -1.5},
            "responses.0.logprob: cannot be kept; take it out (response_id, text, ",
        ),
        ({"responses.0.marks": {"x": ["y"]}}, "responses.0.marks: A passage is"),
        ({"responses.0.marks": [1, 2]}, "responses.0.marks: should be an object"),
        ({"responses.0.marks": {"x": "\ud800"}}, "responses.0.marks: A mark holds half of a surrogate"),
        ({"responses.0.marks": {"x": float("inf")}}, "responses.0.marks: A mark holds a number"),
        *(
            ({"responses.0.sampling": sampling}, f"responses.0.sampling{problem}")
            for sampling, problem in (
                ("hot", ": should be an object but is text"),
                ([], ": should be an object but is a list"),
                ({"critic": 1}, ".critic: should be text but is a number"),
                ({"critic_candidates": 1.5}, ".critic_candidates: "),
                ({"temperature": "hot"}, ".temperature: should be a number but is “hot”"),
                ({"temperature": {"a": 1}}, ".temperature: should be a finite number but is an object"),
                ({"temperature": "\ud800"}, ".temperature: should be a number but is “\\ud800”"),
                ({"top_p": float("inf")}, ".top_p: should be a finite number"),
                (
                    {"repetition_penalty": True},
                    ".repetition_penalty: should be a finite number but is a boolean",
                ),
                ({"seed": 1.5}, ".seed: should be a whole number"),
                ({"seed": True}, ".seed: should be a whole number but is a boolean"),
                ({"top_k": "a\0"}, ".top_k: should be a whole number but is “a\\x00”"),
                ({"max_tokens": 2**63}, ".max_tokens: is 9223372036854775808"),
                ({"min_p": 0.1}, ".min_p: is not known; take it out (temperature, top_p"),
                ({"\ud800": 1}, ".\\ud800: is not known"),
            )
        ),
    ],
)
def test_responses_that_cannot_be_taken_say_why(change, problem):
    assert problem_with("records", changed(JUDGMENT, change)).startswith(problem)


def test_whether_a_response_ended_comes_back_from_both_kinds_of_records():
    (judged,) = read_records(changed(JUDGMENT, {"responses.0.ended": False, "responses.1.ended": True}))
    assert judged.ended == [False, True, None]
    (compared,) = read_records(changed(COMPARISON, {"ended": [None, False, True]}))
    assert compared.ended == [None, False, True]
    assert read_records(COMPARISON)[0].ended is None
    problem = problem_with("records", changed(COMPARISON, {"ended": [True]}))
    assert problem == "ended: has 1 entries for 3 responses"
    problem = problem_with("records", changed(JUDGMENT, {"responses.0.ended": 1}))
    assert problem == "responses.0.ended: should be true or false but is a number (1)"
