"""TRL's own RewardTrainer on our export and our saved model, in an environment of its own (docs/real-run.md).

    python benchmarks/real_run/trl_steps.py TRL_FOLDER MODEL_FOLDER OUT [--steps 20]

TRL_FOLDER goes through `datasets.load_dataset`, MODEL_FOLDER through TRL's
`RewardTrainer(model=folder)`; nothing of Roundtable is imported. Prints one line a step and the accuracy
on the validation split before and after.
"""

import argparse
from pathlib import Path
from typing import Any

from datasets import load_dataset
from transformers import TrainerCallback
from trl import RewardConfig, RewardTrainer


class PrintSteps(TrainerCallback):
    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **rest: Any) -> None:
        if "loss" in logs:
            loss, accuracy = float(logs["loss"]), float(logs["accuracy"])
            print(f"step {state.global_step}: loss {loss:.4f}, pairs right {accuracy:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("trl_folder")
    parser.add_argument("model_folder")
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=20)
    arguments = parser.parse_args()
    dataset = load_dataset(arguments.trl_folder)
    print(dataset)
    trainer = RewardTrainer(
        model=arguments.model_folder,
        args=RewardConfig(
            output_dir=str(arguments.out),
            max_steps=arguments.steps,
            per_device_train_batch_size=8,
            per_device_eval_batch_size=16,
            learning_rate=1e-4,
            max_length=512,  # the model has as many positions; TRL leaves longer pairs out
            logging_steps=1,
            report_to="none",
            disable_tqdm=True,
            save_strategy="no",
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            seed=0,
        ),
        train_dataset=dataset["train"],
        eval_dataset=dataset["validation"],
        callbacks=[PrintSteps()],
    )
    before = trainer.evaluate()
    trainer.train()
    after = trainer.evaluate()
    for when, figures in (("before", before), ("after", after)):
        print(
            f"{when}: validation loss {figures['eval_loss']:.4f}, pairs right {figures['eval_accuracy']:.3f}"
        )


if __name__ == "__main__":
    main()
