"""Every configuration of the studies by its name: a preset of the product with what is changed of it.

A configuration is run with several seeds; a seed decides the labels, the reward model and the noise of the rollouts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from benchmarks.experiments import world
from benchmarks.experiments.materials import BATCH, Materials, runtime
from learning.interface.training_options import EvaluationOptions, ModelSource
from policy_training.training.best_of_n.presets import BEST_OF_N_PRESETS
from policy_training.training.dpo.presets import DPO_PRESETS
from policy_training.training.policy_gradient.presets import POLICY_GRADIENT_PRESETS
from policy_training.training.ppo.presets import PPO_PRESETS
from policy_training.training.supervised.presets import LANGUAGE_MODEL_PRESETS

STEPS = 40
RESPONSES = 128  # a step
LEARNING_RATE = 1e-3  # a model of 70,000 parameters
CRITIC_RATE = 3.3e-3  # 3.3 times the policy's, as Secrets of RLHF I, 5.1
EVALUATION = EvaluationOptions(max_examples=128, logged_samples=0)

LEARN_DIRECTLY = ("sft", "dpo", "best_of_n")  # recipes without a step's rollouts

Changes = Mapping[str, Any]


@dataclass(frozen=True)
class Configuration:
    name: str
    preset: str
    changes: Changes = field(default_factory=dict)  # "reward.clip_range": 0.3
    recipe: str = "ppo"
    labels: int = 1000
    epochs: float = 3.0  # of the reward model
    start: str = "fine_tuned"
    entropy_share: float | None = None  # the entropy threshold, of the fine-tuned policy's own entropy

    def options(self, materials: Materials, seed: int) -> Any:
        """Of the recipe, for one seed."""
        reward_model, _ = materials.reward_model(seed, labels=self.labels, epochs=self.epochs)
        source = materials.policy if self.start == "fine_tuned" else materials.pretrained
        changes: dict[str, Any] = {
            "batch": BATCH,
            "evaluation": EVALUATION,
            "policy_optimizer.learning_rate": LEARNING_RATE,
            "rollout.steps": STEPS,
        }
        if self.recipe in LEARN_DIRECTLY:
            return changed(
                self._direct(source, reward_model, seed),
                {"batch": BATCH, "optimizer.learning_rate": LEARNING_RATE} | dict(self.changes),
            )
        if self.recipe == "ppo":
            config: Any = PPO_PRESETS[self.preset].config(source, reward_model, runtime=runtime(seed))
            changes["critic_optimizer.learning_rate"] = CRITIC_RATE
        else:
            config = POLICY_GRADIENT_PRESETS[self.preset].config(source, reward_model, runtime=runtime(seed))
        if self.entropy_share is not None:
            changes["policy_loss.entropy_threshold"] = self.entropy_share * materials.entropy()
        return changed(config, changes | dict(self.changes))

    def _direct(self, source: ModelSource, reward_model: str, seed: int) -> Any:
        if self.recipe == "best_of_n":
            return BEST_OF_N_PRESETS[self.preset].config(source, reward_model, runtime=runtime(seed))
        presets: Any = DPO_PRESETS if self.recipe == "dpo" else LANGUAGE_MODEL_PRESETS
        return presets[self.preset].config(source, runtime=runtime(seed))


def has_kl_penalty(config: Any) -> bool:
    """In the reward or in the loss; 0.001 a token, which holds nothing here, counts as none."""
    return bool(
        max(config.reward.kl_coefficient, getattr(config.algorithm, "kl_loss_coefficient", 0.0)) >= 0.01
    )


def changed(options: Any, changes: Changes) -> Any:
    """Frozen options with values at dotted paths replaced; a part's values are all set before it is checked."""
    own: dict[str, Any] = {}
    parts: dict[str, dict[str, Any]] = {}
    for path, value in changes.items():
        name, _, rest = path.partition(".")
        if name not in {entry.name for entry in fields(options)}:
            raise KeyError(f"{type(options).__name__} has no option {name!r}")
        if rest:
            parts.setdefault(name, {})[rest] = value
        else:
            own[name] = value
    return replace(
        options, **own, **{name: changed(getattr(options, name), inner) for name, inner in parts.items()}
    )


