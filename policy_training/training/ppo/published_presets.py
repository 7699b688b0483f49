"""Named values for PPO as papers publish it, and of ours, each with its source. Light: no torch.

"ours" marks what the source does not publish. A preset leaves open which models it starts from, and the machine.
What a source asks for and these recipes do not have is said at the preset.

No source says how often it evaluates while it trains. Ours: at every tenth of the steps, one answer to each of at most
256 held-out prompts, which is 0.3 to 2 % of a run's answers.
"""

from dataclasses import replace

from learning.interface.training_options import (
    BatchOptions,
    EvaluationOptions,
    LoraOptions,
    OptimizerOptions,
)
from policy_training.training.config import SamplingOptions
from policy_training.training.ppo.config import (
    AlgorithmOptions,
    CriticOptions,
    PPOPreset,
    RewardOptions,
    RolloutOptions,
)
from policy_training.training.reward_config import RewardSourcesOptions

PPO_MAX = PPOPreset(
    name="ppo_max",
    source="Secrets of RLHF I (Zheng et al. 2023), 5.1, 5.3, 5.4, B, C (the paper; the authors' code deviates)",
    policy_optimizer=OptimizerOptions(
        learning_rate=5e-7,  # 5.1
        # 5.1 warms up over the first 10 % of the steps in all experiments; here the critic that is trained alone
        # first takes its place (5.4).
        schedule="constant",  # ours after that
    ),
    critic_optimizer=OptimizerOptions(
        learning_rate=1.65e-6,  # 5.1
        schedule="constant",  # ours
    ),
    rollout=RolloutOptions(
        steps=1000,  # B, C: all ablations; 10,000 in its long run
        prompts_per_step=128,  # 5.1: 128 samples a step
        samples_per_prompt=1,  # ours: the paper names no number
    ),
    reward=RewardOptions(
        normalize=True,  # 5.3.1: running mean and standard deviation of history
        clip_range=0.8,  # 5.3.1 tries 0.3 and 0.8 and advises a relaxed clip; the authors' code has 10
        kl_coefficient=0.05,  # 5.3.2
    ),
    algorithm=AlgorithmOptions(
        responses_per_minibatch=32,  # 5.1
        clip_range=0.2,  # the authors' code
        clip_range_value=0.2,  # B.1
        gamma=1.0,  # the authors' code
        gae_lambda=0.9,  # C.3: "in all our other experiments"; the authors' code has 0.95
        whiten_advantages=False,  # 5.3.1: constrain on the reward level only
        ptx_coefficient=1.0,  # ours: 5.4 mixes pretraining data and names no weight
        ptx_texts_share=1.0,  # 5.4: pretraining text
    ),
    critic=CriticOptions(
        init_from="reward_model",  # 5.4
        max_pretraining_updates=50,  # ours
        plateau_window=10,  # ours
        plateau_min_improvement=0.01,  # ours
    ),
    evaluation=EvaluationOptions(evaluate_every_steps=100),  # ours: every tenth of the steps
)

PPO_VANILLA = PPOPreset(
    name="ppo_vanilla",
    source="Secrets of RLHF I (Zheng et al. 2023), 5.2: ppo_max without what 5.3 and 5.4 add",
    policy_optimizer=replace(
        PPO_MAX.policy_optimizer, warmup_ratio=0.1
    ),  # 5.1: over the first 10 % of the steps
    critic_optimizer=replace(PPO_MAX.critic_optimizer, warmup_ratio=0.1),  # 5.1
    rollout=PPO_MAX.rollout,
    reward=RewardOptions(normalize=False, clip_range=None, kl_coefficient=0.0),  # 5.2
    algorithm=AlgorithmOptions(
        responses_per_minibatch=32,  # 5.1
        clip_range=0.2,  # the authors' code
        clip_range_value=None,  # 5.2
        gamma=1.0,  # the authors' code
        gae_lambda=0.9,  # C.3
    ),
    critic=CriticOptions(init_from="reward_model", max_pretraining_updates=0),  # 5.2
    evaluation=PPO_MAX.evaluation,
)

