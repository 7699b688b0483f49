"""TRL's PPOTrainer on the prompts that the script was given; runs in the peer's environment.

python trl_ppo.py JOB.json

Policy, reference, reward model and critic start from the folders that our side starts from.
"""

import json
import sys
from pathlib import Path

import torch
import trl
from datasets import Dataset
from stopwatch import Stopwatch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer
from transformers.models.llama import modeling_llama  # noqa: F401  (counted as idle, as on our side)
from trl.experimental.ppo import PPOConfig, PPOTrainer
from trl_timer import Timer


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(1)
    stopwatch = Stopwatch(job["device"])
    options = {"dtype": torch.float32, "attn_implementation": "sdpa"}
    policy, reference = (AutoModelForCausalLM.from_pretrained(job["policy"], **options) for _ in range(2))
    reward_model, critic = (
        AutoModelForSequenceClassification.from_pretrained(job["reward_model"], num_labels=1, **options)
        for _ in range(2)
    )
    tokenizer = AutoTokenizer.from_pretrained(job["policy"], padding_side="left")
    episodes = job["steps"] * job["responses_per_step"]
    trainer = PPOTrainer(
        args=PPOConfig(
            output_dir=job["scratch"],
            per_device_train_batch_size=job["responses_per_pass"],
            gradient_accumulation_steps=job["responses_per_step"] // job["responses_per_pass"],
            local_rollout_forward_batch_size=job["responses_per_rollout_pass"],
            total_episodes=episodes,
            num_ppo_epochs=1,
            response_length=job["response_tokens"],
            temperature=1.0,
            learning_rate=job["learning_rate"],
            bf16=job["dtype"] == "bf16",  # weights stay fp32 and passes are autocast, as on our side
            gradient_checkpointing=job["gradient_checkpointing"],
            use_cpu=job["device"] == "cpu",
            logging_steps=10**6,
            num_sample_generations=0,
            report_to="none",
            disable_tqdm=True,
            save_strategy="no",
            seed=0,
        ),
        processing_class=tokenizer,
        model=policy,
        ref_model=reference,
        reward_model=reward_model,
        value_model=critic,
        train_dataset=Dataset.from_dict({"input_ids": job["prompts"]}),
        callbacks=[Timer(stopwatch)],
    )
    trainer.train()
    stopwatch.write(
        Path(job["report"]),
        units=stopwatch.steps * job["responses_per_step"] * job["response_tokens"],
        version=f"TRL {trl.__version__}",
    )


if __name__ == "__main__":
    main()
