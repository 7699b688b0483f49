"""What SFT checks before its first step, and what it does with little room."""

import dataclasses
import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from learning.interface.options import UserError
from learning.interface.training_options import (
    BatchOptions,
    ModelArchitecture,
    ModelOptions,
    ModelSource,
    RuntimeOptions,
)
from learning.models.loading import load_policy
from policy_training.training.config import AdoptConfig, LanguageModelConfig, LanguageModelDataOptions
from policy_training.training.supervised import sft
from policy_training.training.supervised.demonstrations import demonstration_examples
from policy_training.training.weights import adopt
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


def test_ends_of_epochs_stay_and_a_checkpoint_from_scratch_becomes_a_policy(tmp_path):
    """20 rows by 8 a step are 3 steps an epoch, so that 8 steps pass the ends of 2."""
    asked = LanguageModelDataOptions(examples_per_step=8, epochs=2.6, keep_epoch_ends=True)
    config = sft_config(data=asked, runtime=RuntimeOptions(keep_checkpoints=1))
    run = create_run(tmp_path / "run", "sft", config, demonstrations=demonstration_rows(24, heldout=4))
    assert in_process(sft, LanguageModelConfig, run)["steps"] == 8
    stays = {
        folder.name.partition(".")[0]: json.loads((folder / "complete.json").read_bytes())["stays"]
        for folder in (run.path / "checkpoints").iterdir()
    }
    assert stays == {"step-000003": True, "step-000006": True, "step-000008": False}
    shutil.move(run.path / "model", tmp_path / "model")  # as if it had not ended yet
    adopted = {}
    for step in (3, 8):
        [folder] = (run.path / "checkpoints").glob(f"step-00000{step}.*")
        options = AdoptConfig(
            checkpoint_path=str(folder),
            policy=config.model.source,
            tokenizer_path=str(run.path / "tokenizer"),
        )
        adopting = create_run(tmp_path / f"adopt-{step}", "adopt", options)
        assert in_process(adopt, AdoptConfig, adopting)["checkpoint_step"] == step
        adopted[step] = load_file(adopting.path / "model" / "model.safetensors")
    last = load_file(tmp_path / "model" / "model.safetensors")
    assert adopted[8].keys() == last.keys() and all(torch.equal(adopted[8][key], last[key]) for key in last)
    assert any(not torch.equal(adopted[3][key], last[key]) for key in last)
    files = [tmp_path / "model" / "tokenizer.json", adopting.path / "model" / "tokenizer.json"]
    assert files[0].read_bytes() == files[1].read_bytes()


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
