"""The ptx loss of PPO and policy gradients: on pretraining texts, demonstrations, or both by a share.

InstructGPT (C.4) and Secrets of RLHF I (5.4) mix pretraining text, of which every token counts. Demonstrations, of
which the response's tokens count, stand in where a project has no texts; a run never chooses between them by itself.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

from learning.batches.collation import Example, TokenBatch, collate
from learning.batches.forward import compute_token_logprobs
from learning.batches.micro_batching import example_size, micro_batches
from learning.batches.samplers import ContinuousBatchSampler, ProportionalSampler, exact_share
from learning.distributed import DistributedContext
from learning.engine import Engine
from learning.interface.options import UserError
from learning.interface.record_schemas import DEMONSTRATIONS, TEXTS
from learning.run_context import RunContext
from policy_training.training.attention import with_math_attention
from policy_training.training.losses import language_model_loss
from policy_training.training.rollouts.config import PtxOptions
from policy_training.training.supervised.demonstrations import Row, demonstration_examples, split_train
from policy_training.training.supervised.texts import text_examples


class PtxMix:
    """The examples of each optimizer step's ptx loss: so many of both kinds that the texts have their share.

    A step takes `examples_per_step`, or `examples_per_response` to each response that it learns from: after n responses
    floor(examples_per_response * n + 1/2) were drawn, so that a share of one is met over several steps. Can be saved
    and resumed.
    """

    def __init__(
        self,
        *,
        texts: list[Example],
        demonstrations: list[Example],
        texts_share: float,
        seed: int,
        examples_per_step: int | None = None,
        examples_per_response: float = 1.0,
    ) -> None:
        self.texts, self.demonstrations = texts, demonstrations
        self._size, self._each = examples_per_step, exact_share(examples_per_response)
        self._responses = 0  # so far; read where no size is given
        self._only_demonstrations = texts_share == 0
        self._text_sampler = (
            ProportionalSampler(len(texts), seed=seed + 1, ratio=exact_share(texts_share))
            if texts_share > 0
            else None
        )
        self._demonstration_sampler = (
            ContinuousBatchSampler(
                len(demonstrations), seed=seed, examples_per_step=examples_per_step or len(demonstrations)
            )
            if texts_share < 1
            else None
        )
        self.drawn = {"texts": 0, "demonstrations": 0}

    def next(self, responses: int) -> list[Example]:
        """Those of a step that learns from so many responses, on all ranks; maybe none."""
        size = self._size if self._size is not None else self._due(responses)
        texts = self._text_sampler.next(size) if self._text_sampler is not None else []
        demonstrations: list[int] = []
        if self._demonstration_sampler is not None:
            # By themselves they are not repeated within a step; beside texts the share has to hold.
            sampler = self._demonstration_sampler
            demonstrations = (
                sampler.next(size) if self._only_demonstrations else sampler.draw(size - len(texts))
            )
        self.drawn["texts"] += len(texts)
        self.drawn["demonstrations"] += len(demonstrations)
        return [self.texts[index] for index in texts] + [
            self.demonstrations[index] for index in demonstrations
        ]

    def _due(self, responses: int) -> int:
        before = math.floor(self._each * self._responses + Fraction(1, 2))
        self._responses += responses
        return math.floor(self._each * self._responses + Fraction(1, 2)) - before

    def state_dict(self) -> dict[str, Any]:
        samplers = {"texts": self._text_sampler, "demonstrations": self._demonstration_sampler}
        return {
            "drawn": dict(self.drawn),
            "responses": self._responses,
            "samplers": {
                name: sampler.state_dict() for name, sampler in samplers.items() if sampler is not None
            },
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.drawn = dict(state["drawn"])
        self._responses = state.get("responses", 0)  # earlier versions had a fixed number a step
        if self._text_sampler is not None:
            self._text_sampler.load_state_dict(state["samplers"]["texts"])
        if self._demonstration_sampler is not None:
            self._demonstration_sampler.load_state_dict(state["samplers"]["demonstrations"])


def read_ptx_mix(context: RunContext[Any], tokenizer: Any) -> PtxMix | None:
    """The training rows of the run's texts and demonstrations; None when the ptx loss is off. Raises UserError."""
    config = context.options
    algorithm: PtxOptions = config.algorithm
    if algorithm.ptx_coefficient == 0:
        return None
    texts: list[Example] = []
    demonstrations: list[Example] = []
    if algorithm.ptx_texts_share > 0:
        max_tokens = config.batch.max_sequence_tokens
        texts = text_examples(_training_rows(context, "texts", TEXTS), tokenizer, max_tokens)
    if algorithm.ptx_texts_share < 1:
        rows = _training_rows(context, "demonstrations", DEMONSTRATIONS)
        demonstrations = [
            example for row in rows for example in demonstration_examples(row, tokenizer, config.batch)
        ]
    return PtxMix(
        texts=texts,
        demonstrations=demonstrations,
        texts_share=algorithm.ptx_texts_share,
        seed=config.runtime.seed + 1,
        examples_per_step=ptx_examples_per_step(algorithm),
        examples_per_response=algorithm.ptx_examples_per_response or 1.0,
    )


