"""Merging policies: the weighted mean of their weights, of one architecture and one tokenizer.

    python -m policy_training.training.weights.merge RUN_DIR

Reads no inputs. The mean is taken in float64, a model in memory at a time, and written in the precision of the first.
With one policy it is that policy, bit for bit: a fork. Sources: Wortsman et al. 2022 (model soups, 3.1: the uniform
mean); Ramé et al. 2024 (WARP, averages of policies trained from one start). Writes model/ and result.json.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from learning.interface.options import UserError
from learning.models.files import save_model
from learning.models.loading import load_policy
from learning.models.tokenizers import load_tokenizer
from learning.recipe_runner import run_recipe
from learning.run_context import RunContext
from policy_training.training.rollouts.model_sources import model_source_sha256s, same_tokenization
from policy_training.training.weights.config import MergeConfig

# What a configuration says that changes nothing of what the model computes when it is read.
_IRRELEVANT = {"_name_or_path", "transformers_version", "dtype", "torch_dtype", "use_cache"}


def main(context: RunContext[MergeConfig]) -> dict[str, Any]:
    config = context.options
    context.set_status(stage="merging", step=0, steps_total=len(config.models))
    total_weight = math.fsum(model.weight for model in config.models)
    shares = [model.weight / total_weight for model in config.models]
    first = config.models[0].source
    tokenizer = load_tokenizer(first)
    merged = load_policy(first, tokenizer)
    sums = {name: shares[0] * tensor.double() for name, tensor in floating(merged).items()}
    for number, (model, share) in enumerate(zip(config.models[1:], shares[1:], strict=True), start=2):
        context.require_current()
        context.stop_if_requested()
        name = model.source.display_name
        if not same_tokenization(load_tokenizer(model.source), tokenizer):
            raise UserError(
                f"{name}: has another tokenizer or chat template than {first.display_name}, so that their weights "
                "mean other tokens; merge policies of one line"
            )
        other = load_policy(model.source, tokenizer)
        require_same_architecture(merged, other, first.display_name, name)
        for key, tensor in floating(other).items():
            sums[key] += share * tensor.double()
        del other
        context.set_status(stage="merging", step=number, steps_total=len(config.models))
    with torch.no_grad():
        for key, tensor in floating(merged).items():
            tensor.copy_(sums[key])
    context.require_current()
    context.set_status(stage="saving", step=len(config.models), steps_total=len(config.models))
    sha256s = save_model(merged, tokenizer, context.path / "model") if context.is_main else {}
    return {
        "shares": shares,
        "parameters": sum(p.numel() for p in merged.parameters()),
        "vocabulary_size": len(tokenizer),
        "model_sha256s": sha256s,
        "policy_sha256s": [model_source_sha256s(model.source) for model in config.models],
    }


def floating(model: Any) -> dict[str, Tensor]:
    """The weights, and whatever else of numbers the model keeps; tied ones once for each name, of one memory."""
    return {name: tensor for name, tensor in model.state_dict().items() if tensor.is_floating_point()}


def require_same_architecture(first: Any, other: Any, first_name: str, other_name: str) -> None:
    """Raises UserError, naming what differs."""
    one, two = (_relevant(model.config.to_dict()) for model in (first, other))
    for key in sorted(one.keys() | two.keys()):
        if one.get(key) != two.get(key):
            raise UserError(
                f"{other_name}: its {key} is {two.get(key)!r}, and that of {first_name} is {one.get(key)!r}; only "
                "policies of one architecture can be merged"
            )
    shapes, others = ({name: tensor.shape for name, tensor in floating(m).items()} for m in (first, other))
    if shapes != others:
        differs = sorted(
            name for name in shapes.keys() | others.keys() if shapes.get(name) != others.get(name)
        )
        raise UserError(
            f"{other_name}: its weights {differs[0]} have another shape than those of {first_name}; only policies of "
            "one architecture can be merged"
        )


def _relevant(config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value
        for name, value in config.items()
        if name not in _IRRELEVANT and "dropout" not in name and not name.endswith("_pdrop")
    }


if __name__ == "__main__":
    run_recipe(main, MergeConfig)
