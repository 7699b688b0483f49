from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.content.splits import assign_split, salt_id, split_key
from learning.interface.vocabulary import SPLITS


def user(text):
    return [{"role": "user", "content": text}]


def test_shares_are_80_10_10_over_many_prompts():
    counts = Counter(assign_split(user(f"Question {number}?"), "salt") for number in range(20_000))
    assert counts["train"] == pytest.approx(16_000, abs=200)
    assert counts["validation"] == pytest.approx(2_000, abs=150)
    assert counts["test"] == pytest.approx(2_000, abs=150)


@pytest.mark.parametrize(
    "other",
    [
        "  how do   I boil\neggs? ",
        "HOW DO I BOIL EGGS?",
        "ｈow do I boil eggs?",  # a full-width letter
        "How do\u00a0I boil eggs?",
    ],
)
def test_spelling_that_means_the_same_question_is_on_the_same_side(other):
    for salt in map(str, range(50)):
        assert assign_split(user("How do I boil eggs?"), salt) == assign_split(user(other), salt)


@given(st.text(), st.text(), st.text(max_size=8))
def test_how_the_conversation_goes_on_does_not_matter(first, later, salt):
    longer = [
        {"role": "system", "content": later},
        *user(first),
        {"role": "assistant", "content": later},
        *user(later),
    ]
    assert assign_split(user(first), salt) == assign_split(longer, salt)
    assert assign_split(longer, salt) in SPLITS


def test_a_conversation_without_a_user_turn_is_taken_whole():
    tool = [{"role": "assistant", "content": "Look it up"}, {"role": "tool", "content": "42"}]
    assert split_key(tool) == "look it up 42"


def test_another_salt_deals_anew_and_its_id_does_not_give_it_away():
    prompts = [user(f"Question {number}?") for number in range(300)]
    assert [assign_split(p, "a") for p in prompts] != [assign_split(p, "b") for p in prompts]
    assert salt_id("a") != salt_id("b")
    assert "secret" not in salt_id("secret")


def test_shares_and_rules_say_themselves_in_a_manifest():
    from annotation.content.splits import SplitRule

    assert (
        SplitRule().describe().endswith("80.00% train, 10.00% validation, the rest test; a file's split wins")
    )
    rule = SplitRule(train_share=0.6, validation_share=0.2, test_per_tag={"helpful": 700, "*": 300})
    assert rule.describe().endswith(
        "test 300 of each other tag, 700 of helpful; validation 25.00% of the rest; a file's split wins"
    )
    everything = SplitRule(train_share=1.0, validation_share=0.0)
    assert {everything.split_at(position) for position in (0.0, 0.5, 0.999999)} == {"train"}
