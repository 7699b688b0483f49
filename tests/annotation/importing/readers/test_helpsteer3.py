import pytest

from tests.annotation.importing.readers.conftest import make_reader, problem_with, read_one

ROW = {"domain": "general", "context": [{"role": "user", "content": "Tea?"}], "response1": "Yes", "response2": "No",
       "overall_preference": -2}  # fmt: skip


@pytest.mark.parametrize(
    ("overall", "ranks", "strengths"),
    [(-3, [0, 1], [3]), (-1, [0, 1], [1]), (0, [0, 0], []), (2, [1, 0], [2]), ("3", [1, 0], [3])],
)
def test_a_negative_preference_is_for_the_first_response(overall, ranks, strengths):
    found = read_one("helpsteer3", ROW | {"overall_preference": overall, "individual_preference": []})
    assert (found.responses, found.ranks, found.strengths) == (["Yes", "No"], ranks, strengths)
    assert found.prompt == ROW["context"]


def test_individual_preferences_are_judgments_with_their_reasons():
    individual = [
        {"score": -2, "reasoning": "Shorter.", "feedback1": "Good.", "feedback2": "Rude."},
        {"score": None, "reasoning": "Away."},
        {"score": 1, "reasoning": "", "feedback1": None, "feedback2": "Kind."},
        {"score": 0},
    ]
    found = make_reader("helpsteer3").read(ROW | {"individual_preference": individual}, 1)
    assert [(one.annotator, one.ranks, one.strengths, one.rationale) for one in found] == [
        ("individual-1", [0, 1], [2], "Shorter.\n\nResponse 1: Good.\n\nResponse 2: Rude."),
        ("individual-3", [1, 0], [1], "Response 2: Kind."),
        ("individual-4", [0, 0], [], ""),
    ]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"overall_preference": 4}, "overall_preference: is 4; it should be between -3 and 3"),
        ({"overall_preference": None}, "overall_preference: is null: nothing says which response is better"),
        ({"response2": "Yes"}, "response2: is the same text as response1"),
        ({"individual_preference": [{"score": 9}]}, "individual_preference.0.score: is 9"),
        ({"individual_preference": ["x"]}, "individual_preference.0: should be an object with a score"),
        (
            {"individual_preference": [{"score": 1, "reasoning": 5}]},
            "individual_preference.0.reasoning: should be",
        ),
        (
            {"individual_preference": [{"score": 1, "reasoning": "x" * 20_001}]},
            "individual_preference.0: has a reason",
        ),
        ({"context": []}, "context: is empty"),
    ],
)
def test_rows_that_cannot_be_taken_say_why(change, problem):
    assert problem_with("helpsteer3", ROW | change).startswith(problem)
