"""LoRA from end to end in every recipe: trained, killed and resumed, saved, adopted, read and sampled from. In half of
them the base is in 8 bit.
"""

import dataclasses
import json
import shutil

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from learning.checkpoints import read_checkpoint
from learning.interface.training_options import (
    LoraOptions,
    ModelOptions,
    ModelSource,
    OptimizerOptions,
    RuntimeOptions,
)
from learning.models.adapters import adapter_on, base_identity
from learning.models.loading import load_policy
from learning.models.tokenizers import load_tokenizer
from policy_training.training.best_of_n import recipe as best_of_n
from policy_training.training.best_of_n.config import CandidateOptions
from policy_training.training.config import AdoptConfig, LanguageModelDataOptions, SamplingOptions
from policy_training.training.dpo import recipe as dpo
from policy_training.training.policy_gradient import recipe as policy_gradient
from policy_training.training.ppo.config import RolloutOptions
from policy_training.training.rollouts.sampler import SamplingRequest, sample_responses
from policy_training.training.supervised import pretrain, sft
from policy_training.training.weights import adopt
from rewardmodel.training import train as reward_model
from rewardmodel.training.config import DataOptions, ObjectiveOptions, RewardModelConfig
from tests.learning.int8_reference import dequantized_like
from tests.policy_training.training.conftest import (
    BATCH,
    create_run,
    demonstration_rows,
    in_process,
    prompt_rows,
    sft_config,
    text_rows,
)
from tests.policy_training.training.test_best_of_n import config_of as best_of_n_config
from tests.policy_training.training.test_dpo import comparison_rows, dpo_config
from tests.policy_training.training.test_policy_gradient import gradient_config
from tests.rewardmodel.training.conftest import create_run as create_reward_model_run

LORA = LoraOptions(rank=4, alpha=8.0)
LORA_OVER_INT8 = dataclasses.replace(LORA, base_precision="int8")
OVER_INT8 = ("sft", "policy_gradient", "reward_model")
RECIPES = {
    "pretrain": pretrain,
    "sft": sft,
    "best_of_n": best_of_n,
    "dpo": dpo,
    "policy_gradient": policy_gradient,
    "reward_model": reward_model,
}
STEPS, EVERY = 4, 2
RUNTIME = RuntimeOptions(checkpoint_every_steps=EVERY)
RATE = OptimizerOptions(learning_rate=1e-2, schedule="constant")


def config_of(name, policy_path, reward_model_path, runtime=RUNTIME, rate=RATE):
    """Four steps; gradient checkpointing is on in half of them."""
    model = ModelOptions(
        source=ModelSource(path=str(policy_path)),
        lora=LORA_OVER_INT8 if name in OVER_INT8 else LORA,
        gradient_checkpointing=name in ("pretrain", "dpo", "reward_model"),
    )
    data = LanguageModelDataOptions(examples_per_step=4, steps=STEPS)
    common = {"model": model, "optimizer": rate, "runtime": runtime}
    if name in ("pretrain", "sft"):
        return sft_config(data=data, **common)
    if name == "best_of_n":
        candidates = CandidateOptions(samples_per_prompt=2, only_ended=False)
        return best_of_n_config(policy_path, reward_model_path, candidates=candidates, data=data, **common)
    steps = DataOptions(epochs=None, steps=STEPS, comparisons_per_step=4)
    if name == "dpo":
        return dpo_config(policy_path, data=steps, **common)
    if name == "reward_model":
        objective = ObjectiveOptions(lm_coefficient=0.1)
        return RewardModelConfig(data=steps, batch=BATCH, objective=objective, **common)
    return gradient_config(
        policy_path,
        reward_model_path,
        policy=model,
        policy_optimizer=rate,
        runtime=runtime,
        rollout=RolloutOptions(steps=STEPS, prompts_per_step=2, samples_per_prompt=4),
    )


def make_run(path, name, config):
    if name == "reward_model":
        return create_reward_model_run(path, config, comparison_rows(24), demonstration_rows(6))
    rows = {
        "pretrain": {"texts": text_rows(12, heldout=2)},
        "sft": {"demonstrations": demonstration_rows(14)},
        "best_of_n": {"prompts": prompt_rows(8)},
        "dpo": {"comparisons": comparison_rows(24)},
        "policy_gradient": {"prompts": prompt_rows(8)},
    }[name]
    return create_run(path, name, config, **rows)


def weights(run, folder="model"):
    return load_file(run.path / folder / "model.safetensors")


