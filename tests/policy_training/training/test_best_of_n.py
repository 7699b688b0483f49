"""Best-of-n: what it keeps, by enumeration, and the real command."""

import itertools
import math
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from learning.interface.options import UserError
from learning.interface.record_files import read_records
from learning.interface.record_schemas import (
    CANDIDATE_ORIGINS,
    DEMONSTRATIONS,
    SAMPLED_RESPONSES,
    SCORES,
)
from learning.interface.training_options import (
    EvaluationOptions,
    ModelOptions,
    ModelSource,
    OptimizerOptions,
    RuntimeOptions,
)
from policy_training.training.best_of_n import recipe as best_of_n
from policy_training.training.best_of_n.best_answers import (
    Candidate,
    Origin,
    best_answers,
    gain_over_mean,
    kl_bound,
    origin_figures,
)
from policy_training.training.best_of_n.config import BestOfNConfig, CandidateOptions, StoredAnswersOptions
from policy_training.training.config import LanguageModelDataOptions
from policy_training.training.judge_config import JudgeOptions
from policy_training.training.reward_config import RewardSourcesOptions
from rewardmodel.training.scoring import RewardScorer
from tests.policy_training.training.conftest import BATCH, create_run, in_process, launch, prompt_rows


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


def test_the_best_of_several_sources_and_a_stored_answer_has_the_distribution_that_is_known():
    """P(best <= k) = product over sources of F_k^n, and 0 below what is there already: by enumeration of all draws."""
    shares = np.array([[0.5, 0.2, 0.2, 0.1], [0.1, 0.4, 0.3, 0.2]])  # of four answers, the last the best
    draws, stored = (2, 1), 1  # two samples of the one, one of the other, beside the second answer
    found, by_origin = np.zeros(4), Counter()
    origins = [Origin(is_stored=True, source="person"), *(
        Origin(is_stored=False, source="policy", policy=name) for name in ("early", "early", "late")
    )]  # fmt: skip
    for drawn in itertools.product(range(4), repeat=3):
        own = [
            Candidate(text=str(value), score=float(value), ended=True, origin=origin)
            for value, origin in zip((stored, *drawn), origins, strict=True)
        ]
        [place] = best_answers(own, CandidateOptions())
        chance = shares[0, drawn[0]] * shares[0, drawn[1]] * shares[1, drawn[2]]
        found[int(own[place].score)] += chance
        [kept] = [row for row in origin_figures({"p": own}, {"p": [own[place]]}) if row["kept"]]
        by_origin[kept["policy"] or kept["source"]] += chance
    below = (shares[0].cumsum() ** draws[0]) * (shares[1].cumsum() ** draws[1])
    below[:stored] = 0.0
    assert found == pytest.approx(np.diff(below, prepend=0.0), abs=1e-12)
    # What is there already wins where nothing sampled is better, also in a tie: 0.7^2 * 0.5.
    assert by_origin["person"] == pytest.approx(0.245, abs=1e-12)
    assert sum(by_origin.values()) == pytest.approx(1.0)


def test_the_gain_over_the_mean_of_the_candidates_counts_prompts():
    every = {"a": candidates(1.0, 2.0, 6.0), "b": candidates(0.0, 1.0), "c": candidates(5.0)}
    kept = {"a": [every["a"][2]], "b": [every["b"][1]], "c": []}
    gain = gain_over_mean(every, kept)
    # 6 - 3 and 1 - 0.5; standard error sqrt(((3 - 1.75)^2 + (0.5 - 1.75)^2) / 1 / 2) = 1.25.
    assert gain == pytest.approx(
        {"value": 1.75, "low": 1.75 - 1.959964 * 1.25, "high": 1.75 + 1.959964 * 1.25, "prompts": 2}, abs=1e-5
    )
    assert gain_over_mean(every, {"a": [], "b": [], "c": []}) is None


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


def test_the_command_learns_the_best_of_each_prompt(tmp_path, policy_path, reward_model_path):
    config, rows = config_of(policy_path, reward_model_path), prompt_rows(20)
    whole = create_run(tmp_path / "whole", "best_of_n", config, prompts=rows)
    launch(whole)
    first = whole.result()
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


def stored(response_id, row, text, **changed):
    """An answer that is there already, of an earlier policy, in the columns of STORED_CANDIDATES."""
    plain = {
        "source": "policy",
        "policy": "earlier",
        "round": 1,
        "temperature": 0.7,
        "ended": True,
        "reward": None,
    }
    return {"response_id": response_id, "prompt_id": row["prompt_id"], "text": text} | plain | changed


