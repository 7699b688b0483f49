"""Best-of-n: what it keeps, by enumeration, and the real command."""

import itertools
import math
import signal
from collections import Counter

import numpy as np
import pytest

from learning.interface.options import UserError
from learning.interface.record_files import read_records
from learning.interface.record_schemas import DEMONSTRATIONS, SAMPLED_RESPONSES, SCORES
from learning.interface.training_options import (
    EvaluationOptions,
    ModelOptions,
    ModelSource,
    OptimizerOptions,
    RuntimeOptions,
)
from policy_training.training.best_of_n import recipe as best_of_n
from policy_training.training.best_of_n.best_answers import Candidate, best_answers, kl_bound
from policy_training.training.best_of_n.config import BestOfNConfig, CandidateOptions
from policy_training.training.config import LanguageModelDataOptions
from policy_training.training.reward_config import RewardSourcesOptions
from tests.policy_training.training.conftest import BATCH, create_run, in_process, launch, prompt_rows
from tests.policy_training.training.test_recipes import assert_same_run, interrupt


def candidates(*scores: float, texts=None, ended=None) -> list[Candidate]:
    return [
        Candidate(
            text=texts[place] if texts else f"answer {place}",
            score=score,
            ended=ended[place] if ended else True,
        )
        for place, score in enumerate(scores)
    ]


def test_the_best_of_n_has_the_distribution_and_the_kl_that_are_known():
    """P(best = the k-th) = F_k^n - F_(k-1)^n with F the share of what is not better; KL <= log n - (n - 1) / n."""
    n, share = 3, np.array([0.5, 0.2, 0.2, 0.1])  # of four answers, the last the best
    found = np.zeros(4)
    for drawn in itertools.product(range(4), repeat=n):
        [place] = best_answers(
            candidates(*map(float, drawn), texts=[str(one) for one in drawn]), CandidateOptions()
        )
        found[drawn[place]] += share[list(drawn)].prod()
    below = np.concatenate([[0.0], share.cumsum()])
    assert found == pytest.approx(below[1:] ** n - below[:-1] ** n, abs=1e-12)
    kl = float((found * np.log(found / share)).sum())
    assert kl <= kl_bound(n) == pytest.approx(math.log(3) - 2 / 3)
    # With many answers no two are alike and the bound is nearly reached.
    fine = np.full(10_000, 1e-4)
    best = np.diff(np.concatenate([[0.0], fine.cumsum()]) ** n)
    assert float((best * np.log(best / fine)).sum()) == pytest.approx(kl_bound(n), abs=1e-3)


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({}, [1]),
        ({"ties": "all"}, [1, 3]),
        ({"keep": 3}, [1, 3, 0]),
        ({"keep": 3, "ties": "all"}, [1, 3, 0, 4]),
        ({"keep": 9, "min_score": 1.0}, [1, 3]),
        ({"keep": 9, "only_ended": False}, [2, 1, 3, 0, 4]),
        ({"min_score": 5.0}, []),
    ],
)
def test_ranks_ties_and_the_threshold_are_the_options(options, kept):
    own = candidates(
        0.5, 2.0, 3.0, 2.0, 0.5, 2.0, texts=list("abcdeb"), ended=[True, True, False, True, True, True]
    )
    assert best_answers(own, CandidateOptions(**options)) == kept


def config_of(policy_path, reward_model_path, **changes) -> BestOfNConfig:
    values = {
        "model": ModelOptions(source=ModelSource(path=str(policy_path))),
        "reward_model_path": str(reward_model_path),
        "optimizer": OptimizerOptions(learning_rate=5e-3, warmup_steps=2),
        "candidates": CandidateOptions(samples_per_prompt=8, only_ended=False),
        "batch": BATCH,
        "data": LanguageModelDataOptions(examples_per_step=8, steps=30),
        "evaluation": EvaluationOptions(max_examples=4, logged_samples=2),
        "runtime": RuntimeOptions(checkpoint_every_steps=5),
    }
    return BestOfNConfig(**(values | changes))


