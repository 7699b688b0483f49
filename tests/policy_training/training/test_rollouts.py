"""What a reward model reads of sampled responses."""

import pytest

from learning.distributed import DistributedContext
from learning.interface.training_options import BatchOptions, RuntimeOptions
from policy_training.training.config import SamplingOptions
from policy_training.training.rollouts.response_rows import response_row
from policy_training.training.rollouts.rollouts import Prompt, RolloutScorer, cut_notes, tokenize_prompts
from policy_training.training.rollouts.sampler import SampledResponse
from rewardmodel.training.comparisons import comparison_from_row
from rewardmodel.training.tokenization import tokenize_comparisons
from tests.policy_training.training.conftest import BATCH, question

WHOLE, CUT = "The fox is small.", "Sure! The fox is"


@pytest.mark.parametrize("same_tokenizer", [True, False])
def test_training_and_ppo_give_a_reward_model_the_same_ids(
    tokenizer, reward_model_path, monkeypatch, same_tokenizer
):
    """A response that its sampler cut off has no end token in either, however much room the reward model has."""
    words = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in (WHOLE, CUT)]
    drawn = [[*words[0], tokenizer.eos_token_id], words[1]]
    row = {"prompt_id": "p1", "messages": question("fox", 1)}
    (prompt,) = tokenize_prompts([row], tokenizer, BATCH.max_prompt_tokens)
    responses = [
        SampledResponse(
            prompt_id="p1", sample_index=index, token_ids=ids, logprobs=[0.0] * len(ids), has_eos=index == 0
        )
        for index, ids in enumerate(drawn)
    ]
    records = [
        response_row(
            prompt,
            response,
            text,
            response_id=f"r{response.sample_index}",
            policy_name="p",
            options=SamplingOptions(),
            max_tokens=len(words[1]),
            seed=0,
        )
        for response, text in zip(responses, (WHOLE, CUT), strict=True)
    ]
    assert [record["ended"] for record in records] == [True, False]

    roomy = BatchOptions(max_prompt_tokens=24, max_response_tokens=32)
    comparison = comparison_from_row(
        {
            "group_id": "g",
            "prompt": row["messages"],
            "responses": [record["text"] for record in records],
            "ended": [record["ended"] for record in records],
            "ranks": [0, 1],
            "grade": [[None, 1.0], [None, None]],
            "soft_preference": [[None, 1.0], [0.0, None]],
            "weight": 1.0,
            "split": "train",
        }
    )
    (trained,) = tokenize_comparisons(tokenizer, [comparison], roomy)
    assert [list(ids) for ids in trained.response_ids] == drawn

    runtime = RuntimeOptions()
    scorer = RolloutScorer(
        str(reward_model_path),
        tokenizer,
        policy_batch=BATCH,
        batch=roomy,
        runtime=runtime,
        distributed=DistributedContext.start(runtime),
    )
    assert scorer.same_tokenizer
    scorer.same_tokenizer = same_tokenizer  # a reward model of another line reads the text anew
    read = []
    monkeypatch.setattr(
        scorer.reward_model, "score_examples", lambda examples: read.extend(examples) or [[0.0, 0.0]]
    )
    scorer.score([Prompt(prompt_id="p1", messages=row["messages"], token_ids=prompt.token_ids)], [responses])
    assert [list(ids) for ids in read[0].response_ids] == drawn
    assert list(read[0].prompt_ids) == list(trained.prompt_ids)


def test_a_response_of_unknown_end_is_read_as_ended(tokenizer):
    row = {
        "group_id": "g",
        "prompt": question("owl", 2),
        "responses": [WHOLE, CUT],
        "ranks": [0, 1],
        "grade": [[None, 1.0], [None, None]],
        "soft_preference": [[None, 1.0], [0.0, None]],
        "weight": 1.0,
        "split": "train",
    }
    limits = BatchOptions(max_prompt_tokens=24, max_response_tokens=32)
    for ended in ({}, {"ended": None}, {"ended": [None, None]}, {"ended": [True, True]}):
        (example,) = tokenize_comparisons(tokenizer, [comparison_from_row(row | ended)], limits)
        assert [ids[-1] for ids in example.response_ids] == [tokenizer.eos_token_id] * 2


def test_prompts_that_were_cut_are_counted_for_the_page(tokenizer):
    short, long = question("fox", 1), question("fox", 1) * 3
    rows = [{"prompt_id": f"p{n}", "messages": messages} for n, messages in enumerate((short, long, short))]
    length = len(tokenize_prompts(rows[:1], tokenizer, 10_000)[0].token_ids)
    assert cut_notes(tokenize_prompts(rows, tokenizer, length), length) == [
        f"1 of 3 prompts were cut at {length} tokens."
    ]
    assert cut_notes(tokenize_prompts(rows, tokenizer, 10_000), 10_000) == []