def test_answers_that_are_there_already_compete_with_the_samples(tmp_path, policy_path, reward_model_path):
    rows = prompt_rows(20)
    train = [row for row in rows if row["split"] == "train"]
    heldout = next(row for row in rows if row["split"] != "train")
    given = [
        stored("best", train[0], "the best of all", reward=1e6),  # its reward is taken as it is
        stored("same", train[0], "the best of all", reward=1e6, policy="other"),  # the same text counts once
        stored("cut", train[1], "cut off", reward=1e6, ended=False),
        stored("long", train[1], "far too long for the limit " * 40, reward=1e6),
        stored("low", train[2], "worse than any", reward=-1e6, source="person", policy=None, round=None),
        stored("middle", train[2], "better", reward=1e5, source="reference", policy=None, round=2),
        stored("unscored", train[3], "a small cat", ended=None),
        stored("heldout", heldout, "never learned", reward=1e6),
    ]
    config = config_of(
        policy_path,
        reward_model_path,
        candidates=CandidateOptions(samples_per_prompt=2, temperatures=(0.5, 1.0), only_ended=True),
        sampler_names=("today",),
        stored=StoredAnswersOptions(use=True),
        data=LanguageModelDataOptions(examples_per_step=8, steps=2),
    )
    run = create_run(tmp_path / "run", "best_of_n", config, prompts=rows, candidates=given)
    result = in_process(best_of_n, BestOfNConfig, run)
    origins = {
        row["response_id"]: row for row in read_records(run.path / "origins.parquet", CANDIDATE_ORIGINS)
    }
    assert {name for name, row in origins.items() if row["is_stored"]} == {
        row["response_id"] for row in given
    }
    assert [origins[name]["kept"] for name in ("best", "same", "cut", "long", "low")] == [True] + [False] * 4
    assert not origins["long"]["ended"] and origins["unscored"]["ended"]
    assert origins["best"]["policy"] == "earlier" and origins["best"]["round"] == 1
    # Scored here as the reward model scores any text.
    scorer = RewardScorer.load(str(reward_model_path), batch=BATCH, dtype="fp32")
    [[expected]] = scorer.score([train[3]["messages"]], [["a small cat"]])
    assert origins["unscored"]["reward"] == pytest.approx(expected, abs=1e-5)
    sampled = [row for row in origins.values() if not row["is_stored"]]
    assert Counter((row["policy"], row["temperature"]) for row in sampled) == {
        ("today", 0.5): 2 * 20, ("today", 1.0): 2 * 20,
    }  # fmt: skip
    # The figures are those of the file, of the prompts that are learned.
    learned = {row["prompt_id"] for row in train}
    of_train = [row for row in origins.values() if row["prompt_id"] in learned]
    assert (
        (result["candidates"], result["stored_candidates"]) == (len(of_train), 7) == (7 + 4 * len(train), 7)
    )
    assert sum(row["kept"] for row in result["origins"]) == result["kept"] == result["train_examples"]
    assert result["kl_bound"] is None and result["gain_over_mean"]["value"] > 0
    for figures in result["origins"]:
        own = [
            row
            for row in of_train
            if all(row[name] == figures[name] for name in ("is_stored", "source", "policy", "temperature"))
        ]
        assert (figures["candidates"], figures["kept"]) == (len(own), sum(row["kept"] for row in own))
        assert figures["candidate_score"] == pytest.approx(sum(row["reward"] for row in own) / len(own))
    # Started again it takes the scores that are there.
    (run.path / "result.json").unlink()
    for file in (run.path / "checkpoints").rglob("complete.json"):
        file.unlink()
    again = in_process(best_of_n, BestOfNConfig, run)
    assert again | {"seconds": 0} == result | {"seconds": 0}


def test_only_answers_that_are_there_already_and_all_scored_again(tmp_path, policy_path, reward_model_path):
    rows = prompt_rows(12)
    given = [
        stored(f"{row['prompt_id']}-{number}", row, f"answer {number}", reward=1e6 * number)
        for row in rows[:8]
        for number in range(3)
    ]
    config = config_of(
        policy_path,
        reward_model_path,
        candidates=CandidateOptions(samples_per_prompt=0),
        stored=StoredAnswersOptions(use=True, score_again=True),
        data=LanguageModelDataOptions(examples_per_step=8, steps=2),
    )
    run = create_run(tmp_path / "run", "best_of_n", config, prompts=rows, candidates=given)
    result = in_process(best_of_n, BestOfNConfig, run)
    asked = sum(row["split"] == "train" for row in rows[:8])
    assert (result["candidates"], result["kept"]) == (3 * asked, asked) and result["kept_by_sampler"] == [0]
    assert abs(result["kept_score"]) < 1e5
    assert result["prompts_without_answer"] == sum(row["split"] == "train" for row in rows) - asked


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
        (
            {"candidates": CandidateOptions(samples_per_prompt=0)},
            "samples_per_prompt is 0: without samples, take",
        ),
        (
            {
                "candidates": CandidateOptions(samples_per_prompt=1),
                "rewards": RewardSourcesOptions(
                    judge=JudgeOptions(server=replace(JudgeOptions().server, name="x", model="y"))
                ),
            },
            "rewards.judge compares a prompt's answers with each other, and there is one of each",
        ),
        ({"sampler_names": ("a", "b")}, "sampler_names: 2 names for 1 policies"),
    ],
)
def test_options_of_other_recipes_are_refused_and_not_ignored(changes, said):
    with pytest.raises(ValueError, match=said):
        config_of("x", "y", **changes)
