"""The studies: a question of the paper each, the configurations that answer it, and what came out."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Study:
    title: str
    paper: str  # what the source says
    configurations: tuple[str, ...]
    found: str = ""  # what came out here, written by hand from the table


STUDIES: Mapping[str, Study] = {
    "collapse": Study(
        "Vanilla PPO against PPO-max",
        "Secrets of RLHF I, figures 4, 5 and 9: vanilla PPO's proxy reward rises while people's preference "
        "falls; KL and "
        "length rise, perplexity falls, and the long tail of rewards comes with the collapse. PPO-max stays.",
        ("vanilla", "max"),
    ),
    "ablations": Study(
        "PPO-max without one ingredient",
        "5.4 names seven ingredients; 5.3 finds that constraints on the policy (KL, clips) do the most.",
        (
            "max",
            "max without KL",
            "max without reward norm and clip",
            "max without value clip",
            "max, critic from SFT",
            "max without critic pre-training",
            "max, warm-up for pre-training",
            "max without ratio clip",
            "max without gradient clip",
            "max without ptx",
        ),
    ),
    "scores": Study(
        "Reward and advantage normalisation and clipping",
        "5.3.1, figures 6 and B.1: reward normalisation with a clip steadies training, the clip's size matters "
        "little once "
        "it is there; clipping rewards and advantages together is no better than one of them.",
        (
            "vanilla",
            "reward norm, clip 0.3",
            "reward norm, clip 0.8",
            "reward norm, clip 3",
            "reward norm, clip 10",
            "reward scaling, clip 0.8",
            "advantage norm, clip 0.5",
            "advantage norm, clip 0.12",
            "reward clip 0.8 and advantage clip 0.12",
        ),
    ),
    "constraints": Study(
        "Constraints on the policy",
        "5.3.2, figures 7 and B.2, B.3: a token-level KL penalty holds the policy, stronger with its weight; "
        "importance "
        "sampling from the fixed reference needs none but learns less; an entropy bonus depends on its "
        "threshold within 10 %.",
        (
            "vanilla",
            "KL 0.001",
            "KL 0.05",
            "KL 0.1",
            "KL 0.2",
            "ratio to the fixed reference",
            "ratio to the fixed reference, KL 0.05",
            "entropy bonus below 90%",
            "entropy bonus below 100%",
            "entropy bonus below 110%",
        ),
    ),
    "beginnings": Study(
        "Where critic and policy start",
        "5.3.3, figure 8: a critic from the reward model and one from the SFT model end alike, pre-training it helps; "
        "5.4: PPO without supervised fine-tuning does not work.",
        (
            "vanilla",
            "critic from SFT",
            "critic pre-trained",
            "max",
            "max, critic from SFT",
            "max without SFT",
        ),
    ),
    "clips": Study(
        "Ratio clip and lambda",
        "C.1, C.3: without a ratio clip, or with 0.5, training is less stable; lambda 0 is biased, 1 varies "
        "most, 0.9 is used.",
        ("vanilla", "ratio clip none", "ratio clip 0.5", "lambda 0", "lambda 1"),
    ),
    "ptx": Study(
        "Pretraining gradients and the alignment tax",
        "5.4, figure 15 and InstructGPT: mixing in pretraining text keeps what the model knew, at little cost "
        "in reward.",
        ("vanilla", "max without ptx", "max", "max, ptx 4"),
    ),
    "reuse": Study(
        "The same samples again",
        "A2C's objective repeated on its samples has no reason to hold; the ratio allows it, the clip bounds it "
        "(Schulman et "
        "al. 2017).",
        (
            "A2C, 1 epoch",
            "A2C, 2 epochs",
            "A2C, 4 epochs",
            "A2C, 8 epochs",
            "clipped ratio, 1 epoch",
            "clipped ratio, 2 epochs",
            "clipped ratio, 4 epochs",
            "clipped ratio, 8 epochs",
            "clipped ratio, 16 epochs",
            "unclipped ratio, 16 epochs",
        ),
    ),
    "recipes": Study(
        "Recipes with and without a critic",
        "REINFORCE's raw return varies more than the centred one; RLOO and GRPO do without a critic; a value "
        "head on the "
        "policy's own trunk saves memory.",
        (
            "REINFORCE, raw return",
            "REINFORCE",
            "RLOO",
            "GRPO",
            "A2C, 1 epoch",
            "max",
            "max, value on the policy's trunk",
        ),
    ),
    "accuracy": Study(
        "Accuracy of the reward model is not enough",
        "Secrets of RLHF I, 4.3: reward models of like accuracy lead to different policies; one trained for a "
        "fifth of an "
        "epoch gives bad ones.",
        (
            "max, reward model of 0.2 epochs",
            "max, reward model of 0.5 epochs",
            "max, reward model of 1 epochs",
            "max",
        ),
    ),
    "labels": Study(
        "Over-optimisation and the number of labels",
        "Gao et al. 2022: gold rises, then falls with sqrt(KL); the peak moves right with the reward model's data.",
        (
            "vanilla, 100 labels",
            "vanilla, 300 labels",
            "vanilla",
            "vanilla, 3000 labels",
            "vanilla, 5000 labels",
            "max, 100 labels",
            "max, 300 labels",
            "max",
            "max, 3000 labels",
            "max, 5000 labels",
        ),
    ),
}

# Of the sections over all runs.
FOUND_ALL: Mapping[str, str] = {}
