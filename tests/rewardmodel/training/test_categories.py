"""Held-out figures by tag of prompts and by way of asking are those of the pairs in them, counted one by one."""

import math

import pytest
import torch
from scipy.stats import binomtest

from learning.interface.messages import messages_key
from learning.interface.options import options_to_dict
from learning.interface.record_schemas import COMPARISONS, DEMONSTRATIONS, PROMPT_TAGS
from learning.interface.run_directory import RunDirectory
from learning.run_context import RunContext
from rewardmodel.training import evaluate, train
from rewardmodel.training.categories import MAX_TAGS, UNTAGGED
from rewardmodel.training.comparisons import comparison_from_row
from rewardmodel.training.config import EvaluateConfig, ObjectiveOptions, RewardModelConfig
from rewardmodel.training.reporting import split_report
from rewardmodel.training.scoring import RewardScorer
from tests.rewardmodel.training.conftest import comparison_rows, demonstration_rows

# Pairs of an order of three and of two, to tell the ways of asking apart.
ROWS = [*comparison_rows(24, size=3, seed=3), *comparison_rows(20, seed=4)]
for number, row in enumerate(ROWS):
    row |= {"group_id": f"g{number}", "prompt": [{"role": "user", "content": f"Question {number}"}]}
TAGS = [["helpful"], ["harmless", "coding"], [], ["helpful", "coding"]]


def tags_of(number):
    return TAGS[number % len(TAGS)]


def counted(rows, scores):
    """[(right: 1, 0 or 1/2, loss, confidence)] of untied pairs of rows, from the ranks alone."""
    pairs = []
    for row, values in zip(rows, scores, strict=True):
        for i in range(len(values)):
            for j in range(len(values)):
                if row["ranks"][i] < row["ranks"][j]:
                    gap = values[i] - values[j]
                    pairs.append(1.0 if gap > 0 else 0.0 if gap < 0 else 0.5)
    return pairs


@pytest.fixture
def scores():
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(len(row["responses"]), generator=generator).tolist() for row in ROWS]


def report_of(rows, scores, tags):
    items = [comparison_from_row(row) for row in rows]
    return split_report(items, scores, ObjectiveOptions(), tags=tags)


def test_each_tag_has_the_pairs_of_its_prompts(scores):
    by_key = {messages_key(row["prompt"]): tags_of(n) for n, row in enumerate(ROWS) if tags_of(n)}
    report = report_of(ROWS, scores, by_key)
    assert report["by_tag"].keys() == {"helpful", "harmless", "coding", UNTAGGED}
    assert report["tags_left_out"] == 0 and list(report["by_tag"])[-1] == UNTAGGED
    for tag, figures in report["by_tag"].items():
        chosen = [n for n in range(len(ROWS)) if (tag in tags_of(n) if tag != UNTAGGED else not tags_of(n))]
        right = counted([ROWS[n] for n in chosen], [scores[n] for n in chosen])
        assert figures["n"] == len(right) and figures["accuracy"] == pytest.approx(sum(right) / len(right))
        wilson = binomtest(int(sum(right)), len(right)).proportion_ci(0.95, "wilson")
        assert figures["interval"] == pytest.approx([wilson.low, wilson.high], abs=2e-5)
        # The loss by itself: of those comparisons alone, by the definition.
        assert figures["ranking_loss"] == pytest.approx(
            mean_loss([ROWS[n] for n in chosen], [scores[n] for n in chosen])
        )


def mean_loss(rows, scores):
    """-log sigmoid(r_w - r_l), the mean over a comparison's untied pairs, then over comparisons that have any."""
    means = []
    for row, values in zip(rows, scores, strict=True):
        pairs = [
            -math.log(1 / (1 + math.exp(values[j] - values[i])))
            for i in range(len(values))
            for j in range(len(values))
            if row["ranks"][i] < row["ranks"][j]
        ]
        if pairs:
            means.append(sum(pairs) / len(pairs))
    return sum(means) / len(means)


def test_ways_of_asking_are_told_apart_and_add_up(scores):
    rated = [{**row, "group_id": f"ratings/{row['group_id']}"} for row in ROWS[-6:]]
    report = report_of([*ROWS[:-6], *rated], scores, {})
    assert "by_tag" not in report
    expected = {
        "rankings": counted(ROWS[:24], scores[:24]),
        "pairs": counted(ROWS[24:-6], scores[24:-6]),
        "ratings": counted(ROWS[-6:], scores[-6:]),
    }
    for kind, right in expected.items():
        figures = report["by_question"][kind]
        assert (figures["n"], figures["accuracy"]) == (len(right), pytest.approx(sum(right) / len(right)))
    assert sum(figures["n"] for figures in report["by_question"].values()) == report["n"]


def test_the_rarest_of_very_many_tags_are_left_out_and_counted(scores):
    by_key = {
        messages_key(row["prompt"]): [*(f"rare {n} {k}" for k in range(3)), *(["often"] if n % 2 else [])]
        for n, row in enumerate(ROWS)
    }
    report = report_of(ROWS, scores, by_key)
    assert len(report["by_tag"]) == MAX_TAGS and next(iter(report["by_tag"])) == "often"
    assert report["tags_left_out"] == 3 * len(ROWS) + 1 - MAX_TAGS


def test_training_and_evaluation_read_the_tags_of_their_inputs(config, tmp_path):
    rows = comparison_rows(60, seed=7)
    heldout = [row for row in rows if row["split"] == "validation"]
    tagged = [{"prompt": row["prompt"], "tags": ["short"]} for row in heldout[:5]]
    inputs = {
        "comparisons": (rows, COMPARISONS),
        "demonstrations": (demonstration_rows(4), DEMONSTRATIONS),
        "prompt_tags": (tagged, PROMPT_TAGS),
    }
    directory = RunDirectory.create(
        tmp_path / "run", command="rewardmodel.training.train", config=options_to_dict(config), inputs=inputs
    )
    torch.manual_seed(0)
    result = train.main(RunContext.open(directory, RewardModelConfig))
    scorer = RewardScorer.load(tmp_path / "run" / "model", batch=config.batch)
    scores = [scorer.score([row["prompt"]], [row["responses"]])[0] for row in heldout]
    assert result["by_tag"].keys() == {"short", UNTAGGED}
    for name, part in (("short", slice(0, 5)), (UNTAGGED, slice(5, None))):
        right = counted(heldout[part], scores[part])
        assert result["by_tag"][name]["n"] == len(right)
        assert result["by_tag"][name]["accuracy"] == pytest.approx(sum(right) / len(right))
    assert "prompts: short" in (tmp_path / "run" / "model" / "README.md").read_text()

    options = EvaluateConfig(model_path=str(tmp_path / "run" / "model"), batch=config.batch)
    again = RunDirectory.create(
        tmp_path / "evaluation",
        command="rewardmodel.training.evaluate",
        config=options_to_dict(options),
        inputs={name: inputs[name] for name in ("comparisons", "prompt_tags")},
    )
    evaluated = evaluate.main(RunContext.open(again, EvaluateConfig))
    for name, figures in evaluated["by_tag"].items():
        assert figures["accuracy"] == result["by_tag"][name]["accuracy"]