@pytest.mark.parametrize("name", RECIPES)
def test_a_run_by_lora_is_resumed_bit_for_bit_and_leaves_a_model_and_an_adapter(
    tmp_path, policy_path, reward_model_path, name
):
    config = config_of(name, policy_path, reward_model_path)
    whole = make_run(tmp_path / "whole", name, config)
    in_process(RECIPES[name], type(config), whole)
    checkpoints = sorted((whole.path / "checkpoints").iterdir())
    assert [folder.name.partition(".")[0] for folder in checkpoints] == ["step-000002", "step-000004"]

    # Killed after the first checkpoint: it, what the run was asked for and what it had sampled is all there is.
    cut = make_run(tmp_path / "cut", name, config)
    (cut.path / "checkpoints").mkdir(exist_ok=True)
    shutil.copytree(checkpoints[0], cut.path / "checkpoints" / checkpoints[0].name)
    for log in ("metrics.jsonl", "samples.jsonl", "evaluation_samples.jsonl"):
        if (whole.path / log).is_file():
            shutil.copy(whole.path / log, cut.path / log)
    if name == "best_of_n":
        shutil.copytree(whole.path / "candidates", cut.path / "candidates", dirs_exist_ok=True)
    in_process(RECIPES[name], type(config), cut)
    first, second = weights(whole), weights(cut)
    assert first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)
    assert len(cut.metrics()[0]) == STEPS

    # A checkpoint holds what is trained: adapters, heads and their moments.
    base = load_file(policy_path / "model.safetensors")
    (engine,) = read_checkpoint(checkpoints[-1])[1]["engines"].values()
    heads = ("score", "language_head") if name == "reward_model" else ()
    assert any("lora_A" in key for key in engine["model"])
    assert all("lora_" in key or key.startswith(heads) for key in engine["model"])
    # The model has the adapter added; on the base, by peft's own code, the adapter says the same. An 8-bit base is read
    # as what its levels say.
    moved = {key for key in base if key in first and not torch.equal(first[key], base[key])}
    assert moved and all("_proj" in key for key in moved)
    ids = torch.arange(5, 15)[None]
    is_reward_model = name == "reward_model"
    auto = AutoModelForSequenceClassification if is_reward_model else AutoModelForCausalLM
    labels = {"num_labels": 1} if is_reward_model else {}
    model, plain = (auto.from_pretrained(p, **labels).eval() for p in (whole.path / "model", policy_path))
    if name in OVER_INT8:
        dequantized_like(plain)
    adapted = PeftModel.from_pretrained(plain, whole.path / "model" / "adapter").eval()
    with torch.no_grad():
        logits = model(input_ids=ids).logits
        assert torch.allclose(adapted(input_ids=ids).logits, logits, atol=1e-5)
    source = ModelSource(path=str(whole.path / "model"))
    asked_for = LORA_OVER_INT8 if name in OVER_INT8 else LORA
    assert adapter_on(source, base_identity(ModelSource(path=str(policy_path)))) == asked_for
    if is_reward_model:
        use_as_reward_model(tmp_path, policy_path, whole)
        return

    # Its checkpoint becomes the same policy, which answers.
    asked = AdoptConfig(policy=ModelSource(path=str(policy_path)), checkpoint_path=str(checkpoints[-1]))
    adopted = create_run(tmp_path / "adopted", "adopt", asked)
    in_process(adopt, AdoptConfig, adopted)
    assert all(torch.equal(weights(adopted)[key], first[key]) for key in first)
    tokenizer = load_tokenizer(source)
    request = SamplingRequest(n_samples=2, max_response_tokens=5, options=SamplingOptions(), seed="s")
    prompts = [("p", [5, 6, 7]), ("q", [8, 9])]
    answers = [
        sample_responses(
            load_policy(ModelSource(path=str(run.path / "model")), tokenizer).eval(),
            prompts,
            request,
            eos_id=tokenizer.eos_token_id,
            pad_id=tokenizer.pad_token_id,
        )
        for run in (whole, adopted)
    ]
    assert answers[0] == answers[1] and len(answers[0]) == 4


def use_as_reward_model(tmp_path, policy_path, trained):
    """It scores the answers of a policy gradient by LoRA on the same base in 8 bit, as an adapter on that base."""
    config = config_of("policy_gradient", policy_path, trained.path / "model")
    rollout = dataclasses.replace(config.rollout, steps=1)
    config = dataclasses.replace(config, rollout=rollout)
    run = make_run(tmp_path / "rewarded", "policy_gradient", config)
    result = in_process(policy_gradient, type(config), run)
    assert result["steps"] == 1 and (run.path / "model" / "adapter").is_dir()
    sizes = {row["role"]: row for row in json.loads((run.path / "models.json").read_text())["models"]}
    assert sizes["reward_model"]["int8_parameters"] == sizes["policy"]["int8_parameters"] > 0
    assert sizes["reward_model"]["own_parameters"] < sizes["reward_model"]["parameters"] / 2
