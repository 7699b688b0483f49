"""Measures a policy on tasks: what preference training may cost elsewhere (InstructGPT's alignment tax).

    python -m policy_training.training.evaluation.benchmark RUN_DIR

Reads input `items`: held-out texts (perplexity), questions with choices (the likeliest is what the model says), and
prompts whose answers are generated and held against the right ones (exact match, ROUGE). Trains nothing.

Writes result.json: for each task its figures with intervals. Answers to read stand in samples.jsonl.
"""

import math
import time
from collections.abc import Sequence
from typing import Any

from learning.batches.collation import Example
from learning.batches.forward import compute_token_logprobs
from learning.batches.layout import choose_layout
from learning.distributed import DistributedContext
from learning.interface.messages import without_nulls
from learning.interface.options import UserError
from learning.interface.record_schemas import BENCHMARK_ITEMS
from learning.interface.training_options import Layout
from learning.micro_batch_size import resolve_micro_batch_tokens
from learning.models.architectures import require_max_positions
from learning.models.loading import load_policy
from learning.models.tokenization import decode_response, encode_prompt_or_cut, encode_response_or_cut
from learning.models.tokenizers import load_tokenizer
from learning.recipe_runner import run_recipe
from learning.run_context import RunContext
from policy_training.training.config import SamplingOptions
from policy_training.training.evaluation.answer_patterns import AnswerPattern, is_right_answer
from policy_training.training.evaluation.config import BenchmarkConfig
from policy_training.training.evaluation.figures import (
    by_task,
    chance,
    choice_figures,
    chosen,
    generation_figures,
    is_exact,
    perplexity_figures,
)
from policy_training.training.rollouts.model_sources import model_source_sha256s
from policy_training.training.rollouts.rollouts import FrozenModel, inference_batches
from policy_training.training.rollouts.sampler import SamplingRequest, sample_responses
from policy_training.training.supervised.texts import text_examples

GREEDY = SamplingOptions(top_k=1)
Row = dict[str, Any]


