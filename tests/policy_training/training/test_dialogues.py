"""Every assistant turn of a dialogue is learned: which tokens count, against an enumeration of the turns."""

import copy
import dataclasses

import pytest
import torch

from learning.batches.collation import Example, collate, collate_packed
from learning.batches.forward import compute_token_logprobs
from learning.interface.training_options import BatchOptions, ModelSource
from learning.models.loading import load_policy
from learning.models.tokenizers import load_tokenizer
from policy_training.training.config import LanguageModelConfig, LanguageModelDataOptions
from policy_training.training.losses import language_model_loss
from policy_training.training.supervised import sft
from policy_training.training.supervised.demonstrations import demonstration_examples
from policy_training.training.supervised.dialogues import TurnCounts, every_turn_examples
from tests.policy_training.training.conftest import (
    BATCH,
    create_run,
    demonstration_rows,
    in_process,
    sft_config,
)

LONG = BatchOptions(max_prompt_tokens=200, max_response_tokens=56)
CHATML = (
    "{% for m in messages %}{{ '<|user|>' + m['role'] + '\n' + m['content'] + eos_token + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|user|>assistant\n' }}{% endif %}"
)
# As templates of thinking models do: what an earlier answer began with is left out once it is no longer the last.
FORGETFUL = CHATML.replace("m['content'] +", "m['content'].split('!')[-1] +")


def turn(role, content):
    return {"role": role, "content": content}


DIALOGUE = {
    "prompt": [
        turn("system", "Be kind."),
        turn("user", "What is a fox?"),
        turn("assistant", "Sure! The fox is small."),
        turn("user", "And a bear?"),
        turn("assistant", "The bear is big."),
        turn("user", "Thanks. An owl?"),
    ],
    "response": "The owl is kind.",
    "split": "train",
}
ANSWERS = ["Sure! The fox is small.", "The bear is big.", "The owl is kind."]


def counted_runs(example: Example) -> list[list[int]]:
    """The stretches of counted tokens of a row, in order."""
    runs, last = [], False
    flags = example.is_counted[0] if example.is_counted else [True] * len(example.response_ids[0])
    for token, counts in zip(example.response_ids[0], flags, strict=True):
        if counts and not last:
            runs.append([])
        if counts:
            runs[-1].append(token)
        last = counts
    return runs


def templated(tokenizer, template):
    other = copy.deepcopy(tokenizer)
    other.chat_template = template or tokenizer.chat_template
    return other


@pytest.mark.parametrize(("template", "rows"), [(None, 1), (CHATML, 1), (FORGETFUL, 3)])
def test_the_counted_tokens_are_those_of_the_assistants_turns_and_their_ends(tokenizer, template, rows):
    tokenizer = templated(tokenizer, template)
    counts = TurnCounts()
    examples = every_turn_examples(DIALOGUE, tokenizer, LONG, counts)
    assert len(examples) == rows
    expected = [
        [*tokenizer.encode(text, add_special_tokens=False), tokenizer.eos_token_id] for text in ANSWERS
    ]
    assert [run for example in examples for run in counted_runs(example)] == expected
    assert (counts.dialogues, counts.assistant_turns, counts.dialogues_by_turn) == (1, 3, int(rows > 1))
    if rows == 1:
        # The row as a whole is the conversation as the template renders it, ended by the last answer.
        whole = tokenizer.apply_chat_template(
            [*DIALOGUE["prompt"], turn("assistant", ANSWERS[2])], tokenize=False
        )
        ids = tokenizer.encode(whole, add_special_tokens=False)
        row = [*examples[0].prompt_ids, *examples[0].response_ids[0]]
        assert ids[: len(row)] == row and row[-1] == tokenizer.eos_token_id
    batch = collate(examples, layout="padded", pad_id=0)
    assert batch.n_tokens == sum(map(len, expected)) == int(batch.is_response_NR.sum())


