"""Options that nothing would read are refused, by a table: of every recipe, each rule with what makes it hold."""

import pytest

from learning.interface.options import options_to_dict
from learning.interface.unread_options import NOTHING_IS_TRAINED, ReadOnlyIf, unread_options
from policy_training.benchmarks.actions import benchmark_config
from policy_training.benchmarks.forms import BenchmarkForm
from policy_training.comparing.actions import comparison_config
from policy_training.comparing.forms import AlongRunForm, CompareForm
from policy_training.dpo.actions import dpo_config
from policy_training.evaluation_presets import evaluation_config
from policy_training.forms import EvaluatePolicyForm, SampleForm
from policy_training.judging.actions import judge_config
from policy_training.judging.forms import JudgeBatchForm
from policy_training.rewarded.actions import best_of_n_config, policy_gradient_config
from policy_training.supervised.options import language_model_config, sample_config
from policy_training.training import unread_options as policy_rules
from policy_training.training.ppo.presets import PPO_PRESETS
from policy_training.training.unread_options import PPO_RULES
from rewardmodel.forms import EvaluateRewardModelForm
from rewardmodel.start_training import evaluation_config as reward_model_evaluation
from rewardmodel.start_training import reward_model_config
from rewardmodel.training.unread_options import EVALUATION_RULES, REWARD_MODEL_RULES
from rounds.plans import placeholder_source
from workspace.config_overrides import apply_overrides
from workspace.errors import ActionError


def ppo(assignments):
    config = PPO_PRESETS["ppo_vanilla"].config(placeholder_source(), "reward_model")
    return apply_overrides(options_to_dict(config), assignments, PPO_RULES)


def policy_gradient(assignments):
    return policy_gradient_config("reinforce", assignments)


def language_model(assignments):
    return language_model_config("sft_secrets", assignments)


def best_of_n(assignments):
    return best_of_n_config("tiny", assignments)


def comparison(assignments):
    return comparison_config(assignments=assignments)


def dpo(assignments):
    return dpo_config("tiny", assignments)


def reward_model(assignments):
    return reward_model_config("tiny", assignments)


def evaluation(assignments):
    return evaluation_config("plain", assignments)


def judging(assignments):
    return judge_config(server="gpu", model="it", question="Which is kinder?", assignments=assignments)


