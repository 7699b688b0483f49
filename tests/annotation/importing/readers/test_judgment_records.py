import pytest

from tests.annotation.importing.readers.conftest import JUDGMENT, changed, problem_with, read_records


def test_a_judgment_is_read_whole():
    (found,) = read_records(JUDGMENT)
    assert found.ranks == [1, 0, 1]
    assert (found.responses, found.response_ids) == (["a", "b", "c"], ["x", "y", "z"])
    assert (found.strengths, found.annotator, found.rationale) == ([2], "annotator-1", "clear")
    assert (found.flags, found.seconds, found.task_id, found.prompt_id) == (["hard"], 12.5, "3", "p1")
    assert found.sources == [["policy", "base"], ["person", "person"], ["import", "import"]]
    assert found.marks == [{"harmful": 1.0}, {}, {}]
    assert found.created_at == "2026-01-31T09:30:00+00:00"
    assert [found.response_ids[place] for place in found.order_shown] == JUDGMENT["order_shown"]
    assert found.sampling == [{"temperature": 1.0}, None, None]


@pytest.mark.parametrize("change", [{"is_current": False}, {"withdrawn": True}, {"surplus": True}])
def test_what_does_not_count_is_left_out(change):
    assert read_records(changed(JUDGMENT, change)) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"tiers": [["x"], ["y"]]}, "tiers: does not name every response"),
        ({"tiers": [["x", "x"], ["y", "z"]]}, "tiers: does not name every response"),
        ({"tiers": [["x", "w"], ["y", "z"]]}, "tiers: does not name every response"),
        ({"strengths": [1, 1]}, "strengths: has 2 strengths for 1 steps"),
        ({"strengths": [4]}, "strengths: is 4"),
        ({"responses.1.text": "a"}, "responses: has the same text as responses 1 and 2"),
        ({"order_shown": ["x", "y"]}, "order_shown: does not name every response"),
        ({"order_shown": ["x", "y", "w"]}, "order_shown: does not name every response"),
        ({"order_shown": ["x", "x", "y"]}, "order_shown: does not name every response"),
        ({"annotator": ""}, "annotator: is empty"),
        ({"annotator_kind": "robot"}, "annotator_kind: is robot"),
        ({"purpose": "gold"}, "purpose: is gold"),
        ({"withdrawn": "no"}, "withdrawn: should be true or false but is text"),
        ({"seconds": -1}, "seconds: is -1"),
        ({"seconds": 1e6}, "seconds: is 1e+06; it should be between 0 and 86,400"),
        ({"flags": ["x" * 61]}, "flags: Flags are at most"),
        ({"rationale": "x" * 20_001}, "rationale: has 20,001 characters"),
        ({"created_at": "yesterday"}, "created_at: is “yesterday”"),
        ({"created_at": "2026-01-31T09:30:00"}, "created_at: is “2026"),
        (
            {"created_at": "0001-01-01T00:00:00+14:00"},
            "created_at: is “0001-01-01T00:00:00+14:00”; it should",
        ),
        (
            {"created_at": "9999-12-31T23:59:59-12:00"},
            "created_at: is “9999-12-31T23:59:59-12:00”; it should",
        ),
        ({"created_at": "0999-12-31T23:59:59Z"}, "created_at: is “0999-12-31T23:59:59Z”; it should"),
    ],
)
def test_judgments_that_cannot_be_taken_say_why(change, problem):
    assert problem_with("records", changed(JUDGMENT, change)).startswith(problem)


def test_a_strength_that_nobody_gave_stays_away():
    assert read_records(changed(JUDGMENT, {"strengths": [None]}))[0].strengths == [None]
