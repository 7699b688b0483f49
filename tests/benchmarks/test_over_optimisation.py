"""Over-optimisation in the experiments' world: best-of-n's KL and peak, and an alarm that comes in time."""

import json
import math
import statistics
from collections import Counter
from dataclasses import replace

import pytest

from benchmarks.experiments import best_of_n, materials, support
from benchmarks.experiments.configurations import CONFIGURATIONS
from benchmarks.experiments.runs import answers_kept, mean_gold
from learning.interface.record_files import read_records
from learning.interface.record_schemas import PROMPTS, SAMPLED_RESPONSES
from policy_training.training.alarms.config import AlarmOptions
from policy_training.training.ppo import recipe as ppo

SEED = 21  # of no run that the alarm was chosen by
POOL, NUMBERS, FEW, MANY = 128, (1, 2, 4, 8, 16, 32, 64), 100, 3000


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    made = materials.Materials(tmp_path_factory.mktemp("experiments") / "materials")
    made.folder.mkdir()
    made.prepare()
    return made


def test_the_share_below_the_peak_is_that_of_the_gain_by_hand():
    golds = [0.0, 1.0, 2.0, 3.0, 2.0, 1.0, 0.0, -1.0]
    # Means of three steps: 7/3 around the peak's, 1 around the sixth, -1/2 of the last two.
    assert support.share_below_peak(golds, 4) == 0.0
    assert support.share_below_peak(golds, 6) == pytest.approx((7 / 3 - 1) / (7 / 3))
    assert support.share_below_peak(golds, 8) == pytest.approx((7 / 3 + 1 / 2) / (7 / 3))


def test_the_report_says_where_the_alarm_comes_and_what_is_missing_there():
    """2000 answers support log 20 = 3.0 nats: the fifth step is the first beyond."""
    golds, kls = [0.0, 1.0, 2.0, 3.0, 2.0, 1.0], [0.0, 0.5, 1.0, 2.9, 3.1, 9.0]
    row = {"seed": 7, "steps": [{"gold": g, "kl": kl} for g, kl in zip(golds, kls, strict=True)]}
    kept = {"seed": 8, "steps": row["steps"][:4]}
    text = support.section({"vanilla": [row], "max": [kept]})
    assert (
        "| vanilla | 7 | 4 | 3.0 | 5 (after) | 3.1 | 14 % | 36 % |" in text
    )  # (7/3 - 2) and (7/3 - 3/2) of 7/3
    assert "| max | 8 | 3 | 3.0 | none | |  |" in text
    assert support.section({}) == ""


@pytest.mark.slow
def test_best_of_n_stays_below_its_kl_and_its_peak_moves_right_with_the_labels(made, monkeypatch):
    monkeypatch.setattr(best_of_n, "POOL", POOL)
    monkeypatch.setattr(best_of_n, "NUMBERS", NUMBERS)
    monkeypatch.setattr(best_of_n, "LABELS", (FEW, MANY))
    rows = [best_of_n.execute(seed, made.folder.parent) for seed in (SEED, SEED + 1)]
    peaks = {}
    for labels in (FEW, MANY):
        golds = [
            statistics.fmean(column)
            for column in zip(*(row["labels"][str(labels)]["gold"] for row in rows), strict=True)
        ]
        peaks[labels] = golds.index(max(golds))
        proxies = [row["labels"][str(labels)]["proxy"] for row in rows]
        assert all(proxy == sorted(proxy) for proxy in proxies)  # what is chosen by always rises
    assert 0 < peaks[FEW] < len(NUMBERS) - 1 and peaks[FEW] < peaks[MANY], peaks

    # The KL of the best of n draws from a question's pool to the pool itself, where equal answers are one.
    path, _ = made.reward_model(SEED, labels=FEW)
    pools: dict[str, Counter[tuple[int, ...]]] = {}
    for row in read_records(made.folder / "pool" / "responses.parquet", SAMPLED_RESPONSES):
        pools.setdefault(row["prompt"][-1]["content"], Counter())[tuple(row["token_ids"])] += 1
    distinct = [(question, ids) for question, pool in pools.items() for ids in pool]
    scores = dict(zip(distinct, best_of_n._scores(path, distinct), strict=True))
    for n in (2, 8, 64):
        kls = [
            kl_of_best(n, [(scores[question, ids], count) for ids, count in pool.items()])
            for question, pool in pools.items()
        ]
        error = statistics.stdev(kls) / math.sqrt(len(kls))
        assert 0 < statistics.fmean(kls) <= math.log(n) - (n - 1) / n + 3 * error


def kl_of_best(n, scored):
    """Nats, of the best of n draws with replacement, from [(score, how often it is there)]: P(best <= y) = F(y)^n."""
    total, below, kl = sum(count for _, count in scored), 0, 0.0
    for _, count in sorted(scored):
        chosen = ((below + count) / total) ** n - (below / total) ** n
        below += count
        if chosen > 0.0:  # it may be less than a float holds
            kl += chosen * math.log(chosen / (count / total))
    return kl


@pytest.mark.slow
@pytest.mark.seeds(5)
def test_the_alarm_comes_before_a_tenth_of_what_gold_gained_is_lost(made, tmp_path, seed):
    """Vanilla PPO with small steps, until the collapse has plainly come: the alarm sees no gold, the test does."""
    configuration = CONFIGURATIONS["vanilla, small steps"]
    options = configuration.options(made, SEED + seed)
    options = replace(
        options,
        rollout=replace(options.rollout, stop_at_kl=12.0),
        alarms=AlarmOptions(),
    )
    with answers_kept(ppo) as kept:
        result = materials.run_in_process(ppo, tmp_path / "run", options, prompts=(made.prompts(), PROMPTS))
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    by_step = {reported.step: mean_gold(reported.answers) for reported in kept[:-1]}
    policy = [line for line in lines if line["phase"] == "policy"]
    golds = [by_step[line["step"]] for line in policy]
    raised = support.raised_at([line["kl"] for line in policy], 1000)
    assert raised is not None and len(result["alarms"]) == 1
    assert result["alarms"][0].startswith(f"Alarm at step {policy[raised - 1]['step']}: the policy is ")
    # Gold has fallen by the end, and the alarm came when most was gained and before a tenth was lost.
    assert support.share_below_peak(golds, len(golds)) > 0.2
    assert support.share_below_peak(golds, raised) < (0.1 if raised > golds.index(max(golds)) else 0.3)
