"""The policy that a checkpoint of a training holds."""

from pathlib import Path
from typing import Any

import torch

from learning.checkpoints import read_checkpoint
from learning.interface.options import UserError
from learning.interface.training_options import LoraOptions, ModelSource
from learning.models.adapters import add_adapter, load_trained_state
from learning.models.architectures import VALUE_HEAD
from learning.models.loading import load_policy


def load_checkpoint_policy(
    folder: Path, start: ModelSource, tokenizer: Any
) -> tuple[Any, int, dict[str, Any]]:
    """(model, step, what else the checkpoint has) of a run that started from `start`, which has the shape. Where the
    run averages its weights it is the average, as at the run's end. Raises UserError.
    """
    step, state = read_checkpoint(folder)
    weights = state["engines"].get("policy", {}).get("model")
    if weights is None:
        raise UserError(
            f"{folder}: has no whole weights of a policy (DeepSpeed keeps them in parts); let the run end instead"
        )
    model = load_policy(start, tokenizer)
    # Of a critic on the policy's own trunk: the policy is saved without it at a run's end, too.
    weights = {name: weight for name, weight in weights.items() if not name.startswith(f"{VALUE_HEAD}.")}
    try:
        if lora := state["engines"]["policy"].get("lora"):
            add_adapter(model, LoraOptions(**lora), start)
        load_trained_state(model, weights)
    except RuntimeError as error:
        raise UserError(
            f"{folder}: its weights are not those of a model like {start.display_name} ({str(error).splitlines()[0]})"
        ) from error
    if average := state["state"].get("weight_average"):
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if name in average:
                    weight.copy_(average[name])
    return model, step, state