def ptx_examples_per_step(algorithm: PtxOptions) -> int | None:
    """None: by the responses of each step."""
    if algorithm.ptx_examples_per_minibatch == 0:  # as configurations of earlier versions have it
        return algorithm.responses_per_minibatch
    return algorithm.ptx_examples_per_minibatch


def _training_rows(context: RunContext[Any], name: str, schema: Any) -> list[Row]:
    algorithm: PtxOptions = context.options.algorithm
    if not context.has_input(name):
        raise UserError(
            f"config.algorithm.ptx_coefficient: {algorithm.ptx_coefficient} with ptx_texts_share "
            f"{algorithm.ptx_texts_share} needs inputs/{name}; add {name}, change the share (0: demonstrations only, "
            "1: texts only), or set the coefficient to 0"
        )
    train_rows, _ = split_train(context.read_input(name, schema))
    if not train_rows:
        raise UserError(f"inputs/{name}: no row has split 'train'; the ptx loss has nothing to learn from")
    return train_rows


class PtxState(Protocol):
    """What an update with a ptx loss needs of a run's state."""

    policy: Engine
    distributed: DistributedContext
    tokenizer: Any
    ptx: PtxMix | None

    @property
    def config(self) -> Any: ...


@dataclass
class PtxMicroBatch:
    """One micro-batch of the ptx mix; `step_tokens`: its counted tokens in the optimizer step, on all ranks."""

    batch: TokenBatch
    is_dummy: bool
    step_tokens: int


def add_ptx(state: PtxState, responses: int, loss_denominator: float) -> dict[str, float]:
    """Adds ptx_coefficient times the mean loss of the tokens mixed in to the optimizer step that the policy gathers.

    `responses`: of this process, that the step learns from. `loss_denominator`: what the step's other losses are
    divided by. The metric `ptx_loss` is in nats a token, as any language-model loss, whatever the coefficient; none
    where nothing is mixed in. (InstructGPT, 3.5 and C.4.)
    """
    ptx = ptx_micro_batches(state, responses)
    if not ptx:
        return {}
    total = 0.0
    for micro_batch in ptx:
        logprobs_NR = state.policy.forward(with_math_attention, compute_token_logprobs, micro_batch.batch)
        nats = language_model_loss(logprobs_NR, micro_batch.batch.is_response_NR)
        total += 0.0 if micro_batch.is_dummy else float(nats.detach())
        weight = state.config.algorithm.ptx_coefficient * loss_denominator / micro_batch.step_tokens
        state.policy.accumulate(weight * nats, loss_denominator, is_dummy=micro_batch.is_dummy)
    return {"ptx_loss": state.distributed.sum(total) / ptx[0].step_tokens}


def ptx_micro_batches(state: PtxState, responses: int) -> list[PtxMicroBatch]:
    """The next texts and demonstrations, of a minibatch of which this process has so many responses; none when the ptx
    loss is off.
    """
    if state.ptx is None:
        return []
    examples = state.ptx.next(round(state.distributed.sum(float(responses))))
    if not examples:
        return []
    step_tokens = sum(len(example.response_ids[0]) for example in examples)
    return [
        PtxMicroBatch(
            batch=collate(
                [examples[index] for index in micro.indices],
                layout="padded",  # one response each: nothing to share
                pad_id=state.tokenizer.pad_token_id,
                device=state.distributed.device,
            ),
            is_dummy=micro.is_dummy,
            step_tokens=step_tokens,
        )
        for micro in micro_batches(
            [example_size(example, "padded") for example in examples],
            range(len(examples)),
            max_tokens=state.config.batch.micro_batch_tokens,
            rank=state.distributed.rank,
            world_size=state.distributed.world_size,
        )
    ]
