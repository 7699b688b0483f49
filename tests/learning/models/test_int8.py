"""A base in 8 bit against round-to-nearest and matrix products that numpy computes in float64."""

import copy
import json

import numpy as np
import pytest
import torch
from peft import PeftModel
from torch import nn
from transformers.pytorch_utils import Conv1D

from learning.interface.model_folders import is_trained_on_int8
from learning.interface.options import UserError
from learning.interface.training_options import LoraOptions, ModelSource
from learning.models.adapters import (
    adapter_on,
    adapters_merged,
    add_adapter,
    base_identity,
    read_adapter,
    share_weights,
    trained_state,
)
from learning.models.files import save_model
from learning.models.int8 import Int8Conv1D, Int8Linear, quantize, quantize_trunk
from learning.models.loading import load_policy, load_reward_model
from learning.models.sizes import role_sizes
from tests.learning.conftest import scratch_source
from tests.learning.int8_reference import dequantized_like, round_to_nearest
from tests.learning.models.test_adapters import IDS, disturbed, logits

INT8 = LoraOptions(rank=4, base_precision="int8")


def test_weights_are_rounded_to_the_nearest_of_255_levels_of_their_channel():
    torch.manual_seed(3)
    weight = torch.randn(6, 50) * torch.tensor([1e-4, 0.02, 1.0, 30.0, 1.0, 1.0])[:, None]
    weight[4] = 0.0
    weight[5] = torch.linspace(-127, 127, 50).round() + 0.5  # halves go to the even neighbour
    weight[5, 0] = -127.0
    levels, scales = quantize(weight)
    expected, expected_scales = round_to_nearest(weight.numpy())
    assert levels.dtype == torch.int8 and scales.dtype == torch.float32
    assert np.allclose(scales.numpy(), expected_scales, rtol=1e-6)
    assert np.array_equal(levels.numpy(), expected)
    error = np.abs(levels.numpy() * expected_scales[:, None] - weight.numpy().astype(np.float64))
    assert (error <= expected_scales[:, None] * 0.5 * (1 + 1e-6)).all()
    assert set(levels.abs().amax(dim=1).tolist()) == {0, 127}


@pytest.mark.parametrize("kind", [Int8Linear, Int8Conv1D])
@pytest.mark.parametrize("has_bias", [True, False])
def test_a_layer_multiplies_by_the_rounded_weights_and_so_does_its_gradient(kind, has_bias):
    torch.manual_seed(4)
    plain = nn.Linear(40, 24, bias=has_bias) if kind is Int8Linear else Conv1D(24, 40)
    plain.weight.data.normal_()
    if has_bias or kind is Int8Conv1D:
        plain.bias.data.normal_()
    plain.requires_grad_(False)
    layer = kind(plain)
    weight = plain.weight.numpy() if kind is Int8Linear else plain.weight.numpy().T
    levels, scales = round_to_nearest(weight)
    used = levels * scales[:, None]
    bias = 0.0 if plain.bias is None else plain.bias.numpy().astype(np.float64)
    x, gradient = torch.randn(3, 7, 40, requires_grad=True), torch.randn(3, 7, 24)
    kept = []

    def keep(tensor):
        kept.append((tuple(tensor.shape), tensor.dtype))
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        found = layer(x)
    found.backward(gradient)
    exact = x.detach().numpy().astype(np.float64) @ used.T + bias
    assert np.allclose(found.detach().numpy(), exact, atol=1e-4)
    assert np.allclose(x.grad.numpy(), gradient.numpy().astype(np.float64) @ used, atol=1e-4)
    # No copy in floating point waits for the backward pass.
    assert sorted(kept) == [((24,), torch.float32), ((24, 40), torch.int8)]
    with torch.autocast("cpu", torch.bfloat16):
        half = layer(x)
    assert half.dtype == torch.bfloat16
    x.grad = None
    half.sum().backward()
    assert np.allclose(half.detach().float().numpy(), exact, atol=0.03 * np.abs(exact).max())
    slope = used.sum(axis=0)
    assert x.grad.dtype == torch.float32
    assert np.allclose(x.grad.numpy(), np.broadcast_to(slope, x.shape), atol=0.03 * np.abs(slope).max())


