"""TRL's RewardTrainer on the pairs that the script was given; runs in the peer's environment.

python trl_reward_model.py JOB.json
"""

import json
import sys
from pathlib import Path

import torch
import trl
from datasets import Dataset
from stopwatch import Stopwatch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.models.llama import modeling_llama  # noqa: F401  (counted as idle, as on our side)
from trl import RewardConfig, RewardTrainer
from trl_timer import Timer


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(1)
    stopwatch = Stopwatch()
    chosen, rejected = zip(*job["pairs"], strict=True)
    trainer = RewardTrainer(
        model=AutoModelForSequenceClassification.from_pretrained(
            job["model"], num_labels=1, dtype=torch.float32, attn_implementation="sdpa"
        ),
        args=RewardConfig(
            output_dir=job["scratch"],
            per_device_train_batch_size=job["pairs_per_step"],
            num_train_epochs=1,
            learning_rate=job["learning_rate"],
            max_length=None,
            bf16=False,
            gradient_checkpointing=job["gradient_checkpointing"],
            use_cpu=True,
            logging_steps=10**6,
            report_to="none",
            disable_tqdm=True,
            save_strategy="no",
            seed=0,
        ),
        train_dataset=Dataset.from_dict({"chosen_ids": list(chosen), "rejected_ids": list(rejected)}),
        processing_class=AutoTokenizer.from_pretrained(job["model"]),
        callbacks=[Timer(stopwatch)],
    )
    loss = trainer.train().training_loss
    stopwatch.write(Path(job["report"]), loss=loss, units=len(job["pairs"]), version=f"TRL {trl.__version__}")


if __name__ == "__main__":
    main()
