"""Who wins on a prompt, counted by hand."""

import pytest

from policy_training.training.evaluation.verdicts import verdicts


def test_prompts_are_won_by_their_mean_scores_overall_and_by_tag():
    ours = {"a": [1.0, 3.0], "b": [0.0], "c": [5.0], "d": [1.0, 1.0]}
    theirs = {"a": [1.9], "b": [0.0], "c": [6.0], "d": [0.0, 1.0]}
    tags = {"a": ["harm", "harm"], "b": ["harm"], "c": ["code"], "d": []}
    found = verdicts(ours, theirs, tags)
    assert (found["win"], found["tie"], found["lose"], found["share"]) == (2, 1, 1, 0.625)
    # Wilson's interval has at its ends the shares x from which 2.5 of 4 is 1.96 standard errors away.
    for end in found["interval"]:
        assert (0.625 - end) ** 2 == pytest.approx(1.959964**2 * end * (1 - end) / 4, rel=1e-5)
    assert list(found["by_tag"]) == ["code", "harm"]
    assert found["by_tag"]["harm"]["win"] == 1 and found["by_tag"]["harm"]["share"] == 0.75
    assert found["by_tag"]["code"]["lose"] == 1
