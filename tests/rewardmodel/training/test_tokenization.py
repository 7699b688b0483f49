"""Texts as token ids; training a tokenizer is covered by the runs from random weights in test_train.py."""

from learning.batches.collation import Example
from learning.interface.training_options import BatchOptions
from rewardmodel.training.tokenization import count_truncated, tokenize_prompt_and_responses

PROMPT = [{"role": "user", "content": "Give me the red ball."}]


def test_a_response_without_an_end_loses_only_its_end_token(tokenizer):
    limits = BatchOptions(max_prompt_tokens=48, max_response_tokens=48)
    responses = ["Here is the red ball.", "Here is"]
    whole = tokenize_prompt_and_responses(tokenizer, PROMPT, responses, limits)
    cut = tokenize_prompt_and_responses(tokenizer, PROMPT, responses, limits, has_eos=[True, False])
    assert [ids[-1] for ids in whole.response_ids] == [tokenizer.eos_token_id] * 2
    assert cut.prompt_ids == whole.prompt_ids
    assert cut.response_ids == [whole.response_ids[0], whole.response_ids[1][:-1]]


def test_responses_that_do_not_end_with_the_end_token_are_counted_as_cut():
    assert count_truncated([Example(prompt_ids=[1], response_ids=[[2, 9], [3]])], eos_id=9) == 1
