"""What the ptx loss of PPO is computed on: pretraining texts, demonstrations, or both by a share.

InstructGPT (C.4) and Secrets of RLHF I (5.4) mix pretraining text, of which every token counts. Demonstrations, of
which the response's tokens count, stand in where a project has no texts; a run never chooses between them by itself.
"""

from typing import Any

from learning.batches.collation import Example
from learning.batches.samplers import ContinuousBatchSampler, ProportionalSampler, exact_share
from learning.interface.options import UserError
from learning.interface.record_schemas import DEMONSTRATIONS, TEXTS
from learning.run_context import RunContext
from policy_training.training.ppo.config import PPOConfig
from policy_training.training.supervised.demonstrations import Row, demonstration_examples, split_train
from policy_training.training.supervised.texts import text_examples


class PtxMix:
    """The examples of each optimizer step's ptx loss: so many of both kinds that the texts have their share.

    Can be saved and resumed.
    """

    def __init__(
        self,
        *,
        texts: list[Example],
        demonstrations: list[Example],
        texts_share: float,
        examples_per_step: int,
        seed: int,
    ) -> None:
        self.texts, self.demonstrations = texts, demonstrations
        self._size, self._only_demonstrations = examples_per_step, texts_share == 0
        self._text_sampler = (
            ProportionalSampler(len(texts), seed=seed + 1, ratio=exact_share(texts_share))
            if texts_share > 0
            else None
        )
        self._demonstration_sampler = (
            ContinuousBatchSampler(len(demonstrations), seed=seed, examples_per_step=examples_per_step)
            if texts_share < 1
            else None
        )
        self.drawn = {"texts": 0, "demonstrations": 0}

    def next(self) -> list[Example]:
        texts = self._text_sampler.next(self._size) if self._text_sampler is not None else []
        demonstrations: list[int] = []
        if self._demonstration_sampler is not None:
            # By themselves they are not repeated within a step; beside texts the share has to hold.
            sampler = self._demonstration_sampler
            demonstrations = (
                sampler.next() if self._only_demonstrations else sampler.draw(self._size - len(texts))
            )
        self.drawn["texts"] += len(texts)
        self.drawn["demonstrations"] += len(demonstrations)
        return [self.texts[index] for index in texts] + [
            self.demonstrations[index] for index in demonstrations
        ]

    def state_dict(self) -> dict[str, Any]:
        samplers = {"texts": self._text_sampler, "demonstrations": self._demonstration_sampler}
        return {
            "drawn": dict(self.drawn),
            "samplers": {
                name: sampler.state_dict() for name, sampler in samplers.items() if sampler is not None
            },
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.drawn = dict(state["drawn"])
        if self._text_sampler is not None:
            self._text_sampler.load_state_dict(state["samplers"]["texts"])
        if self._demonstration_sampler is not None:
            self._demonstration_sampler.load_state_dict(state["samplers"]["demonstrations"])


def read_ptx_mix(context: RunContext[PPOConfig], tokenizer: Any) -> PtxMix | None:
    """The training rows of the run's texts and demonstrations; None when the ptx loss is off. Raises UserError."""
    config = context.options
    algorithm = config.algorithm
    if algorithm.ptx_coefficient == 0:
        return None
    texts: list[Example] = []
    demonstrations: list[Example] = []
    if algorithm.ptx_texts_share > 0:
        max_tokens = config.batch.max_prompt_tokens + config.batch.max_response_tokens
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
        examples_per_step=algorithm.ptx_examples_per_minibatch or algorithm.responses_per_minibatch,
        seed=config.runtime.seed + 1,
    )


def _training_rows(context: RunContext[PPOConfig], name: str, schema: Any) -> list[Row]:
    algorithm = context.options.algorithm
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
