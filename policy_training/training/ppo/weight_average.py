"""A moving average of the policy's weights over its optimizer steps (InstructGPT, C.4)."""

from typing import Any

import torch
from torch import nn


class WeightAverage:
    """average <- decay * average + (1 - decay) * weights after each optimizer step, from the weights at the start.

    In fp32, whole in every process; all processes hold the same. A checkpoint keeps it.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        # Those of tied layers once, and none that stay as they are.
        self._weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        self._average = {name: weight.detach().clone() for name, weight in self._weights.items()}

    @torch.no_grad()
    def update(self) -> None:
        torch._foreach_lerp_(list(self._average.values()), list(self._weights.values()), 1.0 - self.decay)

    @torch.no_grad()
    def distance(self) -> float:
        """Euclidean, from the average to the weights, as a share of the weights' norm."""
        moved = torch._foreach_sub(list(self._weights.values()), list(self._average.values()))
        return _norm(moved) / max(_norm(list(self._weights.values())), 1e-30)

    @torch.no_grad()
    def put_into_model(self) -> None:
        """The average becomes the model's weights, at the end of training."""
        torch._foreach_copy_(list(self._weights.values()), list(self._average.values()))

    def state_dict(self) -> dict[str, Any]:
        return dict(self._average)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        with torch.no_grad():
            for name, average in self._average.items():
                average.copy_(state[name])


def _norm(tensors: tuple[torch.Tensor, ...] | list[torch.Tensor]) -> float:
    return float(torch.stack(torch._foreach_norm(tensors)).double().square().sum().sqrt())
