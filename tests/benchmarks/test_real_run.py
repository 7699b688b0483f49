"""The scripts of docs/real-run.md: conversion loses and invents nothing, intervals are the published ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from benchmarks.real_run.convert_coffee import (
    MAX_RESPONSES,
    build_rankings,
    dialogue_demonstrations,
    parse_rating,
)
from benchmarks.real_run.intervals import auc, cluster_bootstrap
from benchmarks.real_run.pair_baselines import BagOfWords, longer_wins, report

MENU = '{"menu_items":[{"menu_item_id":"mocha-3029","name":"Mocha"}]}'
DIALOGUE = {
    "conversation_id": "dlg-1",
    "utterances": [
        {
            "speaker": "user",
            "text": "A mocha please",
            "annotations": [
                ["api_call", "get_menu_items"],
                ["request", '{"query": "Mocha"}'],
                ["api_response", "get_menu_items"],
                ["response", MENU],
                ["api_call", "show_menu"],
                ["api_response", "show_menu"],
                ["response", "no JSON at all"],
            ],
        },
        {"speaker": "assistant", "text": "Is this right?"},
    ],
}


def test_an_accuracy_of_no_pairs_is_refused() -> None:
    with pytest.raises(ValueError, match="n = 0"):
        report("longer wins", np.array([]), [])


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=40))
def test_auc_is_scikit_learns(cases: list[tuple[int, bool]]) -> None:
    scores, labels = [float(score) for score, _ in cases], [float(good) for _, good in cases]
    if len(set(labels)) < 2:
        assert np.isnan(auc(scores, labels))
    else:
        assert auc(scores, labels) == pytest.approx(roc_auc_score(labels, scores))


def test_a_cluster_bootstrap_is_wider_when_cases_of_a_group_repeat_each_other() -> None:
    values = np.repeat(np.random.default_rng(1).normal(size=40), 10)
    independent = cluster_bootstrap(
        [str(i) for i in range(400)], lambda indices: float(values[indices].mean()), draws=400
    )
    grouped = cluster_bootstrap(
        [str(i // 10) for i in range(400)], lambda indices: float(values[indices].mean()), draws=400
    )
    assert grouped[1] - grouped[0] > 2 * (independent[1] - independent[0])


@given(st.dictionaries(st.text(min_size=1, max_size=4), st.booleans(), min_size=1, max_size=16))
def test_every_pair_of_a_good_and_a_bad_answer_is_ranked_once(rated: dict[str, bool]) -> None:
    if min(sum(rated.values()), sum(not good for good in rated.values())) > MAX_RESPONSES - 1:
        return
    prompt = [{"role": "user", "content": "hello"}]
    rows = [{"prompt": prompt, "response": text, "reward": float(good)} for text, good in rated.items()]
    pairs = []
    for ranking in build_rankings("context-1", rows):
        assert 2 <= len(ranking["responses"]) == len(set(ranking["responses"])) <= MAX_RESPONSES
        ranked = list(zip(ranking["responses"], ranking["ranks"], strict=True))
        pairs += [(a, b) for a, rank_a in ranked for b, rank_b in ranked if rank_a < rank_b]
    good, bad = ([text for text, is_good in rated.items() if is_good is wanted] for wanted in (True, False))
    assert sorted(pairs) == sorted((a, b) for a in good for b in bad)


def test_calls_become_json_text_and_the_last_action_is_always_taken() -> None:
    rows = list(dialogue_demonstrations(DIALOGUE, max_actions=9))
    assert [row["response"] for row in rows] == [
        '{"get_menu_items": {"query": "Mocha"}}',
        '{"show_menu": {}}',
        "Is this right?",
    ]
    assert [turn["role"] for turn in rows[-1]["prompt"]] == ["user", "assistant", "tool", "assistant", "tool"]
    assert rows[-1]["prompt"][-1]["content"] == '{"show_menu": "no JSON at all"}'
    assert [row["response"] for row in dialogue_demonstrations(DIALOGUE, max_actions=1)] == ["Is this right?"]


def test_a_rating_keeps_its_label_and_loses_the_welcome() -> None:
    welcome = (
        "Welcome to the Coffee Bar where you can order coffee, tea, espresso, and other drinks ahead of time."
    )
    order = '{"order_id": "29946ee91286486b85f476db465b6c40"}'
    row = parse_rating(
        {
            "uid": "1",
            "context": f'[{{"role": "agent", "text": "{welcome}"}}, {{"role": "api", "response": {order}}}]',
            "generation": f'{{"role": "agent", "api": {{"finish_order": {order}}}}}',
            "reward": 0.0,
        }
    )
    assert row["prompt"] == [{"role": "tool", "content": '{"order_id": "29946e"}'}]
    assert (row["response"], row["reward"]) == ('{"finish_order": {"order_id": "29946e"}}', 0.0)


def test_the_bag_of_words_learns_a_word_and_length_counts_ties_half() -> None:
    pairs = [
        {
            "prompt": [{"role": "user", "content": str(number)}],
            "chosen": [{"role": "assistant", "content": f"good answer {number}"}],
            "rejected": [{"role": "assistant", "content": f"poor answer {number}"}],
        }
        for number in range(20)
    ]
    assert BagOfWords(pairs[:14]).accuracies(pairs[14:]).tolist() == [1.0] * 6
    assert longer_wins(pairs).tolist() == [0.5] * 20
