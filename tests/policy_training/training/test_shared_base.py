"""PPO with LoRA: policy, reference, reward model and critic around one base, which nothing changes."""

import dataclasses
import shutil

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from learning.batches.forward import compute_token_logprobs, compute_values
from learning.interface.training_options import (
    LoraOptions,
    ModelOptions,
    ModelSource,
    OptimizerOptions,
    RuntimeOptions,
)
from learning.models.adapters import add_adapter
from learning.models.files import save_model
from learning.models.loading import load_policy, load_reward_model
from learning.models.tokenizers import load_tokenizer
from learning.run_context import RunContext
from policy_training.training.best_of_n.config import BestOfNConfig
from policy_training.training.config import AdoptConfig, LanguageModelConfig
from policy_training.training.dpo.config import DPOConfig
from policy_training.training.policy_gradient import recipe as policy_gradient
from policy_training.training.policy_gradient.config import PolicyGradientConfig
from policy_training.training.policy_gradient.presets import POLICY_GRADIENT_PRESETS
from policy_training.training.ppo import recipe as ppo
from policy_training.training.ppo.config import AlgorithmOptions, CriticOptions, PPOConfig, RolloutOptions
from policy_training.training.ppo.setup import build_state
from policy_training.training.ppo.update import update_critic, update_policy
from policy_training.training.supervised import sft
from policy_training.training.weights import adopt
from rewardmodel.training.config import RewardModelConfig
from tests.policy_training.training.conftest import (
    BATCH,
    create_run,
    demonstration_rows,
    in_process,
    ppo_config,
    prompt_rows,
    sft_config,
)
from tests.policy_training.training.ppo_states import collect_experience

LORA = LoraOptions(rank=4, alpha=8.0)
LORA_OVER_INT8 = dataclasses.replace(LORA, base_precision="int8")


@pytest.fixture(scope="session")
def adapter_reward_model(tmp_path_factory, policy_path):
    """A reward model that was trained by LoRA from the policy."""
    source, path = ModelSource(path=str(policy_path)), tmp_path_factory.mktemp("models") / "by_lora"
    tokenizer = load_tokenizer(source)
    torch.manual_seed(2)
    model = load_reward_model(source, tokenizer)
    add_adapter(model, LoraOptions(rank=2), source)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.1)
    model.config.reward_shift = 0.25
    save_model(model, tokenizer, path)
    return path


def lora_config(policy_path, reward_model_path, **changes):
    options = ModelOptions(source=ModelSource(path=str(policy_path)), lora=LORA)
    return ppo_config(policy_path, reward_model_path, policy=options, **changes)


def state_of(tmp_path, config):
    run = create_run(tmp_path / "state", "ppo", config, prompts=prompt_rows(8))
    torch.manual_seed(0)
    return build_state(RunContext.open(run, PPOConfig))


def models_of(state):
    return {
        "policy": state.policy.model,
        "critic": state.critic.model,
        "reference": state.reference.model,
        "reward": state.scorer.reward_model.model,
    }


def storages(model):
    return {p.data_ptr() for p in model.parameters() if not p.requires_grad}


def weights(model):
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def test_policy_reference_reward_model_and_critic_share_every_weight_of_the_base(
    tmp_path, policy_path, adapter_reward_model
):
    state = state_of(tmp_path, lora_config(policy_path, adapter_reward_model))
    base = storages(state.reference.model)
    reward_model, critic = state.scorer.reward_model.model, state.critic.model
    trunk = {p.data_ptr() for p in state.reference.model.model.parameters()}
    assert base <= storages(state.policy.model) and trunk <= storages(critic)
    assert trunk <= {p.data_ptr() for p in reward_model.parameters()}
    # What is theirs alone is shared with nobody.
    own = [
        {p.data_ptr() for n, p in m.named_parameters() if "lora_" in n or n.startswith("score")}
        for m in (state.policy.model, critic, reward_model)
    ]
    assert sum(map(len, own)) == len(set.union(*own)) and all(own)
    # The critic starts as the reward model, and that is the model of its folder.
    _, minibatches = collect_experience(state)
    batch = minibatches[0][0].batch
    merged = load_reward_model(ModelSource(path=str(adapter_reward_model)), state.tokenizer).eval()
    with torch.no_grad():
        assert torch.allclose(compute_values(merged, batch), compute_values(reward_model, batch), atol=1e-5)
    assert torch.equal(
        state.critic.infer(compute_values, batch), torch.no_grad()(compute_values)(reward_model, batch)
    )


