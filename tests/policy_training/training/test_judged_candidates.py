"""A judge in best-of-n: which candidates it compares, and what its verdicts add to their scores."""

from collections import Counter
from itertools import permutations

import pytest

from learning.interface.options import UserError
from learning.interface.record_files import read_records
from learning.interface.record_schemas import CANDIDATE_ORIGINS, SAMPLED_RESPONSES, SCORES
from learning.interface.training_options import EvaluationOptions, ModelSource
from policy_training.training.best_of_n import recipe as best_of_n
from policy_training.training.best_of_n.config import BestOfNConfig, CandidateOptions, StoredAnswersOptions
from policy_training.training.config import LanguageModelDataOptions
from policy_training.training.reward_config import RewardSourcesOptions
from tests.policy_training.training.conftest import create_run, in_process, prompt_rows
from tests.policy_training.training.model_servers import environment_for, serving
from tests.policy_training.training.test_best_of_n import config_of, stored
from tests.policy_training.training.test_judging import options, reply, shown, verdict

WEIGHT = 100.0  # so that the judge decides and the reward model parts what the judge ties


def longer_wins(number, path, body):
    first, second = map(len, shown(body))
    return verdict("TIE" if first == second else "A" if first > second else "B")


def judged_config(policy_path, reward_model_path, samples, **changes) -> BestOfNConfig:
    return config_of(
        policy_path,
        reward_model_path,
        samplers=(ModelSource(path=str(policy_path)), ModelSource(path=str(policy_path))),
        candidates=CandidateOptions(samples_per_prompt=samples, only_ended=False),
        rewards=RewardSourcesOptions(judge=options(weight=WEIGHT)),
        data=LanguageModelDataOptions(examples_per_step=8, steps=2),
        evaluation=EvaluationOptions(max_examples=4, logged_samples=1),
        **changes,
    )


def compared_texts(server, prompts) -> Counter:
    """How often each (prompt, answer A, answer B) was shown."""
    found = Counter()
    for _, body, _ in server.requests:
        conversation = body["messages"][1]["content"].split("\n")[1]
        [prompt] = [key for key, text in prompts.items() if f'"content": "{text}"' in conversation]
        found[(prompt, *shown(body))] += 1
    return found


@pytest.mark.parametrize("samples", [1, 2])
def test_every_candidate_of_a_prompt_is_compared_with_every_other_one_whosever_it_is(
    tmp_path, policy_path, reward_model_path, monkeypatch, samples
):
    """Of two policies and of people, in both orders; the same text once; nothing across prompts. With one sample
    of each policy, no policy has two answers of its own to compare.
    """
    rows = prompt_rows(8)
    train = [row for row in rows if row["split"] == "train"]
    given = [
        stored("person", train[0], "a very long answer of a person " * 3, source="person", policy=None),
        stored("twice", train[0], "a very long answer of a person " * 3, policy="other"),
        stored("cut", train[1], "b", ended=False),
    ]
    config = judged_config(policy_path, reward_model_path, samples, stored=StoredAnswersOptions(use=True))
    run = create_run(tmp_path / "run", "best_of_n", config, prompts=rows, candidates=given)
    with serving(longer_wins) as server:
        for name, value in environment_for(server.address).items():
            monkeypatch.setenv(name, value)
        result = in_process(best_of_n, BestOfNConfig, run)
        asked = list(server.requests)
        # Started again, the run asks nobody and finds the same.
        (run.path / "result.json").unlink()
        for file in [*(run.path / "checkpoints").rglob("complete.json"), run.path / "chosen.parquet"]:
            file.unlink()
        again = in_process(best_of_n, BestOfNConfig, run)
        assert server.requests == asked and again | {"seconds": 0} == result | {"seconds": 0}

    # The candidates, from the files: every text of every policy, with what the reward model alone says.
    folder = run.path / "candidates"
    texts: dict[str, set[str]] = {row["prompt_id"]: set() for row in rows}
    alone, text_of = {}, {row["response_id"]: row["text"] for row in given}
    for file in folder.glob("*.scores.parquet"):
        alone |= {row["response_id"]: row["reward"] for row in read_records(file, SCORES)}
    for file in folder.glob("*.responses.parquet"):
        text_of |= {row["response_id"]: row["text"] for row in read_records(file, SAMPLED_RESPONSES)}
    origins = read_records(run.path / "origins.parquet", CANDIDATE_ORIGINS)
    assert len(origins) == 2 * samples * len(rows) + len(given)
    for row in origins:
        texts[row["prompt_id"]].add(text_of[row["response_id"]])
    prompts = {row["prompt_id"]: row["messages"][-1]["content"] for row in rows}
    assert compared_texts(server, prompts) == Counter(
        (prompt, *pair) for prompt, own in texts.items() for pair in permutations(own, 2)
    )
    # An answer that is longer than all others has reward 1, than half of them 0.
    for row in origins:
        text, own = text_of[row["response_id"]], texts[row["prompt_id"]]
        won = sum(len(text) > len(other) for other in own) - sum(len(text) < len(other) for other in own)
        expected = alone[row["response_id"]] + (WEIGHT * won / (len(own) - 1) if len(own) > 1 else 0.0)
        assert row["reward"] == pytest.approx(expected, abs=1e-6)
    kept = {row["response_id"] for row in origins if row["kept"]}
    assert "person" in kept and "twice" not in kept
    judge = result["rewards"]["judge"]
    assert judge["comparisons"] == judge["requests"] == len(asked)
    assert (judge["order_rate"], judge["not_understood"]) == (0.0, 0)


def test_a_run_that_was_ended_while_it_judged_asks_for_the_other_verdicts_alone(
    tmp_path, policy_path, reward_model_path, monkeypatch
):
    rows = prompt_rows(8)
    run = create_run(
        tmp_path / "run", "best_of_n", judged_config(policy_path, reward_model_path, 2), prompts=rows
    )

    def fails(number, path, body):
        return longer_wins(number, path, body) if number < 9 else (401, {}, b'{"error": "no more"}')

    with serving(fails) as server:
        for name, value in environment_for(server.address).items():
            monkeypatch.setenv(name, value)
        with pytest.raises(UserError, match="no more"):
            in_process(best_of_n, BestOfNConfig, run)
        first = compared_texts(server, {row["prompt_id"]: row["messages"][-1]["content"] for row in rows})
    kept = (run.path / "candidates" / "verdicts.jsonl").read_text().splitlines()
    assert len(kept) == 9 < sum(first.values())
    assert (run.judge()["comparisons"], run.judge()["reply_tokens"]) == (9, 90)
    with serving(longer_wins) as server:
        for name, value in environment_for(server.address).items():
            monkeypatch.setenv(name, value)
        result = in_process(best_of_n, BestOfNConfig, run)
        assert len(server.requests) == result["rewards"]["judge"]["comparisons"] - 9
    assert run.judge() == result["rewards"]["judge"]


def test_a_judge_without_a_verdict_ends_the_run(tmp_path, policy_path, reward_model_path, monkeypatch):
    run = create_run(
        tmp_path / "run",
        "best_of_n",
        judged_config(policy_path, reward_model_path, 2),
        prompts=prompt_rows(8),
    )
    with serving(lambda number, path, body: reply("I cannot say.")) as server:
        for name, value in environment_for(server.address).items():
            monkeypatch.setenv(name, value)
        with pytest.raises(UserError, match="the judge judge-1 gave no verdict in any of"):
            in_process(best_of_n, BestOfNConfig, run)
