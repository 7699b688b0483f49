"""A checkpoint of a training run becomes a policy, to be judged and compared like any other.

    python -m policy_training.training.weights.adopt RUN_DIR

Reads the checkpoint's folder (its files are verified) and the policy that the run started from, which has the shape and
the tokenizer. Where the run averages its weights, the average is what becomes the policy, as at the run's end.

Writes model/ (the policy) and result.json.
"""

from pathlib import Path
from typing import Any

import torch

from learning.checkpoints import read_checkpoint
from learning.interface.options import UserError
from learning.interface.training_options import LoraOptions
from learning.models.adapters import add_adapter, load_trained_state
from learning.models.architectures import VALUE_HEAD
from learning.models.files import model_sha256s, save_model
from learning.models.loading import load_policy
from learning.models.tokenizers import load_tokenizer
from learning.recipe_runner import run_recipe
from learning.run_context import RunContext
from policy_training.training.config import AdoptConfig


def main(context: RunContext[AdoptConfig]) -> dict[str, Any]:
    options, folder = context.options, Path(context.options.checkpoint_path)
    context.set_status(stage="loading")
    step, state = read_checkpoint(folder)
    weights = state["engines"].get("policy", {}).get("model")
    if weights is None:
        raise UserError(
            f"{folder}: has no whole weights of a policy (DeepSpeed keeps them in parts); let the run end instead"
        )
    tokenizer = load_tokenizer(options.policy)
    model = load_policy(options.policy, tokenizer)
    # Of a critic on the policy's own trunk: the policy is saved without it at a run's end, too.
    weights = {name: weight for name, weight in weights.items() if not name.startswith(f"{VALUE_HEAD}.")}
    try:
        if lora := state["engines"]["policy"].get("lora"):
            add_adapter(model, LoraOptions(**lora), options.policy)
        load_trained_state(model, weights)
    except RuntimeError as error:
        raise UserError(
            f"{folder}: its weights are not those of a model like {options.policy.path} "
            f"({str(error).splitlines()[0]})"
        ) from error
    if average := state["state"].get("weight_average"):
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if name in average:
                    weight.copy_(average[name])
    context.stop_if_requested()
    context.set_status(stage="saving")
    sha256s = save_model(model, tokenizer, context.path / "model")
    assert options.policy.path is not None
    return {
        # Of the policy: PPO's critic may have learned alone before.
        "steps": state["state"].get("progress", {}).get("policy_steps", step),
        "checkpoint_step": step,
        "model_sha256s": sha256s,
        "policy_sha256s": dict(model_sha256s(Path(options.policy.path))),
    }


if __name__ == "__main__":
    run_recipe(main, AdoptConfig)