class Measurement:
    """The model, and how its passes are made."""

    def __init__(self, context: RunContext[BenchmarkConfig], rows: Sequence[Row]) -> None:
        self.context, self.config = context, context.options
        self.patterns = {  # read before the model is
            row["task"]: AnswerPattern(row["answer_pattern"], task=row["task"])
            for row in rows
            if row["answer_pattern"]
        }
        distributed = DistributedContext.start(self.config.runtime)
        self.tokenizer = load_tokenizer(self.config.policy)
        model = load_policy(self.config.policy, self.tokenizer)
        self.policy = FrozenModel(model, self.config.runtime, distributed.device)
        self.batch = resolve_micro_batch_tokens(context, distributed, self.config.batch, model)
        require_max_positions(model, self.batch.max_sequence_tokens)
        self.device, self.cut = distributed.device, 0
        probes = [Example(self.prompt_ids(row, []), self._choice_ids(row)) for row in rows if row["choices"]]
        self.layout: Layout = "padded"
        if probes:
            self.layout, _ = choose_layout(
                model, probes[:4], dtype=self.config.runtime.dtype, requested=self.batch.layout
            )
        self.cut = 0

    def prompt_ids(self, row: Row, examples: Sequence[Row]) -> list[int]:
        """Of the prompt behind solved examples; a prompt that is too long loses the earliest ones."""
        messages = [
            turn
            for example in examples
            for turn in [
                *map(without_nulls, example["prompt"]),
                {"role": "assistant", "content": example["answers"][0]},
            ]
        ]
        messages += map(without_nulls, row["prompt"])
        ids, is_cut = encode_prompt_or_cut(self.tokenizer, messages, self.batch.max_prompt_tokens)
        self.cut += is_cut
        return ids

    def _choice_ids(self, row: Row) -> list[list[int]]:
        """Of the choices, without an end. Raises UserError for one that would be cut: it would seem too likely."""
        found = []
        for choice in row["choices"]:
            ids, is_cut = encode_response_or_cut(
                self.tokenizer, choice, self.batch.max_response_tokens, ended=False
            )
            if is_cut:
                raise UserError(
                    f"inputs/items: a choice of the task {row['task']!r} is longer than batch.max_response_tokens "
                    f"{self.batch.max_response_tokens}; raise it"
                )
            found.append(ids)
        return found

    def logprobs(self, examples: Sequence[Example], layout: Layout) -> list[list[float]]:
        """Of each example the sum of each response's token log-probabilities, nats."""
        found: list[list[float]] = [[] for _ in examples]
        for indices, batch in inference_batches(
            examples,
            layout=layout,
            max_tokens=self.batch.micro_batch_tokens,
            pad_id=self.tokenizer.pad_token_id,
            device=self.device,
        ):
            self.context.stop_if_requested()
            sums = self.policy.infer(compute_token_logprobs, batch).double().sum(1).tolist()
            for index in indices:
                count = len(examples[index].response_ids)
                found[index], sums = sums[:count], sums[count:]
        return found

    def perplexity(self, rows: Sequence[Row]) -> dict[str, Any]:
        limit = self.batch.max_sequence_tokens
        pieces = [text_examples([{"text": row["text"]}], self.tokenizer, limit) for row in rows]
        flat = [piece for own in pieces for piece in own]
        sums = iter(self.logprobs(flat, "padded"))
        logprobs = [math.fsum(next(sums)[0] for _ in own) for own in pieces]
        tokens = [sum(len(piece.response_ids[0]) for piece in own) for own in pieces]
        n_bytes = [len(row["text"].encode()) for row in rows]
        return {"figures": perplexity_figures(logprobs, tokens, n_bytes), "tokens": sum(tokens)}

    def choice(self, rows: Sequence[Row], examples: Sequence[Row]) -> dict[str, Any]:
        asked = [Example(self.prompt_ids(row, examples), self._choice_ids(row)) for row in rows]
        logprobs = self.logprobs(asked, self.layout)
        choices = [row["choices"] for row in rows]
        for row, values in list(zip(rows, logprobs, strict=True))[: self.config.logged_samples]:
            said = row["choices"][chosen(values, row["choices"], normalized=False)]
            self._log(row, said, right=said == row["answers"][0])
        answers = [row["answers"][0] for row in rows]
        return {"figures": choice_figures(logprobs, choices, answers), "chance": chance(choices)}

    def generation(self, rows: Sequence[Row], examples: Sequence[Row]) -> dict[str, Any]:
        request = SamplingRequest(
            n_samples=1,
            max_response_tokens=self.batch.max_response_tokens,
            options=SamplingOptions(top_k=GREEDY.top_k, batch_size=self.config.batch_size),
            seed="benchmark",
        )
        responses = self.policy.infer(
            sample_responses,
            [(str(place), self.prompt_ids(row, examples)) for place, row in enumerate(rows)],
            request,
            eos_id=self.tokenizer.eos_token_id,
            pad_id=self.tokenizer.pad_token_id,
            before_token=self.context.stop_if_requested,
        )
        texts = [decode_response(self.tokenizer, response.token_ids) for response in responses]
        answers = [row["answers"] for row in rows]
        found: list[str | None] | None = None
        pattern = self.patterns.get(rows[0]["task"])
        if pattern is None:
            right = [is_exact(text, own) for text, own in zip(texts, answers, strict=True)]
        else:
            found = [pattern.answer_in(text) for text in texts]
            right = [is_right_answer(text, own) for text, own in zip(found, answers, strict=True)]
        for place, row in enumerate(rows[: self.config.logged_samples]):
            read = {} if found is None else {"answer_found": found[place] or "none"}
            self._log(row, texts[place], right=right[place], **read)
        figures = generation_figures(
            texts,
            answers,
            right=right,
            found=None if found is None else [text is not None for text in found],
        )
        ended = sum(response.has_eos for response in responses) / len(responses)
        return {"figures": figures, "eos_rate": ended}

    def _log(self, row: Row, said: str, *, right: bool, **further: str) -> None:
        self.context.log_sample(
            0,
            task=row["task"],
            prompt=row["prompt"][-1]["content"],
            said=said,
            **further,
            answers=" / ".join(row["answers"]),
            right="yes" if right else "no",
        )


def main(context: RunContext[BenchmarkConfig]) -> dict[str, Any]:
    config, started = context.options, time.perf_counter()
    context.set_status(stage="loading")
    rows = context.read_input("items", BENCHMARK_ITEMS)
    tasks = by_task(rows)
    if not tasks:
        raise UserError("inputs/items: has no items to measure by; add at least one")
    measurement = Measurement(context, rows)
    found: dict[str, Any] = {}
    for done, (name, own) in enumerate(tasks.items()):
        context.set_status(stage=f"measuring {name}", step=done, steps_total=len(tasks))
        examples = [row for row in own if row["is_example"]][: config.few_shot]
        items = [row for row in own if not row["is_example"]]
        kind = own[0]["kind"]
        if kind == "perplexity":
            said = measurement.perplexity(items)
        elif kind == "choice":
            said = measurement.choice(items, examples)
        else:
            said = measurement.generation(items, examples)
        found[name] = {"kind": kind, "items": len(items), "examples": len(examples), **said}
    notes = []
    if measurement.cut:
        notes.append(
            f"{measurement.cut} prompts were longer than {config.batch.max_prompt_tokens} tokens with their examples "
            "and lost their beginning; raise batch.max_prompt_tokens or lower few_shot."
        )
    notes += [
        f"The answer_pattern of the task “{task}” took longer than {pattern.seconds_a_text:g} s on {pattern.timeouts} "
        "answers, which count as wrong."
        for task, pattern in measurement.patterns.items()
        if pattern.timeouts
    ]
    context.set_status(stage="measuring", step=len(tasks), steps_total=len(tasks), notes=notes)
    return {
        "tasks": found,
        "cut_prompts": measurement.cut,
        "policy_sha256s": model_source_sha256s(config.policy),
        "seconds": time.perf_counter() - started,
    }


if __name__ == "__main__":
    run_recipe(main, BenchmarkConfig)
