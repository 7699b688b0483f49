"""LoRA adapters: what is trained, what is saved, and that the base stays as it is (checked against peft's own code)."""

import copy
import json

import pytest
import torch
from peft import PeftModel

from learning.interface.options import UserError
from learning.interface.training_options import LoraOptions, ModelOptions, ModelSource
from learning.models.adapters import (
    adapter_on,
    adapters_merged,
    add_adapter,
    base_identity,
    load_trained_state,
    read_adapter,
    share_weights,
    trained_state,
)
from learning.models.files import save_model
from learning.models.loading import load_policy, load_reward_model
from tests.learning.conftest import scratch_source

IDS = torch.arange(5, 25).view(2, 10)


def disturbed(model):
    """As after some training: B is 0 at first."""
    torch.manual_seed(7)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and "lora_A" not in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return model.eval()


def logits(model):
    with torch.no_grad():
        return model(input_ids=IDS).logits


@pytest.mark.parametrize("load", [load_policy, load_reward_model])
@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_what_is_saved_is_the_model_with_its_adapter_added_and_the_adapter_as_peft_reads_it(
    tmp_path, tokenizer, make_policy, architecture, load
):
    save_model(make_policy(architecture), tokenizer, tmp_path / "base")
    source, saved = ModelSource(path=str(tmp_path / "base")), ModelSource(path=str(tmp_path / "saved"))
    model = load(source, tokenizer)
    plain = share_weights(model)
    if load is load_reward_model:
        plain.score = copy.deepcopy(model.score)  # heads are trained
    add_adapter(model, LoraOptions(rank=4), source)
    assert torch.equal(logits(model.eval()), logits(plain.eval()))  # to the bit
    before = logits(plain)
    expected = logits(disturbed(model))
    assert torch.equal(logits(plain), before) and not torch.allclose(expected, before, atol=1e-2)
    with adapters_merged(model):
        assert not any("lora" in name for name, _ in model.named_modules())
        assert torch.allclose(logits(model), expected, atol=1e-5)
    assert torch.equal(logits(model), expected)

    save_model(model, tokenizer, tmp_path / "saved")
    assert torch.allclose(logits(load(saved, tokenizer).eval()), expected, atol=1e-5)
    by_peft = PeftModel.from_pretrained(load(source, tokenizer), tmp_path / "saved" / "adapter").eval()
    assert torch.allclose(logits(by_peft), expected, atol=1e-6)

    identity = base_identity(source)
    options = adapter_on(saved, identity)
    assert options == LoraOptions(rank=4)
    again = load(source, tokenizer)
    read_adapter(again, saved, options, identity)
    assert torch.equal(logits(again.eval()), expected)
    assert adapter_on(saved, base_identity(saved)) is None and adapter_on(source, identity) is None


def test_the_trained_state_holds_adapters_and_head_alone(tmp_path, tokenizer, make_policy):
    save_model(make_policy(), tokenizer, tmp_path / "base")
    source = ModelSource(path=str(tmp_path / "base"))
    first, second = (load_reward_model(source, tokenizer) for _ in range(2))
    for model in (first, second):
        add_adapter(model, LoraOptions(rank=2, target_modules="q_proj, v_proj"), source)
    assert {name.rpartition(".lora_")[0].rpartition(".")[2] for name in trained_state(first)} == {
        "q_proj", "v_proj", "",
    }  # fmt: skip
    assert "score.weight" in trained_state(first)
    load_trained_state(second, trained_state(disturbed(first)))
    assert torch.equal(logits(second.eval()), logits(first))
    with pytest.raises(RuntimeError, match="Unexpected key"):
        load_trained_state(load_reward_model(source, tokenizer), trained_state(first))


def test_what_cannot_be_is_a_sentence(tmp_path, tokenizer, make_policy):
    save_model(make_policy(), tokenizer, tmp_path / "base")
    source = ModelSource(path=str(tmp_path / "base"))
    with pytest.raises(UserError, match="no linear layer 'wq'; it has .*q_proj"):
        add_adapter(load_policy(source, tokenizer), LoraOptions(rank=2, target_modules="wq"), source)
    with pytest.raises(ValueError, match="rank must be at least 0"):
        LoraOptions(rank=-1)
    with pytest.raises(ValueError, match="alpha must be positive"):
        LoraOptions(rank=1, alpha=0.0)
    with pytest.raises(ValueError, match="nothing to add to"):
        ModelOptions(source=scratch_source(), lora=LoraOptions(rank=1))
    (tmp_path / "base" / "adapter").mkdir()
    (tmp_path / "base" / "adapter" / "base.json").write_text(json.dumps({"options": {}}))
    with pytest.raises(UserError, match="remove the folder"):
        adapter_on(source, base_identity(source))
