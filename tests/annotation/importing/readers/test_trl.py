import pytest

from tests.annotation.importing.readers.conftest import USER, assistant_turn, problem_with, read_one

PAIR = {"prompt": USER, "chosen": assistant_turn("good"), "rejected": assistant_turn("bad")}


@pytest.mark.parametrize(
    "row",
    [
        PAIR,
        {"prompt": "Why?", "chosen": "good", "rejected": "bad"},
        {"prompt": "\n\nHuman: Why?\n\nAssistant:", "chosen": "good", "rejected": "bad"},
        {"chosen": USER + assistant_turn("good"), "rejected": USER + assistant_turn("bad")},
        {"prompt": None, "chosen": USER + assistant_turn("good"), "rejected": USER + assistant_turn("bad")},
    ],
)
def test_all_spellings_of_a_trl_pair_mean_the_same(row):
    found = read_one("trl", row)
    assert (found.prompt, found.responses, found.ranks) == (USER, ["good", "bad"], [0, 1])


@pytest.mark.parametrize(
    ("strength", "meaning"), [(2, 2), ("3", 3), ("slightly better", 1), (0, 0), (None, None)]
)
def test_trl_strength_is_a_number_or_a_name(strength, meaning):
    assert read_one("trl", PAIR | {"strength": strength}).strengths == [meaning]


def test_a_soft_label_of_a_half_is_a_tie():
    found = read_one("trl", PAIR | {"soft_label": 0.5, "strength": 0})
    assert (found.ranks, found.strengths) == ([0, 0], [])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"soft_label": 0.2}, "soft_label: is 0.2"),
        ({"strength": True}, "strength: should be a whole number but is a boolean"),
        ({"strength": 7}, "strength: is 7; it should be between 0 and 3"),
        ({"rejected": assistant_turn("good")}, "rejected: is the same text as chosen"),
        ({"rejected": True}, "rejected: should be text but is a boolean"),
        ({"chosen": USER}, "chosen: should end with an assistant turn but ends with user"),
        ({"prompt": ""}, "prompt: is empty"),
        ({"prompt": assistant_turn("x")}, "prompt: should end with a user or tool turn"),
        ({"group_id": "g", "n_pairs_in_group": 99}, "n_pairs_in_group: is 99"),
    ],
)
def test_trl_rows_that_cannot_be_taken_say_why(change, problem):
    assert problem_with("trl", PAIR | change).startswith(problem)


def test_a_trl_row_without_prompt_and_with_plain_text_misses_its_column():
    assert "prompt: is missing" in problem_with("trl", {"chosen": "a", "rejected": "b"})


def test_a_group_may_have_as_long_an_id_as_we_write():
    found = read_one("trl", PAIR | {"group_id": "g" * 190, "pair_index": 0, "n_pairs_in_group": 1})
    assert found.group == "g" * 190
    assert problem_with("trl", PAIR | {"group_id": "g" * 201}).startswith("group_id: is longer than 200")
