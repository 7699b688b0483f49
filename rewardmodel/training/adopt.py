"""A checkpoint of a reward model's training becomes a reward model.

    python -m rewardmodel.training.adopt RUN_DIR

The inputs are those of the training, so that the checkpoint is measured on the comparisons that its training held out
and its reward is 0 on the same demonstrations: at the training's last step the result is the training's own, bit for
bit. Reads the checkpoint's folder, whose files are verified.

Writes model/ and result.json, as the training does.
"""

import shutil
from pathlib import Path
from typing import Any

from learning.checkpoints import read_checkpoint
from learning.distributed import DistributedContext
from learning.engine import Engine
from learning.interface.options import UserError
from learning.models.adapters import load_trained_state
from learning.recipe_runner import run_recipe
from learning.run_context import RunContext
from rewardmodel.training.config import AdoptConfig
from rewardmodel.training.finishing import finish_model
from rewardmodel.training.preparation import prepare


def main(context: RunContext[AdoptConfig]) -> dict[str, Any]:
    folder = Path(context.options.checkpoint_path)
    step, state = read_checkpoint(folder)
    weights = state["engines"].get("reward_model", {}).get("model")
    if weights is None:
        raise UserError(
            f"{folder}: has no whole weights of a reward model (DeepSpeed keeps them in parts); let the run end instead"
        )
    distributed = DistributedContext.start(context.options.runtime)
    # A model from random weights trained its tokenizer: the checkpoint's weights belong to that one.
    trained = folder.parent.parent / "tokenizer"
    if trained.is_dir() and not (context.path / "tokenizer").exists():
        shutil.copytree(trained, context.path / "tokenizer")
    prepared = prepare(context, distributed)
    try:
        load_trained_state(prepared.model, weights)
    except RuntimeError as error:
        raise UserError(
            f"{folder}: its weights are not those of a model like {context.options.model.source.display_name} "
            f"({str(error).splitlines()[0]})"
        ) from error
    engine = Engine(
        prepared.model,
        optimizer=prepared.options.optimizer,
        steps_total=step,
        runtime=prepared.options.runtime,
        distributed=distributed,
    )
    result = finish_model(context, prepared, engine, step=step, steps_total=step)
    sampler = prepared.sampler(prepared.sizes())
    sampler.load_state_dict(state["state"]["sampler"])
    epochs = sampler.epoch + sampler.position / sampler.steps_per_epoch
    return {**result, "steps": step, "epochs": epochs, "checkpoint_step": step}


if __name__ == "__main__":
    run_recipe(main, AdoptConfig)