@pytest.mark.parametrize(
    ("own_weights", "checkpointing", "lora"),
    [
        (False, False, LORA),
        (False, True, LORA_OVER_INT8),
        (True, False, LORA_OVER_INT8),
        (True, True, LORA),
    ],
)
def test_ten_updates_leave_the_base_as_it_was_and_each_role_its_own_gradient(
    tmp_path, policy_path, reward_model_path, adapter_reward_model, own_weights, checkpointing, lora
):
    """Also where the reward model is no adapter: the critic is one on the reward model's weights then. The base of the
    reward model that is one is in full precision, so that beside a base in 8 bit it has its own weights as well.
    """
    config = lora_config(policy_path, reward_model_path if own_weights else adapter_reward_model)
    config = dataclasses.replace(
        config, policy=dataclasses.replace(config.policy, lora=lora, gradient_checkpointing=checkpointing)
    )
    state = state_of(tmp_path, config)
    in_8_bit = [any(p.dtype == torch.int8 for p in m.parameters()) for m in models_of(state).values()]
    assert in_8_bit == ([True, False, True, False] if lora == LORA_OVER_INT8 else [False] * 4)
    _, minibatches = collect_experience(state)
    batch, tokens = minibatches[0][0].batch, 16.0
    before = state.reference.infer(compute_token_logprobs, batch, 1.0)
    assert torch.equal(state.policy.infer(compute_token_logprobs, batch, 1.0), before)
    roles = models_of(state)
    for update, changed in ((update_critic, "critic"), (update_policy, "policy")):
        old = {name: weights(model) for name, model in roles.items()}
        for _ in range(5):
            update(state, minibatches[0], tokens)
        for name, model in roles.items():
            moved = {n for n, p in model.named_parameters() if not torch.equal(p, old[name][n])}
            if name != changed:
                assert not moved
            else:
                assert moved and all("lora_" in n or n.startswith("score") for n in moved)
    assert torch.equal(state.reference.infer(compute_token_logprobs, batch, 1.0), before)
    assert not torch.equal(state.policy.infer(compute_token_logprobs, batch, 1.0), before)


def test_the_first_ratio_is_one_and_checkpointing_changes_no_gradient(
    tmp_path, policy_path, adapter_reward_model
):
    """Policy and critic go forward before either goes backward."""
    found = []
    for checkpointing in (False, True):
        algorithm = AlgorithmOptions(responses_per_minibatch=16)
        config = lora_config(policy_path, adapter_reward_model, algorithm=algorithm)
        config = dataclasses.replace(
            config,
            policy=dataclasses.replace(config.policy, gradient_checkpointing=checkpointing),
            critic=CriticOptions(max_pretraining_updates=0),
        )
        state = state_of(tmp_path / str(checkpointing), config)
        metrics = ppo.ppo_step(state, 1)[0]
        assert metrics["approx_kl"] < 1e-10 and metrics["clip_fraction"] == 0
        found.append((metrics["gradient_norm"], metrics["critic_gradient_norm"]))
    assert found[0] == pytest.approx(found[1], rel=1e-5) and min(found[0]) > 0


def test_a_resumed_run_ends_in_the_same_bits_and_what_it_saves_is_a_model_of_its_own(
    tmp_path, policy_path, adapter_reward_model
):
    config = lora_config(policy_path, adapter_reward_model, ema_decay=0.5)
    rows = prompt_rows(8)
    whole = create_run(tmp_path / "whole", "ppo", config, prompts=rows)
    in_process(ppo, PPOConfig, whole)
    # Killed after the checkpoint of the fourth step: nothing but it and what the run was asked for is left.
    resumed = create_run(tmp_path / "resumed", "ppo", config, prompts=rows)
    checkpoints = sorted((whole.path / "checkpoints").iterdir())
    (resumed.path / "checkpoints").mkdir(exist_ok=True)
    shutil.copytree(checkpoints[-2], resumed.path / "checkpoints" / checkpoints[-2].name)
    for name in ("metrics.jsonl", "samples.jsonl", "evaluation_samples.jsonl"):
        shutil.copy(whole.path / name, resumed.path / name)
    in_process(ppo, PPOConfig, resumed)
    for folder in ("model", "critic"):
        first, second = (load_file(r.path / folder / "model.safetensors") for r in (whole, resumed))
        assert first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)
    saved = load_file(checkpoints[-1] / "state.safetensors")
    base = sum(
        p.numel()
        for p in load_policy(config.policy.source, load_tokenizer(config.policy.source)).parameters()
    )
    assert sum(t.numel() for t in saved.values()) < base  # adapters and their optimizers, not the base

    # Plain transformers reads the model; peft reads the adapter on the base; a checkpoint becomes a policy.
    ids = torch.arange(5, 15)[None]
    model, plain = (
        AutoModelForCausalLM.from_pretrained(p).eval() for p in (whole.path / "model", policy_path)
    )
    with torch.no_grad():
        logits, before = model(input_ids=ids).logits, plain(input_ids=ids).logits
        by_peft = (
            PeftModel.from_pretrained(plain, whole.path / "model" / "adapter").eval()(input_ids=ids).logits
        )
    assert torch.allclose(by_peft, logits, atol=1e-5) and not torch.allclose(before, logits, atol=1e-4)
    asked = AdoptConfig(policy=config.policy.source, checkpoint_path=str(checkpoints[-1]))
    adopted = create_run(tmp_path / "adopted", "adopt", asked)
    in_process(adopt, AdoptConfig, adopted)
    with torch.no_grad():
        again = AutoModelForCausalLM.from_pretrained(adopted.path / "model").eval()(input_ids=ids).logits
    assert torch.allclose(again, logits, atol=1e-6)


