"""A checkpoint of a training run becomes a policy, to be judged and compared like any other.

    python -m policy_training.training.weights.adopt RUN_DIR

Reads the checkpoint's folder (its files are verified) and what the run started from, which has the shape and the
tokenizer; of a model from scratch the tokenizer is that of the run. Where the run averages its weights, the average
is what becomes the policy, as at the run's end.

A critic of PPO that has weights of its own comes along, so that it can lead the policy's sampling; one that was trained
by LoRA, or is a head on the policy's trunk, is left out.

Writes model/ (the policy), critic/ where there is one, and result.json.
"""

from pathlib import Path
from typing import Any

from learning.models.files import save_model
from learning.models.tokenizers import load_tokenizer
from learning.recipe_runner import run_recipe
from learning.run_context import RunContext
from policy_training.training.config import AdoptConfig
from policy_training.training.rollouts.model_sources import model_source_sha256s
from policy_training.training.weights.checkpoint_policy import load_checkpoint_critic, load_checkpoint_policy


def main(context: RunContext[AdoptConfig]) -> dict[str, Any]:
    options, folder = context.options, Path(context.options.checkpoint_path)
    context.set_status(stage="loading")
    tokenizer = load_tokenizer(options.tokenizer_path or options.policy)
    model, step, state = load_checkpoint_policy(folder, options.policy, tokenizer)
    context.stop_if_requested()
    context.set_status(stage="saving")
    sha256s = save_model(model, tokenizer, context.path / "model")
    del model
    critic = load_checkpoint_critic(folder, state, options.critic, tokenizer)
    if critic is not None:
        save_model(critic, tokenizer, context.path / "critic")
    return {
        # Of the policy: PPO's critic may have learned alone before.
        "steps": state["state"].get("progress", {}).get("policy_steps", step),
        "checkpoint_step": step,
        "model_sha256s": sha256s,
        "policy_sha256s": model_source_sha256s(options.policy),
    }


if __name__ == "__main__":
    run_recipe(main, AdoptConfig)
