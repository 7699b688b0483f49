"""Model folders and run directories of ours for the synthetic work.

python -m benchmarks.trainers.prepare JOB.json

Everything that the job does not name keeps the trainers' defaults.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from benchmarks.trainers.synthetic import SPECIALS, Ranking, Sizes, make_rankings, to_text
from learning.interface.options import options_to_dict
from learning.interface.record_schemas import COMPARISONS, PROMPTS
from learning.interface.run_directory import RunDirectory
from learning.interface.training_options import (
    BatchOptions,
    EvaluationOptions,
    LoraOptions,
    ModelArchitecture,
    ModelOptions,
    ModelSource,
    OptimizerOptions,
    RuntimeOptions,
)
from learning.models.adapters import add_adapter
from learning.models.files import save_model
from learning.models.loading import load_policy, load_reward_model
from policy_training.training.ppo.config import CriticOptions, PPOConfig, RolloutOptions
from rewardmodel.training.config import DataOptions, RewardModelConfig

LORA = LoraOptions(rank=8, target_modules="q_proj,v_proj")  # those of the LoRA paper


def runtime_of(job: dict[str, Any]) -> RuntimeOptions:
    return RuntimeOptions(
        threads=1,
        dtype=job.get("dtype", "fp32"),
        device=job.get("device", "cpu"),
        checkpoint_every_steps=10**6,
    )


def word_tokenizer(sizes: Sizes) -> PreTrainedTokenizerFast:
    """A token for each word; a conversation is BOS and its text, so that ids are those of `synthetic`."""
    words = [f"w{number}" for number in range(len(SPECIALS), sizes.vocabulary)]
    vocabulary = {word: number for number, word in enumerate([*SPECIALS, *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=SPECIALS[3]))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    pad, bos, eos, unknown = SPECIALS
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=pad,
        bos_token=bos,
        eos_token=eos,
        unk_token=unknown,
        chat_template="{{ bos_token + ' ' }}{% for message in messages %}{{ message['content'] }}"
        "{% if message['role'] == 'assistant' %}{{ ' ' + eos_token }}{% endif %}{% endfor %}",
    )


def save_models(sizes: Sizes, folder: Path) -> None:
    """policy/, reward_model/ and reward_model_by_lora/ of random weights."""
    tokenizer = word_tokenizer(sizes)
    shape = ModelArchitecture(
        hidden_size=sizes.hidden_size,
        intermediate_size=sizes.intermediate_size,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        num_key_value_heads=sizes.key_value_heads,
        max_position_embeddings=sizes.positions,
    )
    torch.manual_seed(0)
    save_model(load_policy(ModelSource(from_scratch=shape), tokenizer), tokenizer, folder / "policy")
    reward_model = load_reward_model(ModelSource(path=str(folder / "policy")), tokenizer)
    reward_model.config.reward_shift = 0.0
    save_model(reward_model, tokenizer, folder / "reward_model")
    add_adapter(reward_model, LORA, ModelSource(path=str(folder / "policy")))
    save_model(reward_model, tokenizer, folder / "reward_model_by_lora")


def comparison_row(number: int, ranking: Ranking) -> dict[str, Any]:
    """A ranking without ties, the first response the best, in the columns of the record."""
    count = len(ranking.response_ids)
    preference = [[None if a == b else 1.0 if a < b else 0.0 for b in range(count)] for a in range(count)]
    return {
        "group_id": f"group {number}",
        "criterion": "helpful",
        "prompt": [{"role": "user", "content": to_text(ranking.prompt_ids)}],
        "responses": [to_text(ids) for ids in ranking.response_ids],
        "response_ids": [f"{number}/{place}" for place in range(count)],
        "ranks": list(range(count)),
        "grade": [[None] * count for _ in range(count)],
        "soft_preference": preference,
        "weight": 1.0,
        "n_annotators": 1,
        "agreement": None,
        "annotator_kind": "person",
        "round": 1,
        "split": "train",
    }


def prompt_row(number: int, ranking: Ranking, split: str) -> dict[str, Any]:
    return {
        "prompt_id": f"{split} {number}",
        "messages": [{"role": "user", "content": to_text(ranking.prompt_ids)}],
        "kind": "plain",
        "split": split,
        "author": None,
        "tags": [],
    }


def reward_model_run(folder: Path, sizes: Sizes, responses: int, job: dict[str, Any]) -> None:
    """run-K: `steps` epochs over the rankings of K responses."""
    config = RewardModelConfig(
        model=ModelOptions(source=ModelSource(path=str(folder / "reward_model"))),
        optimizer=OptimizerOptions(learning_rate=job["learning_rate"]),
        data=DataOptions(epochs=job["steps"]),
        batch=BatchOptions(**job["batch"]),
        runtime=runtime_of(job),
    )
    rows = [comparison_row(number, ranking) for number, ranking in enumerate(make_rankings(sizes, responses))]
    RunDirectory.create(
        folder / f"run-{responses}",
        command="rewardmodel.training.train",
        config=options_to_dict(config),
        inputs={"comparisons": (rows, COMPARISONS)},
    )


def ppo_run(folder: Path, sizes: Sizes, samples: int, job: dict[str, Any], *, shares: bool = False) -> None:
    """run-N: `steps` steps with N samples of each prompt. The critic starts with the policy, as the peer's does.

    `shares`: run-N-shared, whose models are adapters on one base.
    """
    lora = LORA if shares else LoraOptions()
    config = PPOConfig(
        policy=ModelOptions(source=ModelSource(path=str(folder / "policy")), lora=lora),
        reward_model_path=str(folder / ("reward_model_by_lora" if shares else "reward_model")),
        policy_optimizer=OptimizerOptions(learning_rate=job["learning_rate"]),
        critic_optimizer=OptimizerOptions(learning_rate=job["learning_rate"]),
        batch=BatchOptions(max_response_tokens=job["response_tokens"], **job["batch"]),
        rollout=RolloutOptions(steps=job["steps"], samples_per_prompt=samples),
        critic=CriticOptions(max_pretraining_updates=0),
        evaluation=EvaluationOptions(max_examples=1),
        runtime=runtime_of(job),
    )
    rankings = make_rankings(sizes, 2)
    rows = [prompt_row(number, ranking, "train") for number, ranking in enumerate(rankings)]
    rows.append(prompt_row(0, make_rankings(sizes, 2, seed=1)[0], "validation"))
    RunDirectory.create(
        folder / (f"run-{samples}-shared" if shares else f"run-{samples}"),
        command="policy_training.training.ppo.recipe",
        config=options_to_dict(config),
        inputs={"prompts": (rows, PROMPTS)},
    )


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    folder, sizes = Path(job["folder"]), Sizes(**job["sizes"])
    save_models(sizes, folder)
    make_run = {"reward_model": reward_model_run, "ppo": ppo_run}[job["recipe"]]
    for count in job["counts"]:
        make_run(folder, sizes, count, job)
        if job["recipe"] == "ppo":
            ppo_run(folder, sizes, count, job, shares=True)


if __name__ == "__main__":
    main()