PPO_INSTRUCTGPT = PPOPreset(
    name="instructgpt",
    source="InstructGPT (Ouyang et al. 2022), C.4",
    policy_optimizer=OptimizerOptions(
        learning_rate=9.65e-6,  # ours: unpublished; that of its supervised models of 1.3B and 6B
        schedule="constant",  # C.4
        warmup_steps=80,  # C.4: 10 iterations, of 8 minibatches each
        warmup_start_ratio=0.1,  # C.4: from a tenth of the peak
        beta1=0.9,  # C
        beta2=0.95,  # C
    ),
    critic_optimizer=OptimizerOptions(
        learning_rate=9e-6,  # C.4 for 1.3B and 6B; 5e-6 for 175B
        schedule="constant",  # ours
        warmup_steps=80,  # C.4
        warmup_start_ratio=0.1,  # C.4
        beta1=0.9,  # C
        beta2=0.95,  # C
    ),
    rollout=RolloutOptions(
        steps=500,  # C.4: 256,000 episodes
        prompts_per_step=512,  # C.4
        samples_per_prompt=1,
        sampling=SamplingOptions(temperature=1.0),  # C.4
    ),
    reward=RewardOptions(normalize=False, clip_range=None, kl_coefficient=0.02),  # C.4
    algorithm=AlgorithmOptions(
        responses_per_minibatch=64,  # C.4
        ppo_epochs=1,  # C.4: a single inner epoch
        clip_range=0.2,  # C.4
        clip_range_value=None,  # ours: unpublished
        gamma=1.0,  # C.4: no discount
        gae_lambda=0.95,  # ours: unpublished
        whiten_advantages=True,  # ours, as in the code it grew from (Ziegler et al. 2019)
        ptx_coefficient=27.8,  # C.4
        ptx_texts_share=1.0,  # C.4: pretraining text
        ptx_examples_per_response=8.0,  # C.4: 8 times as many pretraining examples as episodes
    ),
    critic=CriticOptions(
        init_from="reward_model",  # C.4: the value function starts from the 6B reward model
        max_pretraining_updates=0,  # C.4 names none
    ),
    ema_decay=0.992,  # C.4
    batch=BatchOptions(
        max_prompt_tokens=1000,  # C.4
        max_response_tokens=1000,  # C.4
    ),
    evaluation=EvaluationOptions(evaluate_every_steps=50),  # ours: every tenth of the steps
)

PPO_LLAMA2 = PPOPreset(
    name="llama2",
    source="Llama 2 (Touvron et al. 2023), 3.2.3; its safety gate needs a second reward model and is asked for with "
    "rewards.combination",
    policy_optimizer=OptimizerOptions(
        learning_rate=1e-6,  # 3.2.3
        schedule="constant",  # 3.2.3
        beta1=0.9,  # 3.2.3
        beta2=0.95,  # 3.2.3
        epsilon=1e-5,  # 3.2.3
        weight_decay=0.1,  # 3.2.3
        max_grad_norm=1.0,  # 3.2.3
    ),
    critic_optimizer=OptimizerOptions(
        learning_rate=1e-6,  # 3.2.3 names one rate
        schedule="constant",
        beta1=0.9,
        beta2=0.95,
        epsilon=1e-5,
        weight_decay=0.1,
        max_grad_norm=1.0,
    ),
    rollout=RolloutOptions(
        steps=400,  # 3.2.3: between 200 and 400 iterations
        prompts_per_step=512,  # 3.2.3
        samples_per_prompt=1,
    ),
    reward=RewardOptions(
        normalize=False,  # rewards.whiten takes its place
        clip_range=None,  # 3.2.3 names none
        kl_coefficient=0.01,  # 3.2.3 for 7B and 13B; 0.005 for 34B and 70B
    ),
    rewards=RewardSourcesOptions(
        whiten=True,  # 3.2.3: the final scores, their sigmoid undone
    ),
    algorithm=AlgorithmOptions(
        responses_per_minibatch=64,  # 3.2.3
        ppo_epochs=1,  # 3.2.3: one gradient step a minibatch
        clip_range=0.2,  # 3.2.3
        clip_range_value=None,  # ours: unpublished
        gamma=1.0,  # ours: unpublished
        gae_lambda=0.95,  # ours: unpublished
    ),
    critic=CriticOptions(init_from="reward_model", max_pretraining_updates=0),  # ours: unpublished
    evaluation=EvaluationOptions(evaluate_every_steps=40),  # ours: every tenth of the steps
)

PPO_STIENNON = PPOPreset(
    name="stiennon",
    source="Learning to summarize from human feedback (Stiennon et al. 2020), B.1",
    policy_optimizer=OptimizerOptions(
        learning_rate=1.5e-5,  # B.1 for 1.3B parameters; 7e-6 for 6.7B
        schedule="linear",  # B.1
        min_lr_ratio=0.0,  # ours
        beta1=0.9,  # ours
        beta2=0.95,  # ours
        max_grad_norm=1.0,  # ours
    ),
    critic_optimizer=OptimizerOptions(
        learning_rate=1.5e-5,  # B.1
        schedule="linear",  # B.1
        min_lr_ratio=0.0,  # ours
        beta1=0.9,  # ours
        beta2=0.95,  # ours
        max_grad_norm=1.0,  # ours
    ),
    rollout=RolloutOptions(
        steps=1954,  # B.1: one million episodes
        prompts_per_step=512,  # B.1 for 1.3B; 256 for 6.7B
        samples_per_prompt=1,
    ),
    reward=RewardOptions(normalize=False, clip_range=None, kl_coefficient=0.05),  # B.1
    algorithm=AlgorithmOptions(
        responses_per_minibatch=512,  # ours
        ppo_epochs=4,  # B.1
        clip_range=0.2,  # ours, as in the code it grew from
        clip_range_value=0.2,  # ours, as there
        gamma=1.0,  # B.1
        gae_lambda=0.95,  # B.1
        whiten_advantages=True,  # ours, as in the code it grew from (Ziegler et al. 2019)
    ),
    critic=CriticOptions(
        init_from="reward_model", max_pretraining_updates=0
    ),  # B.1: its own network, from the reward model
    evaluation=EvaluationOptions(evaluate_every_steps=195),  # ours: every tenth of the steps
)

