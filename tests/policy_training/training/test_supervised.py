"""What SFT checks before its first step, and what it does with little room."""

import dataclasses

import pytest
import torch

from learning.interface.options import UserError
from learning.interface.training_options import (
    BatchOptions,
    ModelArchitecture,
    ModelOptions,
    ModelSource,
    RuntimeOptions,
)
from learning.models.loading import load_policy
from policy_training.training.config import LanguageModelConfig, LanguageModelDataOptions
from policy_training.training.supervised import sft
from policy_training.training.supervised.demonstrations import demonstration_examples
from tests.policy_training.training.conftest import (
    FRESH,
    create_run,
    demonstration_rows,
    in_process,
    sft_config,
)

LONG = [{"role": "user", "content": "What is a fox, please? " * 6}]
SHORT = LanguageModelDataOptions(examples_per_step=16, steps=2)


def model(max_positions: int, **changes) -> ModelOptions:
    fresh = dataclasses.replace(FRESH, max_position_embeddings=max_positions)
    return ModelOptions(source=ModelSource(from_scratch=fresh), **changes)


def with_a_long_heldout_prompt() -> list[dict]:
    rows = demonstration_rows(40)
    assert rows[0]["split"] == "validation"
    return [{**rows[0], "prompt": LONG}, *rows[1:]]


def test_a_held_out_row_that_does_not_fit_is_refused_before_the_first_step(tmp_path):
    wide = BatchOptions(max_prompt_tokens=200, max_response_tokens=16)
    config = sft_config(model=model(48), batch=wide, data=SHORT)
    run = create_run(tmp_path / "run", "sft", config, demonstrations=with_a_long_heldout_prompt())
    with pytest.raises(UserError, match="48 positions"):
        in_process(sft, LanguageModelConfig, run)
    assert not run.metrics()[0]


def test_a_question_that_leaves_little_room_gets_a_short_answer_and_the_run_its_model(tmp_path):
    """The prompt and the longest allowed answer would not fit; the prompt and its own answer do."""
    wide = BatchOptions(max_prompt_tokens=200, max_response_tokens=100)
    config = sft_config(model=model(128), batch=wide, data=SHORT)
    run = create_run(tmp_path / "run", "sft", config, demonstrations=with_a_long_heldout_prompt())
    assert in_process(sft, LanguageModelConfig, run)["steps"] == 2
    assert run.samples()[0]["prompt"] == LONG[0]["content"]
    assert (run.path / "model" / "model.safetensors").is_file()


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_gradient_checkpointing_is_used_and_changes_rounding_at_most(tmp_path, monkeypatch, dtype):
    used = []

    def recorded(*args, **kwargs):
        made = load_policy(*args, **kwargs)
        used.append(made)
        return made

    monkeypatch.setattr("policy_training.training.supervised.training.load_policy", recorded)
    losses = []
    for asked in (False, True):
        config = sft_config(
            model=model(64, gradient_checkpointing=asked), data=SHORT, runtime=RuntimeOptions(dtype=dtype)
        )
        run = create_run(tmp_path / str(asked), "sft", config, demonstrations=demonstration_rows(40))
        losses.append(in_process(sft, LanguageModelConfig, run)["loss_after"])
    assert [made.is_activation_checkpointing for made in used] == [False, True]
    assert losses[0] == pytest.approx(losses[1], rel=1e-6 if dtype == "fp32" else 2e-2)


def test_an_architecture_whose_tokenizer_others_rebuild_is_refused(tmp_path):
    fresh = ModelArchitecture(**{**dataclasses.asdict(FRESH), "architecture": "qwen2"})
    config = sft_config(model=ModelOptions(source=ModelSource(from_scratch=fresh)), data=SHORT)
    run = create_run(tmp_path / "run", "sft", config, demonstrations=demonstration_rows(40))
    with pytest.raises(UserError, match="choose llama"):
        in_process(sft, LanguageModelConfig, run)
    assert torch.is_grad_enabled() and not (run.path / "model").exists()


def test_what_a_tool_says_in_a_demonstration_is_read_and_not_learned(tokenizer):
    call = {"id": "c1", "name": "weather", "arguments": "{}"}
    turns = [
        {"role": "assistant", "content": "Let me look", "tool_calls": [call]},
        {"role": "tool", "content": "rain"},
        {"role": "assistant", "content": "Take a hat"},
    ]
    row = {"prompt": [{"role": "user", "content": "A hat?"}], "response": "", "turns": turns}
    examples = demonstration_examples(row, tokenizer, BatchOptions())
    read = [(tokenizer.decode(e.prompt_ids), tokenizer.decode(e.response_ids[0])) for e in examples]
    asked = "<|bos|><|user|>A hat?<|assistant|>"
    called = 'Let me look\n<tool_call>{"name": "weather", "arguments": {}}</tool_call><|eos|>'
    assert read == [
        (asked, called),
        (f"{asked}{called}<|tool|>rain<|assistant|>", "Take a hat<|eos|>"),
    ]
