"""The numbers of the demo, with which two rounds take a few minutes on two cores.

How they were found is in docs/decisions.md; what they reach is in docs/benchmarks.md.
"""

from dataclasses import dataclass, replace

from learning.interface.training_options import (
    BatchOptions,
    ModelArchitecture,
    ModelSource,
    RuntimeOptions,
    TokenizerOptions,
)
from learning.interface.vocabulary import PERSON, SIMULATED
from policy_training.training.config import LanguageModelConfig, SampleOptions
from policy_training.training.ppo.presets import PPO_PRESETS
from policy_training.training.supervised.presets import LANGUAGE_MODEL_PRESETS
from rewardmodel.training.presets import PRESETS as REWARD_MODEL_PRESETS
from rounds.plans import AnnotationPlan, RoundPlan, SamplingPlan
from rounds.steps import PLACEHOLDER_PATH, placeholder_source

DEMONSTRATIONS = 4000
WARM_UP_PAIRS = 20
RESERVED_TASKS = 20
POLICY_PROMPTS = 2000
EVALUATION_PROMPTS = 160
SIMULATED_ANNOTATORS = ("simulated-1", "simulated-2", "simulated-3")

MODEL = ModelArchitecture(
    architecture="llama",
    hidden_size=128,
    intermediate_size=384,
    num_hidden_layers=4,
    num_attention_heads=4,
    max_position_embeddings=256,
    tie_word_embeddings=True,
    initializer_range=0.05,
)
VOCABULARY = 1024
# Long enough to compare what it wrote with what was asked: only then does it say “instead” where it should, and a
# reward model that starts from it finds the topic.
BASE_POLICY_STEPS = 500
PROMPTS_PER_ROUND = 1000
# A little less than the tasks there are: a task that the visitor has open holds nobody up.
QUOTA = 940
RESPONSES_PER_TASK = 4
REWARD_MODEL_EPOCHS = 4
PPO_STEPS = 12
KL_COEFFICIENT = 0.15
MAX_PROMPT_TOKENS = 48
MAX_RESPONSE_TOKENS = 80


@dataclass(frozen=True)
class Size:
    """How much is done: by default what the demonstration's figures are measured with."""

    demonstrations: int = DEMONSTRATIONS
    policy_prompts: int = POLICY_PROMPTS
    evaluation_prompts: int = EVALUATION_PROMPTS
    base_policy_steps: int = BASE_POLICY_STEPS
    prompts: int = PROMPTS_PER_ROUND
    quota: int = QUOTA
    reward_model_epochs: int = REWARD_MODEL_EPOCHS
    ppo_steps: int = PPO_STEPS


FULL = Size()
# Every stage and every link of the whole one; what is learned is little.
SMALL = Size(
    demonstrations=400,
    policy_prompts=240,
    evaluation_prompts=24,
    base_policy_steps=50,
    prompts=100,
    quota=94,
    reward_model_epochs=1,
    ppo_steps=2,
)

# That share the work of a run, where there are as many cores.
PROCESSES = 2


def runtime(seed: int, threads: int) -> RuntimeOptions:
    # Models this narrow gain nothing from bf16 on a CPU: the casts take longer than they save (docs/benchmarks.md).
    return RuntimeOptions(threads=threads, seed=seed, dtype="fp32", checkpoint_every_steps=100)


def base_policy_config(seed: int, threads: int, size: Size = FULL) -> LanguageModelConfig:
    preset = LANGUAGE_MODEL_PRESETS["tiny"]
    config = preset.config(
        ModelSource(from_scratch=MODEL),
        runtime=runtime(seed, threads),
        tokenizer=TokenizerOptions(vocabulary_size=VOCABULARY),
    )
    return replace(
        config,
        batch=_with_token_limits(config.batch),
        data=replace(config.data, steps=size.base_policy_steps),
    )


def _with_token_limits(batch: BatchOptions) -> BatchOptions:
    return replace(batch, max_prompt_tokens=MAX_PROMPT_TOKENS, max_response_tokens=MAX_RESPONSE_TOKENS)


def sample_options() -> SampleOptions:
    return SampleOptions(max_prompt_tokens=MAX_PROMPT_TOKENS, max_response_tokens=MAX_RESPONSE_TOKENS)


def round_plan(seed: int, threads: int, annotator: str, size: Size = FULL) -> RoundPlan:
    reward_model = REWARD_MODEL_PRESETS["tiny"].config(placeholder_source(), runtime=runtime(seed, threads))
    reward_model = replace(
        reward_model,
        batch=_with_token_limits(reward_model.batch),
        # Rankings of four are read as rankings; the language-model loss keeps the topic in view (docs/decisions.md).
        objective=replace(reward_model.objective, ranking_loss="plackett_luce", lm_coefficient=1.0),
        # Many small steps: at eight comparisons a step and twice the rate the topic was found on some processors only.
        data=replace(reward_model.data, comparisons_per_step=4, epochs=size.reward_model_epochs),
        optimizer=replace(reward_model.optimizer, learning_rate=5e-4),
        evaluation=replace(reward_model.evaluation, evaluate_every_steps=100),
    )
    policy = PPO_PRESETS["tiny"].config(
        placeholder_source(), PLACEHOLDER_PATH, runtime=runtime(seed, threads)
    )
    policy = replace(
        policy,
        batch=_with_token_limits(policy.batch),
        policy_optimizer=replace(policy.policy_optimizer, learning_rate=3e-4),
        critic_optimizer=replace(policy.critic_optimizer, learning_rate=6e-4),
        rollout=replace(policy.rollout, steps=size.ppo_steps),
        algorithm=replace(policy.algorithm, ppo_epochs=2),
        # High enough that the policy does not drift off topic to exploit errors of the small reward model.
        reward=replace(policy.reward, kl_coefficient=KL_COEFFICIENT),
    )
    return RoundPlan(
        sampling=SamplingPlan(
            prompts=size.prompts,
            responses_per_task=RESPONSES_PER_TASK,
            options=sample_options(),
        ),
        annotation=AnnotationPlan(
            quota=size.quota,
            annotator_kinds=(PERSON, SIMULATED),
            reserved_for=(annotator,),
            reserved_tasks_per_person=RESERVED_TASKS,
        ),
        reward_model=reward_model,
        policy=policy,
        preset="demonstration",
    )
