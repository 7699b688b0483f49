"""What must travel with a reward model so that other programs score as we do: its card, its input format, its template.

The rule: a model reads the prompt as its chat template asks for an answer, then the answer's text, then the
end-of-sequence token, and the score is read at that token. `config.reward_input` and the card's snippet say so
(tests/rewardmodel/training/test_model_card.py runs the snippet), and the saved chat template writes a finished
conversation in the same way, so that plain `apply_chat_template` ends where the score is read.
"""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from learning.interface.options import load_options, options_to_dict
from learning.interface.training_options import BatchOptions
from learning.models.chat_rendering import turn_border
from learning.models.tokenizers import autotokenizer_difference
from rewardmodel.training.config import ObjectiveOptions

# The tokenizer's own template as a macro: HF's names become its arguments. A finished conversation is what asks for its
# last answer, then that answer and the end token. Calls stay as the template writes them.
_WRAPPED = (
    "{{%- macro conversation(messages, add_generation_prompt) %}}{template}{{% endmacro -%}}"
    "{{%- if messages and messages[-1]['role'] == 'assistant' and not add_generation_prompt"
    " and not messages[-1]['tool_calls'] -%}}"
    "{{{{- conversation(messages[:-1], true) + messages[-1]['content'] + eos_token -}}}}"
    "{{%- else -%}}{{{{- conversation(messages, add_generation_prompt) -}}}}{{%- endif -%}}"
)
_PROBES = (
    [{"role": "user", "content": "A"}],
    [{"role": "user", "content": " A\n"}, {"role": "assistant", "content": "B"}, {"role": "user", "content": "C"}],
)  # fmt: skip


def export_tokenizer(tokenizer: Any) -> Any:
    """The tokenizer to save with a reward model: as it is where its template ends an answer as we do, else with a
    template that does. Prompts are written as before.
    """
    template = tokenizer.chat_template
    if not isinstance(template, str):
        return tokenizer
    border = turn_border(tokenizer, template)
    if not border.start and not border.opening and border.end == tokenizer.eos_token:
        return tokenizer
    exported = copy.deepcopy(tokenizer)
    exported.chat_template = _WRAPPED.format(template=template.removesuffix("\n"))
    for messages in _PROBES:
        asked = [
            each.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            for each in (tokenizer, exported)
        ]
        if asked[0] != asked[1]:
            return tokenizer  # a template that cannot stand in a macro: the card's snippet still holds
    return exported


def prompt_template(tokenizer: Any) -> Any:
    """The chat template by which prompts are written: the inner one where `export_tokenizer` wrapped it."""
    template = tokenizer.chat_template
    before, after = _WRAPPED.format(template="{template}").split("{template}")
    if not isinstance(template, str):
        return template
    # Jinja drops one line break at the end of a template, and so does the wrapping.
    return template.removeprefix(before).removesuffix(after).removesuffix("\n")


def describe_input(
    model: Any,
    tokenizer: Any,
    batch: BatchOptions,
    *,
    reward_shift: float,
    objective: ObjectiveOptions,
    ratings: Mapping[str, Any] | None = None,
) -> None:
    """Write into the model's configuration what a score needs beside the weights, the loss that made it, and of a loss
    of ratings what the score before the shift says of their points (RatingScale.described).
    """
    model.config.reward_shift = reward_shift
    model.config.reward_objective = options_to_dict(objective)
    model.config.reward_ratings = None if ratings is None else dict(ratings)
    model.config.reward_input = {
        "prompt": "chat template with add_generation_prompt",
        "response": "its text, whose special tokens are text",
        "end": tokenizer.eos_token,
        "score_at": "the end token",
        "max_prompt_tokens": batch.max_prompt_tokens,
        "max_response_tokens": batch.max_response_tokens,
    }


def objective_of(config: Any) -> ObjectiveOptions | None:
    """The loss that a model was trained with; None where its configuration does not say. Raises UserError."""
    written = getattr(config, "reward_objective", None)
    return (
        None if written is None else load_options(ObjectiveOptions, written, where="config.reward_objective")
    )


def write_card(folder: Path, *, config: Any, tokenizer: Any, report: Mapping[str, Any]) -> None:
    """README.md of a model folder that has everything else already; `config` is the model's, with its input, and
    `report` what is known of it on held-out comparisons.
    """
    reader = "AutoTokenizer"
    note = ""
    if difference := autotokenizer_difference(folder, tokenizer):
        reader = "PreTrainedTokenizerFast"
        note = f"`AutoTokenizer` reads this architecture's tokenizer otherwise ({difference}): use the class below.\n\n"
    (folder / "README.md").write_text(
        _CARD.format(
            reader=reader,
            note=note,
            shift=config.reward_shift,
            figures=_figures(report),
            **config.reward_input,
        ),
        encoding="utf-8",
    )


def _figures(report: Mapping[str, Any]) -> str:
    """A table of the held-out accuracy, a row a criterion, then a row a tag of prompts; before it, of a model of
    ratings, how close it comes.
    """
    said = _rating_figures(report)
    rows = [
        f"| {name.replace('|', '/')} | {figures['n']} | {figures['accuracy']:.1%} | "
        f"{figures['interval'][0]:.1%} to {figures['interval'][1]:.1%} |"
        for name, figures in (
            *report["by_criterion"].items(),
            *((f"prompts: {tag or 'no tag'}", row) for tag, row in report.get("by_tag", {}).items()),
        )
        if figures["n"]
    ]
    if not rows:
        return said or "No comparisons were held out to measure it on."
    table = "\n".join(
        ["| criterion | held-out pairs | accuracy | 95 % interval |", "|---|---|---|---|", *rows]
    )
    return f"{said}\n\n{table}" if said else table


def _rating_figures(report: Mapping[str, Any]) -> str:
    figures = report.get("ratings") or {}
    if figures.get("spearman") is None:
        return ""
    return (
        f"Over {figures['n']} held-out ratings its scores have the rank correlation (Spearman) "
        f"{figures['spearman']:.3f}."
    )


_CARD = """---
library_name: transformers
pipeline_tag: text-classification
tags:
- reward-model
- roundtable
---

# A reward model

It scores an answer to a conversation; higher is better. Scores of one prompt compare with each other.

- The prompt is read as the chat template asks for an answer (`add_generation_prompt`), at most {max_prompt_tokens}
  tokens.
- Then the answer's text, in which special tokens are text, and `{end}`: at most {max_response_tokens} tokens together.
- The score is read at `{end}`. An answer that its sampler cut off has none, and is read at its last token.
- `config.reward_shift` ({shift:.6g}) is taken off, so that demonstrations have the mean 0.

{figures}

{note}```python
import torch
from transformers import {reader}, AutoModelForSequenceClassification

path = "."  # this folder
tokenizer = {reader}.from_pretrained(path)
model = AutoModelForSequenceClassification.from_pretrained(path).eval()

prompt = [{{"role": "user", "content": "Why is the sky blue?"}}]
response = "Air scatters blue light more than red."

asked = tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
ids = tokenizer(asked, add_special_tokens=False)["input_ids"]
ids += tokenizer(response, add_special_tokens=False, split_special_tokens=True)["input_ids"]
ids.append(tokenizer.eos_token_id)
with torch.no_grad():
    score = model(torch.tensor([ids])).logits[0, 0].item() - model.config.reward_shift
```
"""