SHARED = ["critic.init_from=shared", "critic.max_pretraining_updates=0"]
# What is asked; what has to be asked with it for it to be read (or not: `unless`), and the words of the refusal.
CASES = [
    # (config, given, beside it: not read, beside it: read, why)
    (ppo, "critic_optimizer.learning_rate=0.1", SHARED, [], "policy_optimizer trains"),
    (ppo, "critic.shared_value_coefficient=0.5", [], SHARED, "not 'shared'"),
    (ppo, "critic.plateau_window=3", [], ["critic.max_pretraining_updates=5"], "not trained alone"),
    (ppo, "critic.pretraining_loss_threshold=1", [], ["critic.max_pretraining_updates=5"], "trained alone"),
    (ppo, "algorithm.whitening_scope=minibatch", ["algorithm.whiten_advantages=false"],
     ["algorithm.whiten_advantages=true"], "whiten_advantages is off"),
    (ppo, "algorithm.ptx_texts_share=0.5", [], ["algorithm.ptx_coefficient=1"], "nothing is mixed in"),
    (ppo, "algorithm.ptx_examples_per_minibatch=4", [], ["algorithm.ptx_coefficient=1"], "nothing is mixed"),
    (ppo, "reward.clip_range=3", ["reward.normalize=false", "reward.scale=false"], ["reward.scale=true"],
     "standard deviations"),
    (ppo, "reward.missing_eos_score=-3", [], ["reward.missing_eos_rule=replace"], "missing_eos_rule is 'off'"),
    (ppo, "reward.kl_controller=ziegler_paper", ["reward.kl_coefficient=0.1"],
     ["reward.kl_coefficient=0.1", "reward.kl_target=6"], "coefficient is fixed"),
    (ppo, "reward.kl_target=6", ["reward.kl_coefficient=0"], ["reward.kl_coefficient=0.1"], "multiplies it"),
    (ppo, "rollout.steps=7", ["rollout.passes=2"], [], "passes says"),
    (ppo, "policy.lora.alpha=7", [], ["policy.lora.rank=4"], "no LoRA"),
    (ppo, "policy_optimizer.min_lr_ratio=0.5", ["policy_optimizer.schedule=constant"],
     ["policy_optimizer.schedule=cosine"], "ends where it begins"),
    (ppo, "critic_optimizer.warmup_start_ratio=0.5", ["critic_optimizer.warmup_ratio=0"],
     ["critic_optimizer.warmup_ratio=0.1"], "no warm-up"),
    (ppo, "rewards.safety_threshold=0.5", [], ["rewards.combination=safety_gate"], "not 'safety_gate'"),
    (ppo, "rewards.spread_coefficient=2", [], ["rewards.combination=ensemble"], "not 'ensemble'"),
    (ppo, "rewards.weight=2", ["rewards.combination=ensemble"], [], "not 'weighted_sum'"),
    (ppo, "rewards.normalization_prompts=8", [], ["rewards.normalize_models=true"], "normalize_models is off"),
    (ppo, "rewards.judge.repeats=3", [], ["rewards.judge.server.name=gpu"], "there is no judge"),
    (ppo, "alarms.kl_limit=3", ["alarms.action=off"], ["alarms.action=pause"], "action is 'off'"),
    (ppo, "alarms.sampler_kl_limit=3", ["alarms.action=off", "rollout.importance.weights=token"],
     ["rollout.importance.weights=token"], "action is 'off'"),
    (ppo, "alarms.sampler_kl_limit=3", [], ["rollout.importance.weights=token"], "the policy's own"),
    (ppo, "rollout.server.attempts=2", [], ["rollout.server.name=gpu"], "no server is named"),
    (policy_gradient, "rollout.server.attempts=2", [], ["rollout.server.name=gpu"], "no server is named"),
    (ppo, "alarms.spread_rise=3", [], ["rewards.combination=ensemble"], "have a spread"),
    (policy_gradient, "algorithm.ptx_texts_share=0.5", [], ["algorithm.ptx_coefficient=1"], "nothing is mixed"),
    (policy_gradient, "algorithm.baseline=none", ["algorithm.advantage=leave_one_out"], [], "of its own"),
    (policy_gradient, "policy.lora.target_modules=q_proj", [], ["policy.lora.rank=4"], "no LoRA"),
    (policy_gradient, "reward.missing_eos_score=-3", ["reward.missing_eos_rule=off"],
     ["reward.missing_eos_rule=replace"], "missing_eos_rule is 'off'"),
    (language_model, "data.epochs=7", ["data.steps=10"], ["data.steps=null"], "data.steps says"),
    (language_model, "data.max_length=64", [], ["data.packing=true"], "packing is off"),
    (language_model, "tokenizer.vocabulary_size=999", ["tokenizer.path=/some"], [], "names a tokenizer"),
    (language_model, "model.lora.alpha=7", [], ["model.lora.rank=4"], "no LoRA"),
    (best_of_n, "data.max_length=64", [], ["data.packing=true"], "packing is off"),
    (best_of_n, "sampling.repetition_penalty_scope=prompt_and_response", [],
     ["sampling.repetition_penalty=1.1"], "which is off"),
    (dpo, "data.min_comparisons_per_step=2", [], ["data.balance_tokens=true"], "number of comparisons"),
    (dpo, "objective.pair_weight=all", ["objective.loss=plackett_luce"], [], "has no pairs"),
    (reward_model, "data.min_comparisons_per_step=2", ["data.balance_tokens=false"],
     ["data.tokens_per_step=900"], "number of comparisons"),
    (reward_model, "objective.pair_weight=all",
     ["objective.ranking_loss=best_of_k", "objective.center_rewards_coefficient=0"],
     ["objective.ranking_loss=best_of_k", "objective.center_rewards_coefficient=0.01"], "has no pairs"),
    (reward_model, "tokenizer.vocabulary_size=999", ["tokenizer.path=/some"], [], "names a tokenizer"),
    (best_of_n, "sampling.server.attempts=2", [], ["sampling.server.name=gpu"], "no server is named"),
    (best_of_n, "candidates.server_answers=outside", [],
     ["sampling.server.name=gpu", "sampling.server.model=x", "sampling.server.protocol=chat"], "no server is named"),
    (evaluation, "sampling.server.attempts=2", [], ["sampling.server.name=gpu"], "no server is named"),
    (comparison, "sampling.server.attempts=2", [], ["sampling.server.name=gpu"], "no server is named"),
    (comparison, "outside.attempts=2", [], ["outside.name=gpu", "outside.protocol=chat"], "no server is named"),
    (evaluation, "sampling.repetition_penalty_scope=prompt_and_response", [],
     ["sampling.repetition_penalty=1.1"], "which is off"),
    (evaluation, "guidance.coefficient=2", [], ["guidance.policy=tiny"], "no critic leads"),
    (comparison, "guidance.candidates=4", [], ["guidance.policy=tiny"], "no critic leads"),
    (sample_config, "sampling.guidance.coefficient=2", [], ["sampling.guidance.policy=tiny"], "no critic leads"),
    (comparison, "judge.repeats=2", [], ["judge.server.name=judge", "judge.server.model=it"], "no server of a judge"),
    (sample_config, "sampling.repetition_penalty_scope=prompt_and_response", [],
     ["sampling.repetition_penalty=1.1"], "which is off"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("config", "given", "not_read", "read", "why"), CASES, ids=lambda v: "" if callable(v) else str(v)[:40]
)
def test_what_nothing_reads_beside_the_others_is_refused_and_what_is_read_is_not(
    config, given, not_read, read, why
):
    path = given.partition("=")[0]
    with pytest.raises(ActionError, match=why) as refused:
        config([*not_read, given])
    assert str(refused.value).startswith(f"config.{path}") and "leave it out" in str(refused.value)
    config([*read, given])
    config(not_read)  # the preset's own value beside them is no mistake


# Read in no configuration of theirs: (config, given, why).
NEVER_READ = [
    *(
        (config, given, "nothing is trained")
        for config in (comparison, evaluation, benchmark_config, sample_config, reward_model_evaluation)
        for given in (
            "runtime.backend=deepspeed",
            "runtime.zero_stage=2",
            "runtime.checkpoint_every_steps=7",
            "runtime.keep_checkpoints=9",
            "runtime.keep_steps=[4]",
        )
    ),
    *((judging, given, "runs on its server") for given in ("runtime.threads=4", "runtime.seed=7")),
]


@pytest.mark.parametrize(("config", "given", "why"), NEVER_READ, ids=lambda v: getattr(v, "__name__", v))
def test_what_these_never_read_is_refused_and_the_rest_of_the_machine_is_not(config, given, why):
    with pytest.raises(ActionError, match=why):
        config([given])
    assert config is judging or config(["runtime.seed=7"])["runtime"]["seed"] == 7


FORMS = [CompareForm, AlongRunForm, EvaluatePolicyForm, BenchmarkForm, SampleForm, EvaluateRewardModelForm]


@pytest.mark.parametrize("form", [*FORMS, JudgeBatchForm], ids=lambda form: form.__name__)
def test_forms_list_nothing_that_is_never_read(form):
    listed = {option.path for section in form.sections for option in section.options}
    unread = [path for path in listed if NOTHING_IS_TRAINED.covers(path)]
    assert listed and not unread
    assert ("runtime.seed" in listed) is (form is not JudgeBatchForm)


def test_every_rule_stands_in_the_table():
    tables = [value for name, value in vars(policy_rules).items() if name.endswith("_RULES")]
    rules = {
        rule.otherwise: rule for table in (*tables, REWARD_MODEL_RULES, EVALUATION_RULES) for rule in table
    }
    # The same rules are made for each optimizer and model: the option's own name says which.
    named = {given.partition("=")[0].rpartition(".")[2] for _, given, *_ in [*CASES, *NEVER_READ]}
    sections = {
        "critic_optimizer",
        "rewards.judge",
        "judge",
        "runtime",
        "sampling.server",
        "outside",
    }
    for rule in rules.values():
        assert named & {path.rpartition(".")[2] for path in rule.paths} or sections & set(rule.paths), rule


def test_null_and_the_presets_own_value_ask_for_nothing():
    ppo(
        [
            *SHARED,
            f"critic_optimizer.learning_rate={PPO_PRESETS['ppo_vanilla'].critic_optimizer.learning_rate}",
        ]
    )
    ppo(["reward.normalize=false", "reward.clip_range=null"])


def test_a_rule_holds_in_a_section_of_a_larger_configuration():
    rule = ReadOnlyIf(paths=("b",), holds=lambda config: config.get("a") == 1, otherwise="a is not 1")
    found = unread_options({}, {"x": {"a": 2, "b": {"c": 3}}}, ["x.b"], [rule.under("x")])
    assert list(found) == [("x.b.c", 3, "a is not 1")]
    assert not list(unread_options({}, {"x": {"a": 1, "b": 3}}, ["x.b"], [rule.under("x")]))
    assert not list(unread_options({}, {"x": 7}, ["x.b"], [rule.under("x")]))