@pytest.mark.parametrize("load", [load_policy, load_reward_model])
@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_adapters_on_it_learn_as_on_the_rounded_weights_and_what_is_saved_is_their_sum(
    tmp_path, tokenizer, make_policy, architecture, load
):
    save_model(make_policy(architecture), tokenizer, tmp_path / "base")
    source, saved = ModelSource(path=str(tmp_path / "base")), ModelSource(path=str(tmp_path / "saved"))
    model = load(source, tokenizer)
    head = copy.deepcopy(model.score) if load is load_reward_model else None
    torch.manual_seed(1)  # of the adapter's A
    add_adapter(model, INT8, source)

    # The same adapter on the rounded weights, all of it in float64.
    exact = dequantized_like(load(source, tokenizer).double())
    add_adapter(exact, LoraOptions(rank=4), source)
    if head is not None:
        exact.score.load_state_dict(head.state_dict())
    exact = exact.double()
    disturbed(model)
    exact.load_state_dict({n: t.double() for n, t in trained_state(model).items()}, strict=False)
    for each in (model, exact.eval()):
        each(input_ids=IDS).logits.square().mean().backward()
    assert torch.allclose(logits(model).double(), logits(exact), atol=1e-5)
    slopes, exact_slopes = (
        {name: p.grad.double() for name, p in each.named_parameters() if p.requires_grad}
        for each in (model, exact)
    )
    assert slopes.keys() == exact_slopes.keys() and any("lora_A" in name for name in slopes)
    for name, slope in exact_slopes.items():
        assert slope.abs().max() > 0 and (slopes[name] - slope).abs().max() < 1e-4 * slope.abs().max(), name

    # Saved is the sum, which plain transformers reads; while it samples, the layers stay in 8 bit.
    expected = logits(model)
    with adapters_merged(model):
        assert torch.equal(logits(model), expected)
    save_model(model, tokenizer, tmp_path / "saved")
    again = load(saved, tokenizer).eval()
    assert {p.dtype for p in again.parameters()} == {torch.float32}
    assert torch.allclose(logits(again), expected, atol=1e-5)
    # The adapter says what it was trained on, and peft puts it on full weights as well.
    options = adapter_on(saved, base_identity(source))
    assert options == INT8 and is_trained_on_int8(tmp_path / "saved")
    assert not is_trained_on_int8(tmp_path / "base")
    read = load(source, tokenizer)
    read_adapter(read, saved, options, base_identity(source))
    assert torch.equal(logits(read.eval()), expected)
    by_peft = PeftModel.from_pretrained(load(source, tokenizer), tmp_path / "saved" / "adapter").eval()
    full = logits(by_peft)
    difference = (full - expected).abs().mean() / full.std()
    assert 1e-4 < difference < 0.05


def test_an_adapter_of_before_8_bit_was_trained_on_full_weights(tmp_path, tokenizer, make_policy):
    save_model(make_policy(), tokenizer, tmp_path / "base")
    source = ModelSource(path=str(tmp_path / "base"))
    model = load_policy(source, tokenizer)
    add_adapter(model, LoraOptions(rank=2), source)
    save_model(model, tokenizer, tmp_path / "saved")
    file = tmp_path / "saved" / "adapter" / "base.json"
    described = json.loads(file.read_text())
    del described["options"]["base_precision"]
    file.write_text(json.dumps(described))
    saved = ModelSource(path=str(tmp_path / "saved"))
    assert adapter_on(saved, base_identity(source)) == LoraOptions(rank=2)
    assert not is_trained_on_int8(tmp_path / "saved")


def test_models_around_one_base_share_its_weights_and_scales_and_count_them_once(tokenizer):
    """A trunk of two layers of width 32 and 64 within, with an embedding of its own for each end."""
    source = scratch_source(hidden_size=32, intermediate_size=64, tie_word_embeddings=False)
    whole = load_policy(source, tokenizer)
    base = copy.deepcopy(whole)
    quantize_trunk(base)
    quantize_trunk(base)  # what is in 8 bit stays
    before = {name: tensor.clone() for name, tensor in base.named_parameters()}
    policy = share_weights(base)
    add_adapter(policy, INT8, source)
    sizes = role_sizes({"policy": policy, "reference": base}, trained=("policy",))
    rows = len(tokenizer)
    linear, channels = 2 * (4 * 32 * 32 + 3 * 32 * 64), 2 * (4 * 32 + 2 * 64 + 32)
    rest = 2 * rows * 32 + 5 * 32  # two embeddings, five norms
    adapters = 4 * 2 * (4 * (32 + 32) + 3 * (32 + 64))
    assert [size.int8_parameters for size in sizes] == [linear, linear]
    assert sizes[1].parameters == linear + rest == sum(p.numel() for p in whole.parameters())
    assert sizes[0].weight_bytes == linear + 4 * (channels + rest + adapters)
    assert sizes[0].trained_parameters == adapters and sizes[1].own_parameters == sizes[1].bytes == 0
    assert not (trained_state(policy).keys() & base.state_dict().keys())
    policy(input_ids=IDS).logits.sum().backward()
    assert all(torch.equal(tensor, before[name]) for name, tensor in base.named_parameters())
    assert all(tensor.grad is None for tensor in base.parameters())


def test_a_layer_that_is_not_there_is_named_for_a_base_in_8_bit_too(tokenizer):
    with pytest.raises(UserError, match="no linear layer 'wq'; it has .*q_proj"):
        add_adapter(
            load_policy(scratch_source(), tokenizer),
            LoraOptions(rank=2, target_modules="wq", base_precision="int8"),
            scratch_source(),
        )


def test_weights_in_8_bit_without_adapters_are_refused():
    with pytest.raises(ValueError, match="rank is 0: weights in 8 bit cannot be trained"):
        LoraOptions(base_precision="int8")
