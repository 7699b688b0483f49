"""Rows of the comparisons record as pairs, and the comparisons that a loss can use."""

import pytest

from learning.interface.options import UserError
from rewardmodel.training.comparisons import (
    build_targets,
    comparison_from_row,
    count_pairs_without_strength,
    require_no_prompt_leakage,
)
from rewardmodel.training.config import ObjectiveOptions

GOOD = {
    "group_id": "g1",
    "prompt": [{"role": "user", "content": "Name a fruit."}],
    "responses": ["An apple.", "A stone.", "A pear."],
    "ranks": [0, 1, 0],
    "grade": [[None, 3.0, None], [None, None, None], [None, 2.0, None]],
    "soft_preference": [[None, 1.0, 0.5], [0.0, None, 0.0], [0.5, 1.0, None]],
    "weight": 1.0,
    "split": "train",
}


def read(**changes):
    return comparison_from_row({**GOOD, **changes})


def test_a_row_becomes_pairs_with_the_preferred_response_first():
    item = read()
    assert [(p.first, p.second, p.preference, p.strength) for p in item.pairs] == [
        (0, 1, 1.0, 3.0),
        (0, 2, 0.5, 0.0),
        (2, 1, 1.0, 2.0),
    ]
    assert item.is_top_tier == (True, False, True) and len(item.untied_pairs) == 2
    assert all(item.is_usable(name) for name in ("pairwise", "soft_labels", "plackett_luce", "best_of_k"))


def test_a_comparison_that_says_all_are_equal_teaches_only_soft_labels():
    item = read(ranks=[0, 0, 0], soft_preference=[[None, 0.5, 0.5], [0.5, None, 0.5], [0.5, 0.5, None]])
    assert (
        item.is_usable("soft_labels")
        and not item.is_usable("pairwise")
        and not item.is_usable("plackett_luce")
    )
    assert item.is_top_tier == (False, False, False)


def test_an_empty_response_is_kept_and_compared():
    assert read(responses=["a", "", "c"]).responses == ("a", "", "c")


def test_a_comparison_without_weight_is_not_usable():
    assert not read(weight=0.0).is_usable("pairwise")


def test_an_intransitive_group_prefers_whoever_is_never_beaten():
    item = read(ranks=None, soft_preference=[[None, 0.9, None], [0.1, None, 0.2], [None, 0.8, None]])
    assert item.is_top_tier == (True, False, True)


def test_a_prompt_in_two_splits_is_refused():
    require_no_prompt_leakage([read(), read(group_id="g2")], where="file")
    with pytest.raises(UserError, match="'g1' and 'g2' have the same prompt"):
        require_no_prompt_leakage([read(), read(group_id="g2", split="validation")], where="file")


def test_targets_count_responses_through_the_batch():
    targets = build_targets([read(), read()])
    assert targets.first_P.tolist() == [0, 0, 2, 3, 3, 5] and targets.second_P.tolist() == [1, 2, 1, 4, 5, 4]
    assert (
        targets.comparison_N.tolist() == [0, 0, 0, 1, 1, 1]
        and targets.is_untied_P.tolist() == [True, False, True] * 2
    )


def test_a_pair_whose_strength_nobody_gave_has_none():
    nobody = [[None] * 3] * 3
    item = read(grade=nobody)
    assert [pair.strength for pair in item.pairs] == [None, 0.0, None]
    assert build_targets([item]).strength_P.isnan().tolist() == [True, False, True]
    for objective, named in (
        (ObjectiveOptions(margin="small"), "margin 'small'"),
        (ObjectiveOptions(strength_weighted=True), "strength_weighted"),
    ):
        with pytest.raises(UserError, match=f"any of its 2 training pairs.*{named}"):
            count_pairs_without_strength([item], objective)
        assert count_pairs_without_strength([item, read()], objective) == 2
    assert count_pairs_without_strength([item], ObjectiveOptions()) == 2
