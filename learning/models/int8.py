"""A frozen trunk's linear layers with weights in 8 bit: weight-only int8, symmetric, one scale for each output channel.

W[o, i] is kept as q[o, i] = round(W[o, i] / s[o]) with s[o] = max_i |W[o, i]| / 127, halves to even: round-to-nearest
with the largest magnitude of a channel (vector-wise quantization of Dettmers et al. 2022, LLM.int8(), 2.1; activations
stay in the run's precision). No weight is off by more than s[o] / 2. Such a layer is read and never trained.

The product is taken with q, whose integers every floating-point type of a run holds exactly, and multiplied by s
afterwards. For the backward pass a layer keeps q and s alone: what plain operations would keep is a floating-point copy
of every layer's weights, which is the memory that this saves.

Suffixes: O output channels, I input channels; (..., I) any batch of inputs.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers.pytorch_utils import Conv1D

from learning.models.architectures import backbone

LARGEST = 127  # -128 stays unused, so that a weight and its negative are one number


def quantize(weight_OI: Tensor) -> tuple[Tensor, Tensor]:
    """(q, int8 (O, I); s, float32 (O,)) of finite weights. A channel of zeros has the scale 1."""
    weight_OI = weight_OI.detach().float()
    largest_O = weight_OI.abs().amax(dim=1)
    scale_O = torch.where(largest_O > 0, largest_O / LARGEST, torch.ones_like(largest_O))
    return (weight_OI / scale_O[:, None]).round().clamp(-LARGEST, LARGEST).to(torch.int8), scale_O


class _ScaledProduct(torch.autograd.Function):
    """x (..., I) -> x q^T * s (..., O), with the gradient of x and of nothing else."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight_OI: Tensor, scale_O: Tensor) -> Tensor:
        ctx.save_for_backward(weight_OI, scale_O)
        return F.linear(x, weight_OI.to(x.dtype)).mul_(scale_O)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        weight_OI, scale_O = ctx.saved_tensors
        return (gradient * scale_O).to(gradient.dtype) @ weight_OI.to(gradient.dtype), None, None


def _product(x: Tensor, weight_OI: Tensor, scale_O: Tensor, bias_O: Tensor | None) -> Tensor:
    if torch.is_autocast_enabled(x.device.type):  # which knows nothing of this product
        x = x.to(torch.get_autocast_dtype(x.device.type))
    result = _ScaledProduct.apply(x, weight_OI, scale_O)
    return result if bias_O is None else result + bias_O.to(result.dtype)


class Int8Linear(nn.Linear):
    """`plain` with its weight in 8 bit. peft puts adapters on it as on any linear layer."""

    scale_O: Tensor

    def __init__(self, plain: nn.Linear) -> None:
        nn.Module.__init__(self)  # no weights of its own to begin with
        self.in_features, self.out_features = plain.in_features, plain.out_features
        weight_OI, scale_O = quantize(plain.weight)
        self.weight = nn.Parameter(weight_OI, requires_grad=False)
        # Not among the model's numbers: no part of its state, it comes with the weight.
        self.register_buffer("scale_O", scale_O, persistent=False)
        self.bias = plain.bias

    def forward(self, x: Tensor) -> Tensor:
        return _product(x, self.weight, self.scale_O, self.bias)

    def dequantize(self, weight_OI: Tensor) -> Tensor:
        """float32 (O, I), of a tensor like the layer's own weight."""
        return weight_OI.float() * self.scale_O.to(weight_OI.device)[:, None]


class Int8Conv1D(Conv1D):
    """As Int8Linear, of GPT-2's layer, whose weight is (I, O)."""

    scale_O: Tensor

    def __init__(self, plain: Any) -> None:
        nn.Module.__init__(self)
        self.nx, self.nf = plain.nx, plain.nf
        weight_OI, scale_O = quantize(plain.weight.T)
        self.weight = nn.Parameter(weight_OI.T.contiguous(), requires_grad=False)
        self.register_buffer("scale_O", scale_O, persistent=False)
        self.bias = plain.bias

    def forward(self, x: Tensor) -> Tensor:
        return _product(x, self.weight.T, self.scale_O, self.bias)

    def dequantize(self, weight_IO: Tensor) -> Tensor:
        """float32 (I, O), of a tensor like the layer's own weight."""
        return weight_IO.float() * self.scale_O.to(weight_IO.device)


_IN_8_BIT: dict[type, Any] = {nn.Linear: Int8Linear, Conv1D: Int8Conv1D}


def quantize_trunk(model: Any) -> None:
    """Every linear layer of the trunk in 8 bit, in place; heads, embeddings and norms stay, and so do layers that are
    in 8 bit already. Freezes the model. Before adapters come: theirs are linear layers, too.
    """
    model.requires_grad_(False)
    trunk = backbone(model)
    # By name, so that the whole weights of one layer at a time are in memory beside the small ones.
    for name in [name for name, layer in trunk.named_modules() if type(layer) in _IN_8_BIT]:
        parent, _, own = name.rpartition(".")
        layer = trunk.get_submodule(name)
        setattr(trunk.get_submodule(parent), own, _IN_8_BIT[type(layer)](layer))


def int8_layers(model: nn.Module) -> Iterator[tuple[str, Int8Linear | Int8Conv1D]]:
    """By name, as in the model's state."""
    for name, layer in model.named_modules():
        if isinstance(layer, Int8Linear | Int8Conv1D):
            yield name, layer


@torch.no_grad()
def dequantized_state(model: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The model's state with float32 in place of 8 bit: what the model computes with, up to rounding."""
    found = dict(state)
    for name, layer in int8_layers(model):
        found[f"{name}.weight"] = layer.dequantize(found[f"{name}.weight"])
    return found