def _vanilla(name: str, /, **more: Any) -> Configuration:
    return Configuration(name, "ppo_vanilla", **more)


def _max(name: str, /, **more: Any) -> Configuration:
    return Configuration(name, "ppo_max", **more)


NO_LIMIT = {"reward.normalize": False, "reward.clip_range": None}
SMALL_STEPS = {
    "policy_optimizer.learning_rate": 3e-4,
    "critic_optimizer.learning_rate": 1e-3,
    "rollout.steps": 120,
}
FULL_STEP = {"algorithm.responses_per_minibatch": RESPONSES}  # one update an epoch


def _all() -> list[Configuration]:
    made = [
        _vanilla("vanilla"),
        _max("max"),
        # PPO-max without one ingredient.
        _max("max without KL", changes={"reward.kl_coefficient": 0.0}),
        _max("max without reward norm and clip", changes=NO_LIMIT),
        _max("max without value clip", changes={"algorithm.clip_range_value": None}),
        _max("max, critic from SFT", changes={"critic.init_from": "policy"}),
        _max("max without critic pre-training", changes={"critic.max_pretraining_updates": 0}),
        _max(
            "max, warm-up for pre-training",
            changes={
                "critic.max_pretraining_updates": 0,
                "policy_optimizer.warmup_ratio": 0.1,
                "critic_optimizer.warmup_ratio": 0.1,
            },
        ),
        _max("max without ratio clip", changes={"algorithm.clip_range": None}),
        _max(
            "max without gradient clip",
            changes={"policy_optimizer.max_grad_norm": 0.0, "critic_optimizer.max_grad_norm": 0.0},
        ),
        _max("max without GAE (lambda 1)", changes={"algorithm.gae_lambda": 1.0}),
        _max("max without ptx", changes={"algorithm.ptx_coefficient": 0.0}),
        # Vanilla with one.
        *(
            _vanilla(
                f"reward norm, clip {clip:g}", changes={"reward.normalize": True, "reward.clip_range": clip}
            )
            for clip in (0.3, 0.8, 3.0, 10.0)
        ),
        _vanilla("reward scaling", changes={"reward.scale": True, "reward.clip_range": None}),
        _vanilla("reward scaling, clip 0.8", changes={"reward.scale": True, "reward.clip_range": 0.8}),
        *(
            _vanilla(
                f"advantage norm, clip {clip:g}",
                changes={
                    "algorithm.whiten_advantages": True,
                    "algorithm.whitening_scope": "minibatch",
                    "algorithm.advantage_clip": clip,
                },
            )
            for clip in (0.5, 0.12)
        ),
        _vanilla(
            "reward clip 0.8 and advantage clip 0.12",
            changes={
                "reward.normalize": True,
                "reward.clip_range": 0.8,
                "algorithm.whiten_advantages": True,
                "algorithm.whitening_scope": "minibatch",
                "algorithm.advantage_clip": 0.12,
            },
        ),
        *(_vanilla(f"KL {kl:g}", changes={"reward.kl_coefficient": kl}) for kl in (0.001, 0.05, 0.1, 0.2)),
        _vanilla("ratio to the fixed reference", changes={"policy_loss.old_policy": "reference"}),
        _vanilla(
            "ratio to the fixed reference, KL 0.05",
            changes={"policy_loss.old_policy": "reference", "reward.kl_coefficient": 0.05},
        ),
        *(
            _vanilla(
                f"entropy bonus below {share:.0%}",
                changes={"policy_loss.entropy_coefficient": 0.01},
                entropy_share=share,
            )
            for share in (0.9, 1.0, 1.1)
        ),
        _vanilla("critic from SFT", changes={"critic.init_from": "policy"}),
        _vanilla("critic pre-trained", changes={"critic.max_pretraining_updates": 50}),
        _vanilla("ratio clip none", changes={"algorithm.clip_range": None}),
        _vanilla("ratio clip 0.5", changes={"algorithm.clip_range": 0.5}),
        *(_vanilla(f"lambda {value:g}", changes={"algorithm.gae_lambda": value}) for value in (0.0, 1.0)),
        Configuration("max without SFT", "ppo_max", start="pretrained"),
        _max("max, ptx 4", changes={"algorithm.ptx_coefficient": 4.0}),
        # Samples used again, with and without a ratio.
        *(
            Configuration(
                f"A2C, {epochs} epoch{'s' * (epochs > 1)}",
                "a2c_repeated",
                changes=FULL_STEP | {"algorithm.ppo_epochs": epochs, "reward.kl_coefficient": 0.05},
            )
            for epochs in (1, 2, 4, 8)
        ),
        *(
            _vanilla(
                f"clipped ratio, {epochs} epoch{'s' * (epochs > 1)}",
                changes=FULL_STEP | {"algorithm.ppo_epochs": epochs, "reward.kl_coefficient": 0.05},
            )
            for epochs in (1, 2, 4, 8, 16)
        ),
        _vanilla(
            "unclipped ratio, 16 epochs",
            changes=FULL_STEP
            | {"algorithm.ppo_epochs": 16, "algorithm.clip_range": None, "reward.kl_coefficient": 0.05},
        ),
        _max(
            "max, value on the policy's trunk",
            changes={"critic.init_from": "shared", "critic.max_pretraining_updates": 0},
        ),
        # Without a reward model, or without rollouts at every step.
        *_direct(),
        # Without a critic.
        *_critic_free(),
        # Reward models of little training, and of few and many labels.
        *(_max(f"max, reward model of {epochs:g} epochs", epochs=epochs) for epochs in (0.2, 0.5, 1.0)),
        *(_vanilla(f"vanilla, {labels} labels", labels=labels) for labels in (100, 300, 3000, 5000)),
        *(_max(f"max, {labels} labels", labels=labels) for labels in (100, 300, 3000, 5000)),
        _vanilla("vanilla, small steps", changes=SMALL_STEPS),
        *(
            _vanilla(f"vanilla, small steps, {labels} labels", changes=SMALL_STEPS, labels=labels)
            for labels in (100, 5000)
        ),
    ]
    return made


