"""The policy that a checkpoint of a training holds, and PPO's critic."""

from pathlib import Path
from typing import Any

import torch

from learning.checkpoints import read_checkpoint
from learning.interface.options import UserError
from learning.interface.training_options import LoraOptions, ModelSource
from learning.models.adapters import add_adapter, load_trained_state
from learning.models.architectures import VALUE_HEAD
from learning.models.loading import load_policy, load_reward_model


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


def load_checkpoint_critic(
    folder: Path, state: dict[str, Any], start: ModelSource | None, tokenizer: Any
) -> Any | None:
    """PPO's critic of the shape of `start`. None where the checkpoint has none with weights of its own: adapters stand
    on a base that the checkpoint does not name, and a head on the policy's trunk is no model. Raises UserError.
    """
    engine = state["engines"].get("critic", {})
    if start is None or "model" not in engine or "lora" in engine:
        return None
    critic = load_reward_model(start, tokenizer)
    try:
        load_trained_state(critic, engine["model"])
    except RuntimeError as error:
        raise UserError(
            f"{folder}: its critic's weights are not those of a model like {start.display_name} "
            f"({str(error).splitlines()[0]})"
        ) from error
    return critic
