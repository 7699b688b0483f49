"""Texts as token ids; training a tokenizer is covered by the runs from random weights in test_train.py."""

import copy

import pytest

from learning.interface.options import UserError
from learning.interface.training_options import BatchOptions
from rewardmodel.training.comparisons import comparison_from_row
from rewardmodel.training.tokenization import (
    CutCounts,
    tokenize_comparisons,
    tokenize_prompt_and_responses,
)
from tests.rewardmodel.training.conftest import comparison_rows

PROMPT = [{"role": "user", "content": "Give me the red ball."}]


def test_a_response_without_an_end_loses_only_its_end_token(tokenizer):
    limits = BatchOptions(max_prompt_tokens=48, max_response_tokens=48)
    responses = ["Here is the red ball.", "Here is"]
    whole = tokenize_prompt_and_responses(tokenizer, PROMPT, responses, limits)
    cut = tokenize_prompt_and_responses(tokenizer, PROMPT, responses, limits, ended=[True, False])
    assert [ids[-1] for ids in whole.response_ids] == [tokenizer.eos_token_id] * 2
    assert cut.prompt_ids == whole.prompt_ids
    assert cut.response_ids == [whole.response_ids[0], whole.response_ids[1][:-1]]


def test_cut_prompts_and_responses_are_counted_and_unfinished_ones_are_not_cut(tokenizer):
    words = tokenizer("Here is the red ball.", add_special_tokens=False)["input_ids"]
    prompt = tokenizer.apply_chat_template(PROMPT, tokenize=True, add_generation_prompt=True)["input_ids"]
    counts = CutCounts()
    limits = BatchOptions(max_prompt_tokens=len(prompt), max_response_tokens=len(words))
    texts = ["Here is the red ball.", "Here is the red ball.", "Here is"]
    # The first loses its end token, the second had none, the third is short.
    example = tokenize_prompt_and_responses(
        tokenizer, PROMPT, texts, limits, ended=[True, False, None], counts=counts
    )
    assert example.response_ids[:2] == [words, words]
    assert (counts.prompts, counts.cut_prompts, counts.responses, counts.cut_responses) == (1, 0, 3, 1)
    short = BatchOptions(max_prompt_tokens=len(prompt) - 1, max_response_tokens=48)
    tokenize_prompt_and_responses(tokenizer, PROMPT, texts, short, counts=counts)
    assert (counts.prompts, counts.cut_prompts, counts.responses, counts.cut_responses) == (2, 1, 6, 1)
    assert counts.note(short) == (
        f"1 of 2 prompts were cut at {len(prompt) - 1} tokens, 1 of 6 responses at 48."
    )


def test_two_calls_are_two_responses_to_the_model_and_in_its_prompts(tokenizer):
    """A call used to be dropped: both responses were the empty text."""

    def calling(people):
        call = {"id": "c1", "name": "book", "arguments": f'{{"people": {people}}}'}
        return [{"role": "assistant", "content": "", "tool_calls": [call]}]

    prompt = [{"role": "user", "content": "Book a table for two"}]
    row = {
        **comparison_rows(1)[0],
        "prompt": prompt,
        "responses": ["x", "y"],
        "turns": [calling(2), calling(7)],
    }
    item = comparison_from_row(row)
    batch = BatchOptions(max_prompt_tokens=64, max_response_tokens=128)
    (example,) = tokenize_comparisons(tokenizer, [item], batch)
    texts = [tokenizer.decode(ids) for ids in example.response_ids]
    eos = tokenizer.eos_token
    assert texts == [
        f'\n<tool_call>{{"name": "book", "arguments": {{"people": {people}}}}}</tool_call>{eos}'
        for people in (2, 7)
    ]
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    with pytest.raises(UserError, match="the data has tool calls, and its chat template leaves out"):
        tokenize_comparisons(tokenizer, [item], batch)