def _direct() -> list[Configuration]:
    """On the labels of the reward model, as often as it saw them; best-of-n learns from as many sampled answers as the
    others.
    """
    train_prompts = len(world.questions()) - world.HELD_OUT_PROMPTS
    return [
        Configuration(
            "DPO",
            "tiny",
            {"data.epochs": 3, "evaluation.evaluate_every_steps": 10},
            recipe="dpo",
        ),
        Configuration(
            "top-tier SFT",
            "tiny",
            {
                "data.steps": None,
                "data.epochs": 3.0,
                "data.examples_per_step": 32,
                "evaluation.evaluate_every_steps": 10,
            },
            recipe="sft",
        ),
        Configuration(
            "best-of-n fine-tuning",
            "tiny",
            {
                "candidates.samples_per_prompt": STEPS * RESPONSES // train_prompts,
                "data.epochs": 3.0,
                "data.examples_per_step": 16,
                "evaluation.evaluate_every_steps": 4,
            },
            recipe="best_of_n",
        ),
    ]


def _critic_free() -> list[Configuration]:
    one = {"rollout.prompts_per_step": RESPONSES, "rollout.samples_per_prompt": 1}
    four = {"rollout.prompts_per_step": RESPONSES // 4, "rollout.samples_per_prompt": 4}
    held = {"reward.kl_coefficient": 0.05}  # all alike but GRPO, whose KL stands in the loss
    # As many updates a step as the preset makes; without a ratio a further one would not be of the policy that sampled.
    return [
        Configuration("REINFORCE", "reinforce", one | FULL_STEP | held, recipe="policy_gradient"),
        Configuration(
            "REINFORCE, raw return",
            "reinforce",
            one | FULL_STEP | held | {"algorithm.baseline": "none"},
            recipe="policy_gradient",
        ),
        Configuration(
            "RLOO",
            "rloo",
            four | held | {"algorithm.responses_per_minibatch": RESPONSES // 2},
            recipe="policy_gradient",
        ),
        Configuration("GRPO", "grpo", four | FULL_STEP, recipe="policy_gradient"),
        Configuration(
            "GRPO, 4 updates a step",
            "grpo",
            four | {"algorithm.responses_per_minibatch": RESPONSES // 4},
            recipe="policy_gradient",
        ),
    ]


CONFIGURATIONS: Mapping[str, Configuration] = {made.name: made for made in _all()}