def test_a_killed_run_equals_an_uninterrupted_one_and_learned_the_best_of_each_prompt(
    tmp_path, policy_path, reward_model_path
):
    config, rows = config_of(policy_path, reward_model_path), prompt_rows(20)
    whole = create_run(tmp_path / "whole", "best_of_n", config, prompts=rows)
    launch("best_of_n", whole)
    cut = create_run(tmp_path / "cut", "best_of_n", config, prompts=rows)
    status = interrupt(
        "best_of_n", cut, when="checkpoints/step-000010*/complete.json", with_signal=signal.SIGKILL
    )
    assert status == -signal.SIGKILL and cut.has_checkpoint()
    launch("best_of_n", cut)
    assert_same_run(whole, cut, "model")
    timed = {"seconds"}
    first, second = (
        {name: value for name, value in run.result().items() if name not in timed} for run in (whole, cut)
    )
    assert first == second
    # What was kept, from the files: of each prompt the answer with the highest score.
    folder = whole.path / "candidates"
    scores = {
        row["response_id"]: row["reward"]
        for file in folder.glob("*.scores.parquet")
        for row in read_records(file, SCORES)
    }
    best: dict[str, tuple[float, str]] = {}
    for file in sorted(folder.glob("*.responses.parquet")):
        for row in read_records(file, SAMPLED_RESPONSES):
            found = scores[row["response_id"]], row["text"]
            if row["prompt_id"] not in best or found[0] > best[row["prompt_id"]][0]:
                best[row["prompt_id"]] = found
    chosen = read_records(whole.path / "chosen.parquet", DEMONSTRATIONS)
    assert {row["prompt_id"]: row["response"] for row in chosen} == {
        key: text for key, (_, text) in best.items()
    }
    assert (first["candidates"], first["kept"], first["train_examples"]) == (16 * 8, 16, 16)
    trained = [best[row["prompt_id"]][0] for row in rows if row["split"] == "train"]
    assert first["kept_score"] == pytest.approx(sum(trained) / 16, abs=1e-9)
    assert first["kept_score"] > first["candidate_score"]
    losses = [row["loss"] for row in whole.metrics()[0]]
    assert sum(losses[-5:]) < sum(losses[:5])
    assert first["kl"] > 0 and first["kl_bound"] == pytest.approx(math.log(8) - 7 / 8)


def test_killed_while_it_samples_it_goes_on_after_the_last_shard(tmp_path, policy_path, reward_model_path):
    config = config_of(
        policy_path, reward_model_path, data=LanguageModelDataOptions(examples_per_step=8, steps=2)
    )
    run = create_run(tmp_path / "run", "best_of_n", config, prompts=prompt_rows(20))
    in_process(best_of_n, BestOfNConfig, run)
    result, before = run.result(), {}
    (run.path / "result.json").unlink()
    for file in [*(run.path / "checkpoints").rglob("complete.json"), run.path / "chosen.parquet"]:
        file.unlink()
    before = {file.name: file.read_bytes() for file in (run.path / "candidates").iterdir()}
    [scores] = (run.path / "candidates").glob("*.scores.parquet")
    scores.unlink()  # killed between the two files
    again = in_process(best_of_n, BestOfNConfig, run)
    assert {k: v for k, v in again.items() if k != "seconds"} == {
        k: v for k, v in result.items() if k != "seconds"
    }
    assert scores.read_bytes() == before[scores.name]


def test_several_policies_answer_and_the_better_answers_win(tmp_path, policy_path, reward_model_path):
    config = config_of(
        policy_path,
        reward_model_path,
        samplers=(ModelSource(path=str(policy_path)), ModelSource(path=str(policy_path))),
        candidates=CandidateOptions(samples_per_prompt=3, keep=2, only_ended=False),
        data=LanguageModelDataOptions(examples_per_step=8, steps=2),
    )
    run = create_run(tmp_path / "run", "best_of_n", config, prompts=prompt_rows(12))
    result = in_process(best_of_n, BestOfNConfig, run)
    assert (result["candidates"], result["kept"]) == (8 * 6, 16)
    assert sum(result["kept_by_sampler"]) == 16 and min(result["kept_by_sampler"]) > 0
    assert result["kl_bound"] is None
    assert result["alarms"] == [] and result["perplexity_before"] > 1.0 < result["perplexity_after"]
    texts = Counter()
    for file in (run.path / "candidates").glob("*.responses.parquet"):
        for row in read_records(file, SAMPLED_RESPONSES):
            texts[row["policy"], row["text"]] += 1
    # Not the same noise twice.
    assert {text for who, text in texts if who == "0"} != {text for who, text in texts if who == "1"}


def test_nothing_left_to_learn_is_a_sentence(tmp_path, policy_path, reward_model_path):
    config = config_of(policy_path, reward_model_path, candidates=CandidateOptions(min_score=1e9))
    run = create_run(tmp_path / "run", "best_of_n", config, prompts=prompt_rows(8))
    with pytest.raises(UserError, match="none of the 32 answers is kept .min_score 1000000000.0"):
        in_process(best_of_n, BestOfNConfig, run)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"data": LanguageModelDataOptions(texts_share=0.5)},
            "data.texts_share is 0.5, which best-of-n does not",
        ),
        (
            {"data": LanguageModelDataOptions(max_demonstration_tokens=9)},
            "data.max_demonstration_tokens is 9",
        ),
        ({"rewards": RewardSourcesOptions(whiten=True)}, "rewards.whiten is True"),
    ],
)
def test_options_of_other_recipes_are_refused_and_not_ignored(changes, said):
    with pytest.raises(ValueError, match=said):
        config_of("x", "y", **changes)
