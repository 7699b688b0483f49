"""The micro-batches that a PPO step learns from, with everything its update reads, and how a checkpoint keeps them.

Suffixes: N responses of a micro-batch, R response tokens (right-padded).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from learning.batches.collation import Example, TokenBatch, collate
from learning.interface.training_options import Layout
from policy_training.training.rollouts.importance import Mismatch

# What an update reads of a micro-batch beside its tokens.
KEPT_TENSORS = (
    "old_logprobs_NR",
    "reference_logprobs_NR",
    "old_values_NR",
    "advantages_NR",
    "returns_NR",
    "weights_NR",
)


def _empty_tensor() -> Tensor:
    return torch.empty(0)


@dataclass
class RolloutMicroBatch:
    """One micro-batch of rollouts, kept through the step with everything the update reads."""

    batch: TokenBatch
    is_dummy: bool
    rollout_indices: list[int]  # of its responses, in the step's rollouts
    examples: Sequence[Example] = ()  # that `batch` is made of
    # From this very micro-batch and not from the sampler, so that the first ratio is exactly 1.
    old_logprobs_NR: Tensor = field(default_factory=_empty_tensor)
    reference_logprobs_NR: Tensor = field(default_factory=_empty_tensor)
    entropy_sum: float = 0.0  # over its response tokens
    rewards_NR: Tensor = field(default_factory=_empty_tensor)
    old_values_NR: Tensor = field(default_factory=_empty_tensor)
    advantages_NR: Tensor = field(default_factory=_empty_tensor)
    returns_NR: Tensor = field(default_factory=_empty_tensor)
    # What its tokens count by, where another sampler than the policy drew them; None: by 1.
    weights_NR: Tensor | None = None
    mismatch: Mismatch | None = None  # to that sampler

    @property
    def is_response_NR(self) -> Tensor:
        return self.batch.is_response_NR


Minibatch = list[RolloutMicroBatch]  # of one optimizer step


class ExperienceBuffer:
    """The minibatches of the last `steps` PPO steps that trained the policy, the present step's among them.

    An update learns from an earlier step's minibatch as from the present one's: the ratio is to the policy that sampled
    it, whose log-probs were kept, and its advantages and returns stay those of its own step. With `steps` 1 nothing is
    kept. Every process keeps its own micro-batches.
    """

    def __init__(
        self,
        steps: int = 1,
        *,
        layout: Layout = "padded",
        pad_id: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self.steps = steps
        self._layout, self._pad_id, self._device = layout, pad_id, device
        self._earlier: list[list[Minibatch]] = []  # a step each, the oldest first

    def with_earlier(self, minibatches: Sequence[Minibatch]) -> list[Minibatch]:
        """The present step's, then those of earlier steps."""
        return [*minibatches, *(kept for step in self._earlier for kept in step)]

    def add(self, minibatches: Sequence[Minibatch]) -> None:
        """Keep the present step's; the oldest step's go."""
        if self.steps > 1:
            self._earlier = [*self._earlier, list(minibatches)][-(self.steps - 1) :]

    def state_dict(self) -> dict[str, Any]:
        return {
            "earlier": [
                [[_state_of(micro_batch) for micro_batch in minibatch] for minibatch in step]
                for step in self._earlier
            ]
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._earlier = [
            [[self._restored(micro_batch) for micro_batch in minibatch] for minibatch in step]
            for step in state["earlier"]
        ]

    def _restored(self, state: dict[str, Any]) -> RolloutMicroBatch:
        examples = [Example(**example) for example in state["examples"]]
        batch = collate(examples, layout=self._layout, pad_id=self._pad_id, device=self._device)
        restored = RolloutMicroBatch(
            batch=batch, is_dummy=state["is_dummy"], rollout_indices=[], examples=examples
        )
        for name, tensor in state["tensors"].items():
            setattr(restored, name, tensor.to(self._device))
        return restored


def _state_of(micro_batch: RolloutMicroBatch) -> dict[str, Any]:
    return {
        "is_dummy": micro_batch.is_dummy,
        "examples": [
            {
                "prompt_ids": list(example.prompt_ids),
                "response_ids": [list(ids) for ids in example.response_ids],
                "is_counted": None
                if example.is_counted is None
                else [list(counted) for counted in example.is_counted],
            }
            for example in micro_batch.examples
        ],
        "tensors": {
            name: tensor for name in KEPT_TENSORS if (tensor := getattr(micro_batch, name)) is not None
        },
    }
