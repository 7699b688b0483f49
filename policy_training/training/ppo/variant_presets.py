"""ppo_vanilla with one thing changed, each with its source: the penalty, A2C, an adaptive KL, single ingredients of
Secrets of RLHF I. Light: no torch.
"""

from dataclasses import replace

from policy_training.training.ppo.config import PolicyLossOptions
from policy_training.training.ppo.published_presets import PPO_VANILLA

PPO_PENALTY = replace(
    PPO_VANILLA,
    name="ppo_penalty",
    source="PPO (Schulman et al. 2017), section 4: the penalty in place of the clip; the rest is ppo_vanilla's",
    algorithm=replace(PPO_VANILLA.algorithm, clip_range=None),
    policy_loss=PolicyLossOptions(
        kl_penalty_coefficient=1.0,  # table 1
        kl_penalty_target=0.01,  # table 1: 0.003, 0.01 and 0.03 were tried
    ),
)

A2C = replace(
    PPO_VANILLA,
    name="a2c",
    source="A2C (Mnih et al. 2016), 4, on responses: a learned value, GAE, no ratio; the rest is ppo_vanilla's",
    algorithm=replace(
        PPO_VANILLA.algorithm,
        clip_range=None,  # there is no ratio
        ppo_epochs=1,  # 4: each sample is learned from once
        # Ours: a whole step at once, for without a ratio an update has to be of the policy that sampled.
        responses_per_minibatch=128,
    ),
    policy_loss=PolicyLossOptions(objective="log_probability"),  # 4
)

A2C_REPEATED = replace(
    PPO_VANILLA,
    name="a2c_repeated",
    source="A2C's objective on ppo_vanilla's samples, repeated without a ratio, to show that it does not hold (ours)",
    algorithm=replace(PPO_VANILLA.algorithm, clip_range=None, ppo_epochs=4),  # ours
    policy_loss=PolicyLossOptions(objective="log_probability"),
)

ADAPTIVE_KL = replace(
    PPO_VANILLA,
    name="adaptive_kl",
    source="Fine-tuning language models from human preferences (Ziegler et al. 2019), 2.2, and its code: the KL "
    "coefficient follows a target; the rest is ppo_vanilla's",
    reward=replace(
        PPO_VANILLA.reward,
        kl_coefficient=0.15,  # its code: where it starts
        kl_target=6.0,  # its code: nats a response
        kl_controller="ziegler_code",  # its code; 2.2 takes 0.1 of the error each update
    ),
)

# Secrets of RLHF I, 5.3: one ingredient each on ppo_vanilla.
SECRETS_REWARD_SCALING = replace(
    PPO_VANILLA,
    name="secrets_reward_scaling",
    source="Secrets of RLHF I (Zheng et al. 2023), 5.3.1: reward scaling, then a clip",
    reward=replace(
        PPO_VANILLA.reward,
        scale=True,  # 5.3.1
        clip_range=0.8,  # 5.3.1: 0.3 and 0.8 were tried
    ),
)
SECRETS_ADVANTAGE_CLIP = replace(
    PPO_VANILLA,
    name="secrets_advantage_clip",
    source="Secrets of RLHF I (Zheng et al. 2023), 5.3.1: advantages normalized by minibatch, then clipped",
    algorithm=replace(
        PPO_VANILLA.algorithm,
        whiten_advantages=True,  # 5.3.1
        whitening_scope="minibatch",  # 5.3.1
        advantage_clip=0.12,  # 5.3.1: 0.5 and 0.12 were tried
    ),
)
SECRETS_FIXED_REFERENCE = replace(
    PPO_VANILLA,
    name="secrets_fixed_reference",
    source="Secrets of RLHF I (Zheng et al. 2023), 5.3.2: the ratio is to the fixed reference, without a KL penalty",
    policy_loss=PolicyLossOptions(old_policy="reference"),  # 5.3.2
)
SECRETS_ENTROPY_BONUS = replace(
    PPO_VANILLA,
    name="secrets_entropy_bonus",
    source="Secrets of RLHF I (Zheng et al. 2023), 5.3.2 and B.3; its thresholds of 30 and 35 nats a token are above "
    "what a vocabulary of 32,000 allows (10.4), so none stands here",
    policy_loss=PolicyLossOptions(entropy_coefficient=0.01),  # B.3
)
