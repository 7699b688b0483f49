"""A critic on the policy's own trunk: one network and one optimizer step, on surrogate + c1 value error - c2 entropy
(Schulman et al. 2017, equation 9).
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification

from learning.engine import Engine
from learning.models.adapters import merged_state
from learning.models.architectures import VALUE_HEAD, backbone, unwrap_model
from learning.models.files import save_model


def attach_value_head(policy: Any) -> None:
    """A new head beside the output embedding, before the engine is made: normal with standard deviation
    1 / sqrt(width + 1), as that of a new critic of its own.
    """
    inner = unwrap_model(policy)
    weight = inner.get_output_embeddings().weight
    head = nn.Linear(weight.shape[1], 1, bias=False, device=weight.device, dtype=weight.dtype)
    nn.init.normal_(head.weight, std=1.0 / math.sqrt(weight.shape[1] + 1))
    setattr(inner, VALUE_HEAD, head)


class SharedCritic:
    """Stands where the engine of a critic of its own stands. Its gradients go to the policy's parameters, and the step
    is the policy's next one.
    """

    def __init__(self, policy: Engine, coefficient: float) -> None:
        self._policy, self._coefficient, self._loss = policy, coefficient, 0.0

    def forward(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return self._policy.forward(function, *args, **kwargs)

    def infer(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return self._policy.infer(function, *args, **kwargs)

    def accumulate(self, loss_sum: Tensor, loss_denominator: float, *, is_dummy: bool = False) -> None:
        self._policy.accumulate(self._coefficient * loss_sum, loss_denominator, is_dummy=is_dummy)
        self._loss += 0.0 if is_dummy else float(loss_sum.detach()) / loss_denominator

    def take_loss(self) -> float:
        """The value loss accumulated in this process for the step to come, not times its coefficient."""
        loss, self._loss = self._loss, 0.0
        return loss

    def skip_steps(self, count: int) -> None:
        """The policy's schedule is the only one."""

    def save_critic(self, tokenizer: Any, path: str | Path, *, is_main: bool) -> None:
        """Trunk and value head as a critic of its own. The policy's model has no value head any more afterwards: it is
        saved as any other.
        """
        inner = unwrap_model(self._policy.model)
        head = getattr(inner, VALUE_HEAD)
        delattr(inner, VALUE_HEAD)
        if not is_main:
            return
        config = type(inner.config).from_dict({**inner.config.to_dict(), "num_labels": 1})
        prefix = f"{inner.base_model_prefix}."
        merged = merged_state(inner)
        trunk = {name.removeprefix(prefix): w for name, w in merged.items() if name.startswith(prefix)}
        critic = AutoModelForSequenceClassification.from_config(config, dtype=torch.float32)
        backbone(critic).load_state_dict(trunk)
        with torch.no_grad():
            critic.score.weight.copy_(head.weight)
        critic.config.reward_shift = 0.0
        save_model(critic, tokenizer, path)
