"""The scripts that measure the trainers beside TRL: both sides get the same tokens, and ratios are what they say."""

import itertools
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.trainers.prepare import comparison_row, word_tokenizer
from benchmarks.trainers.processes import summary
from benchmarks.trainers.synthetic import BOS, EOS, SMALL, Sizes, make_pairs, make_rankings
from learning.interface.training_options import BatchOptions
from rewardmodel.training.comparisons import comparison_from_row
from rewardmodel.training.tokenization import tokenize_comparisons

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("script", ["reward_model.py", "ppo.py"])
def test_help_needs_no_peer_and_no_trainer(script: str) -> None:
    done = subprocess.run(
        [sys.executable, f"benchmarks/{script}", "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0
    assert "--peer" in done.stdout and "memory_ratio" in done.stdout


@pytest.mark.parametrize("responses", [2, 4, 8])
def test_our_rows_are_the_token_ids_that_the_peer_gets(responses: int) -> None:
    rankings = make_rankings(SMALL, responses)
    rows = [comparison_row(number, ranking) for number, ranking in enumerate(rankings)]
    comparisons = [comparison_from_row(row) for row in rows]
    examples = tokenize_comparisons(word_tokenizer(SMALL), comparisons, BatchOptions())
    assert len(examples) == 6
    for ranking, comparison, example in zip(rankings, comparisons, examples, strict=True):
        assert example.prompt_ids == ranking.prompt_ids and ranking.prompt_ids[0] == BOS
        assert example.response_ids == ranking.response_ids and all(
            ids[-1] == EOS for ids in ranking.response_ids
        )
        # Every pair, the earlier response preferred: what TRL is told of the pairs it gets.
        assert [(pair.first, pair.second, pair.preference) for pair in comparison.pairs] == [
            (first, second, 1.0) for first, second in itertools.combinations(range(responses), 2)
        ]


def test_a_peers_pair_is_a_better_and_a_worse_response_to_one_prompt() -> None:
    rankings = make_rankings(SMALL, 4)
    pairs = make_pairs(rankings, per_prompt=2)
    assert len(pairs) == 12
    for number, (chosen, rejected) in enumerate(pairs):
        ranking = rankings[number // 2]
        whole = [ranking.prompt_ids + ids for ids in ranking.response_ids]
        assert whole.index(chosen) < whole.index(rejected)


def test_lengths_are_those_that_were_asked_for() -> None:
    sizes = Sizes()
    rankings = make_rankings(sizes, 8)
    assert len(rankings) == 64
    assert all(64 <= len(ranking.prompt_ids) <= 256 for ranking in rankings)
    assert all(16 <= len(ids) <= 128 for ranking in rankings for ids in ranking.response_ids)
    assert all(len(ranking.response_ids) == 8 for ranking in rankings)


def report(units: float, cpu: float, wall: float, memory: float) -> dict:
    return {
        "units": units,
        "cpu_s": cpu,
        "wall_s": wall,
        "memory_mb": memory,
        "idle_mb": 400,
        "version": "TRL 1.16.0",
    }


def test_ratios_are_of_medians_and_the_memory_is_the_worst_one() -> None:
    ours = [report(60, 10, 20, 90), report(60, 6, 30, 80), report(60, 5, 10, 85)]  # 6, 10, 12 a second: 10
    theirs = [report(8, 2, 4, 340), report(8, 4, 2, 300), report(8, 1, 1, 360)]  # 4, 2, 8 a second: 4
    table, figures = summary({2: (ours, theirs), 4: (ours, [report(8, 2, 4, 170)])}, "K", "pairs")
    assert figures["k2_ratio"] == 2.5
    assert figures["k2_wall_ratio"] == 0.75  # 3, 2, 6 and 2, 4, 8 a second by the clock
    assert figures["k2_memory_ratio"] == 0.25 and figures["memory_ratio"] == 0.5  # 85 to 340 and to 170
    assert "| 2 | ours | 10.00 (6.00 to 12.00) | 3.00 | 85 | 400 |" in table