def test_turns_that_nobody_can_learn_from_are_read_and_not_learned(tokenizer):
    row = {
        "prompt": [
            turn("assistant", "Hello!"),
            turn("user", "What is a fox?"),
            turn("assistant", "  "),
            turn("user", "Well?"),
        ],
        "response": "Small.",
    }
    counts = TurnCounts()
    examples = every_turn_examples(row, tokenizer, LONG, counts)
    assert examples == demonstration_examples(row, tokenizer, LONG)
    assert (counts.dialogues, counts.assistant_turns) == (1, 1)


def test_a_dialogue_too_long_for_one_row_is_a_row_a_turn_and_counts_the_same_tokens(tokenizer):
    counts = TurnCounts()
    short = BatchOptions(max_prompt_tokens=24, max_response_tokens=20)
    rows = every_turn_examples(DIALOGUE, tokenizer, short, counts)
    assert counts.dialogues_by_turn == 1 and len(rows) == 3
    texts = [tokenizer.decode(list(example.response_ids[0][:-1])) for example in rows]
    assert texts == ANSWERS
    assert all(len(example.prompt_ids) <= 24 for example in rows)


@pytest.mark.parametrize("packed", [False, True])
def test_one_row_gives_the_loss_and_gradient_of_every_turn_by_itself(tokenizer, policy_path, packed):
    """The reference: each turn after its rendered prompt, one at a time, in float64."""
    model = load_policy(ModelSource(path=str(policy_path)), tokenizer).double()
    example = every_turn_examples(DIALOGUE, tokenizer, LONG, TurnCounts())[0]
    other = demonstration_examples(DIALOGUE, tokenizer, LONG)[0]
    if packed:
        batch = collate_packed([[example, other]], pad_id=0)
    else:
        batch = collate([example, other], layout="padded", pad_id=0)
    loss = language_model_loss(compute_token_logprobs(model, batch).double(), batch.is_response_NR)
    gradient = torch.autograd.grad(loss, list(model.parameters()))
    reference = torch.zeros((), dtype=torch.float64)
    messages = [*DIALOGUE["prompt"], turn("assistant", ANSWERS[2])]
    places = [2, 4, 6, 6]  # the last also by itself, as the second example
    for place in places:
        text = tokenizer.apply_chat_template(messages[:place], tokenize=False, add_generation_prompt=True)
        prompt = tokenizer.encode(text, add_special_tokens=False)
        answer = tokenizer.encode(messages[place]["content"], add_special_tokens=False)
        answer = [*answer, tokenizer.eos_token_id]
        logits = model(torch.tensor([prompt + answer])).logits[0]
        logprobs = torch.log_softmax(logits, dim=-1)
        for offset, token in enumerate(answer):
            reference = reference - logprobs[len(prompt) - 1 + offset, token]
    expected = torch.autograd.grad(reference, list(model.parameters()))
    assert loss.item() == pytest.approx(reference.item(), rel=1e-6)
    for ours, theirs in zip(gradient, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_sft_counts_every_turn_only_when_asked(tmp_path):
    rows = [
        row | {"prompt": DIALOGUE["prompt"][:4] + [turn("user", f"And {n}?")]}
        for n, row in enumerate(demonstration_rows(24))
    ]
    tokens = {}
    batch = dataclasses.replace(BATCH, max_prompt_tokens=46, max_response_tokens=16)
    for every in (False, True):
        data = LanguageModelDataOptions(examples_per_step=1000, steps=1, every_assistant_turn=every)
        run = create_run(
            tmp_path / str(every), "sft", sft_config(data=data, batch=batch), demonstrations=rows
        )
        result = in_process(sft, LanguageModelConfig, run)
        tokens[every] = result["tokens"]
        if every:
            assert result["dialogues"] == {"dialogues": 20, "assistant_turns": 40, "dialogues_by_turn": 0}
            assert run.status().notes == ["40 assistant turns of 20 dialogues are learned."]
            assert result["train_examples"] == 20
        else:
            assert "dialogues" not in result
    # Twenty times the first answer and its end more.
    tokenizer = load_tokenizer(tmp_path / "True" / "model")
    first = len(tokenizer.encode(ANSWERS[0], add_special_tokens=False)) + 1
    assert tokens[True] - tokens[False] == 20 * first