PPO_N_PLUS = PPOPreset(
    name="n_plus",
    source="The N+ implementation details of RLHF with PPO (Huang et al. 2024)",
    policy_optimizer=OptimizerOptions(
        learning_rate=3e-6,
        schedule="linear",
        min_lr_ratio=0.0,
        beta1=0.9,  # Adam as PyTorch has it
        beta2=0.999,
        epsilon=1e-5,
        max_grad_norm=0.0,  # the authors' code clips none
    ),
    # Its value weight of 0.1 belongs to one loss for two networks; a critic with its own Adam does not feel a factor.
    critic_optimizer=OptimizerOptions(
        learning_rate=3e-6,
        schedule="linear",
        min_lr_ratio=0.0,
        beta1=0.9,
        beta2=0.999,
        epsilon=1e-5,
        max_grad_norm=0.0,
    ),
    rollout=RolloutOptions(
        steps=1954,  # one million episodes
        prompts_per_step=512,
        samples_per_prompt=1,
        sampling=SamplingOptions(temperature=0.7),
    ),
    reward=RewardOptions(
        normalize=False,  # reward whitening is optional there, and off
        clip_range=None,
        missing_eos_rule="replace",  # before any whitening
        missing_eos_score=-1.0,
        kl_coefficient=0.05,
    ),
    algorithm=AlgorithmOptions(
        responses_per_minibatch=512,  # 1 minibatch
        ppo_epochs=4,
        clip_range=0.2,
        clip_range_value=0.2,
        gamma=1.0,
        gae_lambda=0.95,
        whiten_advantages=True,
    ),
    critic=CriticOptions(init_from="reward_model", max_pretraining_updates=0),
    evaluation=EvaluationOptions(evaluate_every_steps=195),  # ours: every tenth of the steps
)

PPO_TINY = PPOPreset(
    name="tiny",
    source="ours: models of about one million parameters, PPO-max's ingredients, one or two CPU cores",
    policy_optimizer=OptimizerOptions(
        learning_rate=8e-4,  # ours
        schedule="linear",  # ours
        min_lr_ratio=0.3,  # ours
        beta2=0.95,  # ours
    ),
    critic_optimizer=OptimizerOptions(learning_rate=1e-3, schedule="constant"),  # ours
    rollout=RolloutOptions(
        steps=20,  # ours
        prompts_per_step=32,  # ours
        samples_per_prompt=4,  # ours: one prefill and one shared-prompt row a prompt
    ),
    reward=RewardOptions(
        normalize=True,  # as ppo_max
        clip_range=3.0,  # ours: 0.8 hides the best answers of so small a batch from the update
        missing_eos_rule="subtract",  # ours
        missing_eos_score=-1.0,  # ours
        kl_coefficient=0.04,  # ours
    ),
    algorithm=AlgorithmOptions(
        responses_per_minibatch=64,  # ours
        ppo_epochs=1,  # ours: a second pass gains less than fresh rollouts do in the same time
        whiten_advantages=True,  # ours: speed matters more than purity here
    ),
    critic=CriticOptions(
        init_from="reward_model",  # as ppo_max
        max_pretraining_updates=8,  # ours
        plateau_window=4,  # ours
        plateau_min_improvement=0.05,  # ours
    ),
    batch=BatchOptions(
        max_prompt_tokens=256,  # ours, as in fine-tuning
        max_response_tokens=192,  # ours
    ),
    evaluation=EvaluationOptions(
        evaluate_every_steps=5,  # ours: not every tenth, for one takes as many answers as a step
        max_examples=128,  # ours
    ),
)

PPO_LORA = replace(
    PPO_MAX,
    name="lora",
    source="ppo_max by LoRA (Hu et al. 2021) with gradient checkpointing, where four full models do not fit (ours)",
    policy_optimizer=replace(PPO_MAX.policy_optimizer, learning_rate=5e-6),  # ours: ten times ppo_max's
    critic_optimizer=replace(PPO_MAX.critic_optimizer, learning_rate=1.65e-5),  # ours: ten times ppo_max's
    lora=LoraOptions(
        rank=16,  # ours
        alpha=32.0,  # ours
        target_modules="all",  # ours
    ),
    gradient_checkpointing=True,  # ours
)