def test_a_shared_trunk_and_a_policy_gradient_learn_by_lora_too(tmp_path, policy_path, adapter_reward_model):
    shared = CriticOptions(init_from="shared", max_pretraining_updates=0)
    rollout = RolloutOptions(steps=2, prompts_per_step=4, samples_per_prompt=4)
    config = lora_config(policy_path, adapter_reward_model, critic=shared, rollout=rollout)
    run = create_run(tmp_path / "shared", "ppo", config, prompts=prompt_rows(8))
    in_process(ppo, PPOConfig, run)
    trunk, model = (load_file(run.path / name / "model.safetensors") for name in ("critic", "model"))
    assert all(torch.equal(trunk[n], model[n]) for n in trunk if n.startswith("model."))

    preset = POLICY_GRADIENT_PRESETS["rloo"].config(config.policy.source, str(adapter_reward_model))
    config = dataclasses.replace(
        preset,
        policy=config.policy,
        batch=BATCH,
        rollout=rollout,
        algorithm=dataclasses.replace(preset.algorithm, responses_per_minibatch=8),
    )
    run = create_run(tmp_path / "rloo", "policy_gradient", config, prompts=prompt_rows(8))
    result = in_process(policy_gradient, PolicyGradientConfig, run)
    assert result["steps"] == 2 and (run.path / "model" / "adapter").is_dir()


def test_fine_tuning_learns_by_lora_packed_as_unpacked(tmp_path, policy_path):
    """Rows that are packed and rows that are not give the same loss of the first step, and the loss falls."""
    options = ModelOptions(source=ModelSource(path=str(policy_path)), lora=LoraOptions(rank=8))
    losses = []
    for packing in (False, True):
        config = sft_config(model=options)
        size = len(demonstration_rows(20)) if not packing else 20
        data = dataclasses.replace(
            config.data, packing=packing, examples_per_step=size, steps=6, max_length=64
        )
        config = dataclasses.replace(config, data=data)
        run = create_run(tmp_path / str(packing), "sft", config, demonstrations=demonstration_rows(20))
        result = in_process(sft, LanguageModelConfig, run)
        assert result["loss_after"] < result["loss_before"]
        losses.append(run.metrics()[0][0]["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_zero_3_is_refused():
    runtime = RuntimeOptions(backend="deepspeed", zero_stage=3)
    with pytest.raises(ValueError, match="zero_stage below 3"):
        lora_config("policy", "reward_model", runtime=runtime)


@pytest.mark.parametrize("config_class", [LanguageModelConfig, DPOConfig, BestOfNConfig, RewardModelConfig])
def test_a_base_in_8_bit_is_refused_under_zero_3(config_class):
    model = ModelOptions(source=ModelSource(path="policy"), lora=LORA_OVER_INT8)
    needed = {"reward_model_path": "reward_model"} if config_class is BestOfNConfig else {}
    needed |= {"model": model, "optimizer": OptimizerOptions(learning_rate=1e-4)}
    for stage in (2, 3):
        runtime = RuntimeOptions(backend="deepspeed", zero_stage=stage)
        if stage == 3:
            with pytest.raises(ValueError, match="base_precision 'int8' needs whole weights"):
                config_class(runtime=runtime, **needed)
        else:
            assert config_class(runtime=runtime, **needed).model.lora == LORA_OVER_INT8
