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
        found=(
            "As in the paper. In four of five seeds vanilla's proxy reward rises while gold, after a peak "
            "of 3.0 to 3.6 between the 7th and the 10th step, falls far below where it began with 1.8 (to "
            "-3.5 to -9.3); the fifth still ends at 3.1. On the mean it ends at -4.9; KL reaches 70 nats, "
            "answers become three times as long, perplexity falls to 1.8. PPO-max ends at 2.8 with a KL "
            "of 6, below its best of 3.6 on the way. Its perplexity falls too, to 2.5: perplexity alone "
            "tells no collapse."
        ),
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
            "max without GAE (lambda 1)",
            "max without ptx",
        ),
        found=(
            "One ingredient decides: without the KL penalty PPO-max collapses as vanilla does (-4.4); "
            "without reward normalisation and clip it loses 1.6 points and drifts three times as far. All "
            "other ingredients lie well within the interval of the whole (2.6 to 2.9): at this size we "
            "cannot confirm that critic pre-training, GAE, value clip, ratio clip or gradient clip are "
            "needed. ptx costs nothing in gold."
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
            "reward scaling",
            "reward scaling, clip 0.8",
            "advantage norm, clip 0.5",
            "advantage norm, clip 0.12",
            "reward clip 0.8 and advantage clip 0.12",
        ),
        found=(
            "Only in part as in the paper: added to vanilla PPO alone, none of these stops the collapse, "
            "and all intervals overlap with vanilla's (-4.9). The reward clip's size makes no difference "
            "(0.3 to 10: -5.1 to -6.2), as in the paper, but neither does having one. Scaling with a clip "
            "of 0.8 ends highest (-1.6), scaling without one as vanilla does. Clipping rewards and "
            "advantages together (-4.4) is no better than one of them, as in the paper."
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
        found=(
            "As in the paper: the penalty holds the policy, and more so with its weight (0.05, 0.1, 0.2: "
            "gold 1.2, 2.55, 3.4; KL 17, 8, 4); Anthropic's 0.001 holds nothing (-4.3, KL 64). A ratio to "
            "the fixed reference is safe and learns little (2.4, KL 0.3), with and without a penalty. The "
            "entropy bonus keeps perplexity a little higher and does not prevent the collapse at any "
            "threshold; its value within 10 % makes no difference that we can see, against the paper."
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
        found=(
            "A critic from the SFT model ends like one from the reward model, as in the paper: within "
            "wide intervals under vanilla PPO, at the same gold (2.8) under PPO-max. Pre-training it "
            "changes nothing that we can see, against the paper. Without supervised fine-tuning PPO "
            "fails, as in the paper: a high proxy reward (2.8) and gold of -0.5."
        ),
    ),
    "clips": Study(
        "Ratio clip and lambda",
        "C.1, C.3: without a ratio clip, or with 0.5, training is less stable; lambda 0 is biased, 1 varies "
        "most, 0.9 is used.",
        ("vanilla", "ratio clip none", "ratio clip 0.5", "lambda 0", "lambda 1"),
        found=(
            "All collapse, and which is worst five seeds do not tell. Without a clip gold ends lowest "
            "(-7.8 against -4.9, the intervals overlap) and KL is highest (88), in the direction of the "
            "paper; 0.5 is like 0.2. Lambda 0 learns less on the way (best gold 2.8 against 3.4), which "
            "its bias explains; 1 is no worse than 0.9 here."
        ),
    ),
    "ptx": Study(
        "Pretraining gradients and the alignment tax",
        "5.4, figure 15 and InstructGPT: mixing in pretraining text keeps what the model knew, at little cost "
        "in reward.",
        ("vanilla", "max without ptx", "max", "max, ptx 4"),
        found=(
            "As in the paper: without ptx the perplexity of pretraining text goes from 2.1 to 11 on the "
            "mean under PPO-max and further in vanilla's collapse; with it, it stays at 2.1, and gold is "
            "no lower (2.8 against 2.6, within the intervals). A weight of 4 does the same as 1."
        ),
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
        found=(
            "With one epoch the two objectives are the same, to the last digit, as they must be. Repeated "
            "without a ratio gold is no lower at four epochs (1.8) and falls at eight (0.0; the text's "
            "perplexity, 4 after one epoch, is 20,000); with the clipped ratio the best gold on the way "
            "grows with the epochs (3.4 to 3.8), while the end is 1.2 at four, 0.3 at eight and 0.7 at "
            "sixteen, where it forgets its text as well. Without the clip 16 epochs end at -1.3 and "
            "forget most. Intervals are one to two points wide; all of these have a KL penalty of 0.05, "
            "without it we have not tried them."
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
            "GRPO, 4 updates a step",
            "A2C, 1 epoch",
            "max",
            "max, value on the policy's trunk",
        ),
        found=(
            "REINFORCE's raw return ends no worse than the centred one (2.1 against 1.7; the intervals "
            "overlap); why, the section on gradients says. RLOO (1.4) is like them. GRPO, whose KL stands "
            "in the loss with 0.04 instead of in the reward with 0.05 and whose groups have 4 answers "
            "instead of 64, drifts furthest of those with one update a step (KL 38) and collapses in most "
            "seeds; four updates a step make it worse (-3.8). A value head on the policy's own trunk is "
            "as good as a critic of its own (2.7 against 2.8)."
        ),
    ),
    "comparison": Study(
        "Eight ways to use the same labels",
        "The sources name a family: fine-tuning on the answers put first, best-of-n, REINFORCE, A2C, RLOO, GRPO, PPO "
        "and DPO. Each is said to be enough or to be better than another; none of them compares all on one budget.",
        (
            "top-tier SFT",
            "best-of-n fine-tuning",
            "DPO",
            "REINFORCE",
            "RLOO",
            "GRPO",
            "A2C, 1 epoch",
            "clipped ratio, 1 epoch",
            "KL 0.05",
            "max",
        ),
        found=(
            "Up to their peaks all lie on nearly one curve of gold over sqrt(KL); what differs is where "
            "they stop. Top-tier SFT hardly moves (2.3, KL 0.2). Best-of-n fine-tuning ends highest of "
            "what is trained (3.2, KL 1.9), and best-of-16 sampling without any training is no worse "
            "(3.3, KL 1.8), at sixteen times the cost of an answer. DPO (2.7) ends as PPO-max does (2.8) "
            "in a third of the time and without a reward model. With a KL penalty of 0.05 and no more, "
            "PPO, A2C, RLOO and REINFORCE pass 3.3 to 3.6 on their way and lose it again (1.2 to 1.8); "
            "GRPO falls below the start. Which of those is better on this budget the intervals do not "
            "tell; PPO with one update a step is A2C."
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
        found=(
            "In part as in the paper: from reward models of 0.2 and 0.5 epochs the policies end at 0.8 "
            "and 1.9, from one epoch and from three at 2.9 and 2.8. Accuracy rises with the training too "
            "(on the mean 0.59, 0.63, 0.66, 0.71), and over these 20 runs it says much about the end "
            "(Spearman 0.69). That accuracy is not enough shows within one training length: of one epoch, "
            "models of 0.625 on held-out pairs gave 2.9 and 3.1, and the one of 0.70 gave 2.75. Two "
            "hundred pairs measure an accuracy to within 0.03."
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
        found=(
            "As in the paper for PPO-max, which the KL holds: 1.5, 1.9, 2.8, 4.0, 4.2 from 100 to 5,000 "
            "labels. Vanilla's best gold on the way rises with the labels too (2.45 to 3.8), while its "
            "end falls (-2.9, -3.4, -4.9, -6.5, -7.0, with intervals of three to eight points): without a "
            "constraint every reward model is exploited, and more labels do not help."
        ),
    ),
    "small_steps": Study(
        "A smaller learning rate",
        "None: a third of the learning rate and three times the steps, so that alarms have a finer clock.",
        (
            "vanilla",
            "vanilla, small steps",
            "vanilla, small steps, 100 labels",
            "vanilla, small steps, 5000 labels",
        ),
        found=(
            "Three times the steps at a third of the rate do not help: the peak is as high (3.4 with "
            "1,000 labels) and the end lower (-8.0 against -4.9, within the intervals), with a KL of 97 "
            "instead of 70: the policy goes further in all."
        ),
    ),
}

# Of the sections over all runs.
FOUND_ALL: Mapping[str, str] = {
    "over_optimisation": (
        "As in the paper for best-of-n: proxy always rises, gold rises and falls with few labels, the "
        "quadratic fits, alpha grows with the labels (0.9 to 1.9) and beta is lower with many (0.6 with "
        "100 and 300, 0.33 with 3,000 and 5,000), so that the best n moves from 4 at 100 labels to 128 or "
        "more at 3,000 and 5,000. For PPO in part: alpha grows (0.3 to 2.0) and the peak moves right with "
        "every step of labels (0.7 to 1.6), but beta grows as well, and the peak lies near best-of-n's "
        "with up to 300 labels and left of it with more, not further right. PPO spends far more KL than n "
        "= 256 (4.5 nats), as in the paper, but here for a worse policy."
    ),
    "gradients": (
        "As in the paper, and it explains why centring did not help REINFORCE here: where learning starts "
        "the mean score is small beside its spread, and the step's mean as a baseline changes next to "
        "nothing (ratio 0.98). Once the policy scores well it is the other way round: the step's mean "
        "takes off 86 % of the variance, and the mean of the same question's other answers 97 %. The "
        "expected gradient is then too small beside the noise for the cosines to tell that it is the "
        "same. Reward to go equals the return where no token but the last is rewarded, and with a KL "
        "penalty it varies more without a baseline, since the return's KL cost takes off some of the "
        "score."
    ),
    "tails": (
        "Not as in the paper: no long right tail comes with the collapse. The right side is a little "
        "longer from the start (reach 1.4, interval 1.0 to 1.9) and never longer than that, in PPO-max as "
        "in vanilla, because the reward model gives no answer of at most 20 tokens much more than it "
        "knows. What does come with the collapse is the share above all that it gave its held-out pairs: "
        "4 % at step 10, near gold's peak, 30 % at step 20, 59 % at step 40; PPO-max stays at 4 %."
    ),
    "alarms": (
        "In all four runs of vanilla PPO that collapse an alarm comes, 7 to 13 steps after gold's peak "
        "with a window of 3 steps and 14 to 30 with the product's 10; in the fifth, which keeps most of "
        "its gold, one comes with a window of 3 alone; in PPO-max's none ever does. It is later than one "
        "would want: in the four all of the gold gained is lost by then (99 % or more). It tells of a "
        "collapse that has happened, not of one to come."
    ),
    "support": (
        "Its constant was chosen on earlier runs of a few seeds with 1,000 labels; all runs here were "
        "made after it. With 1,000 labels it comes between three steps before gold's peak and two after, "
        "with at most 7 % missing in four of five runs and 34 % in the fifth; with small steps between "
        "five before and three after, with 0 to 7 % missing in three, 22 and 51 % in the others. With "
        "300, 3,000 and 5,000 labels 0 to 12 % are missing in all runs of vanilla PPO at its own rate. "
        "With 100 labels it says little: 30 to 36 % are still to gain in three runs of five, and in one "
        "45 % are lost. The older alarms came when all was lost. PPO-max raises it too, in all runs here: "
        "it tells how far the labels carry, not that harm is done."
    ),
    "predictors": (
        "KL tells most, with a penalty and without. The proxy reward that was trained on says the less "
        "the further a policy has gone: over all runs, and without a penalty more than with one, a higher "
        "proxy at the end goes with lower gold. Length tells a collapse where nothing holds the policy, "
        "and less where a penalty does; there the accuracy of the reward model says something. Perplexity "
        "says little in either."
    ),
}
