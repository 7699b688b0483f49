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
            "As in the paper. In all five seeds vanilla's proxy reward rises while gold, after a peak of 3.6 on the "
            "mean between the 7th and the 16th step, falls below where it began with 1.75 (to -4.1 on the mean; one "
            "seed ends at 0.8); KL reaches 56 nats on the mean, answers become two and a half times as long, "
            "perplexity falls to 1.7. PPO-max ends at 3.1 with a KL of 5. Its perplexity falls too, to 2.2: "
            "perplexity alone tells no collapse."
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
            "One ingredient decides: without the KL penalty PPO-max collapses as vanilla does (-3.7); without reward "
            "normalisation and clip it loses 1.1 points and drifts twice as far. All other ingredients, GAE among "
            "them, lie within the interval of the whole (3.0 to 3.2): at this size we cannot confirm that critic "
            "pre-training, GAE, value clip, ratio clip or gradient clip are needed. ptx costs nothing in gold."
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
            "Only in part as in the paper: added to vanilla PPO alone, none of these stops the collapse (-0.8 to "
            "-5.6). Here the tighter reward clips hold more (0.3: -0.8, 0.8: -3.2, 3 and 10: -4.8 and -5.1), but in "
            "an earlier run of the same configurations they were in no such order, and intervals overlap: which clip "
            "is taken matters no more than the seed. Scaling without a clip does nothing (-5.6), with one it is "
            "among the best (-1.7). Clipping rewards and advantages together (-1.5) is better than either alone "
            "here, against the paper, within wide intervals."
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
            "As in the paper: the penalty holds the policy, and more so with its weight (0.05, 0.1, 0.2: gold 2.2, "
            "2.95, 3.2; KL 10, 6, 4); Anthropic's 0.001 holds little (-2.5, KL 49). A ratio to the fixed reference "
            "is safe and learns little (2.4, KL 0.4), with and without a penalty. The entropy bonus keeps perplexity "
            "a little higher and does not prevent the collapse at any threshold; its value within 10 % makes no "
            "difference that we can see."
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
            "A critic from the SFT model ends like one from the reward model, as in the paper. Pre-training it "
            "changes nothing here, against the paper. Without supervised fine-tuning PPO fails, as in the paper: a "
            "high proxy reward (2.6) and gold below 0."
        ),
    ),
    "clips": Study(
        "Ratio clip and lambda",
        "C.1, C.3: without a ratio clip, or with 0.5, training is less stable; lambda 0 is biased, 1 varies "
        "most, 0.9 is used.",
        ("vanilla", "ratio clip none", "ratio clip 0.5", "lambda 0", "lambda 1"),
        found=(
            "A clip of 0.5 collapses deepest (-6.6, KL 81); none at all is no worse than 0.2 at the end (-3.4 "
            "against -4.1), though its best gold on the way is lower (3.2 against 3.55). Lambda 0 learns less (best "
            "gold 2.7) and 1 collapses more (-5.7) than 0.9 does, as in the paper, where 0.9 stands between them."
        ),
    ),
    "ptx": Study(
        "Pretraining gradients and the alignment tax",
        "5.4, figure 15 and InstructGPT: mixing in pretraining text keeps what the model knew, at little cost "
        "in reward.",
        ("vanilla", "max without ptx", "max", "max, ptx 4"),
        found=(
            "As in the paper: without ptx the perplexity of pretraining text goes from 2.1 to 4.5 under PPO-max and "
            "further in vanilla's collapse; with it, it stays at 2.1, and gold is no lower (3.1 both). A weight of 4 "
            "does the same as 1."
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
            "With one epoch the two objectives are the same, to the last digit, as they must be. Repeated without a "
            "ratio the policy becomes deterministic (perplexity 1.6) and forgets its text (perplexity 234 at four "
            "epochs, above 100,000 at eight), and at eight epochs gold collapses (-1.4); with the clipped ratio "
            "eight epochs cost 0.2 points of gold, and sixteen 0.4. Without the clip 16 epochs end at -3.3, with it "
            "at 1.8. All of these have a KL penalty of 0.05; without it we have not tried them."
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
            "Against expectation the raw return ended no worse than the centred one (2.8 against 1.3; the intervals "
            "overlap); why, the section on gradients says. RLOO is between them (2.0). GRPO, whose KL stands in the "
            "loss with 0.04 instead of in the reward with 0.05, drifts furthest (KL 41) and collapses. A value head "
            "on the policy's own trunk loses 0.2 points to a critic of its own."
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
            "Up to their peaks all lie on nearly one curve of gold over sqrt(KL); what differs is where they stop. "
            "Top-tier SFT hardly moves (2.35, KL 0.2). DPO (3.2) ends as well as PPO-max (3.1) in less than half the "
            "time, without a reward model; best-of-n fine-tuning (3.1) is near them at half their KL, and best-of-16 "
            "sampling without any training is no worse (3.3, KL 1.8), at sixteen times the cost of an answer. With a "
            "KL penalty of 0.05 and no more, PPO, A2C, RLOO and REINFORCE pass 3.3 to 3.6 on their way and lose it "
            "again (1.3 to 2.2); GRPO collapses. Which of those is better on this budget the intervals do not tell."
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
            "In part as in the paper: from reward models of 0.2, 0.5 and 1 epoch the policies end at 1.6, 2.5 and "
            "2.8, from three epochs at 3.1. But accuracy rises with the training too (0.61, 0.65, 0.67, 0.70), and "
            "over these 20 runs it says much about the end (Spearman 0.68). That accuracy is not enough shows within "
            "one training length only: of 0.5 epochs, models of 0.67 to 0.68 on held-out pairs gave 2.0, 2.65 and "
            "3.3, and the one of 0.57 gave 2.9. Two hundred pairs measure an accuracy to within 0.03."
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
            "As in the paper for PPO-max, which the KL holds: 1.8, 2.5, 3.1, 4.0, 4.15 from 100 to 5,000 labels. "
            "Vanilla's best gold on the way rises to 3,000 labels (2.8 to 3.6) and its end falls with them (-2.4 to "
            "-7.7): without a constraint every reward model is exploited, the better ones further."
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
            "Three times the steps at a third of the rate do not help: the peak is as high (3.55 with 1,000 labels) "
            "and the collapse deeper (-6.8 against -4.1), since the policy goes further in all."
        ),
    ),
}

# Of the sections over all runs.
FOUND_ALL: Mapping[str, str] = {
    "over_optimisation": (
        "As in the paper for best-of-n: proxy always rises, gold rises and falls, the quadratic fits, alpha grows "
        "with the labels (1.3 to 2.1) and beta falls (0.7 to 0.4), so that the best n moves from 8 at 100 labels to "
        "128 at 3,000 and 5,000. For PPO only in part: the form fits the fall better than the peak, which lies where "
        "best-of-n's does or before it, not further right; it moves right from 100 to 3,000 labels (0.96, 0.94, 1.1, "
        "1.5) and back at 5,000 (1.3), where the fit is led by the depth of the fall, and beta does not fall with "
        "the labels. PPO spends a hundred nats where n = 256 spends 4.5, as in the paper, but here for a worse "
        "policy."
    ),
    "gradients": (
        "As in the paper, and it explains why centring did not help REINFORCE here: where learning starts the mean "
        "score is small beside its spread, and a baseline changes nothing (ratio 0.99). Once the policy scores well "
        "it is the other way round: the step's mean takes off 81 % of the variance, and the mean of the same "
        "question's other answers 95 %. The expected gradient is then too small beside the noise for the cosines to "
        "tell that it is the same. Reward to go equals the return where no token but the last is rewarded, and with "
        "a KL penalty it varies a little more without a baseline, since the return's KL cost takes off some of the "
        "score."
    ),
    "tails": (
        "Not as in the paper: no long right tail appears at any time. From the start on the right side shortens "
        "(reach 1.2 to 0.5) and the distribution leans left, in PPO-max as in vanilla, because the reward model "
        "gives no answer of at most 20 tokens much more than it knows. What does come with the collapse is the share "
        "above all that it gave its held-out pairs: 7 % at step 10, where gold peaks, 41 % at step 20, 57 % at step "
        "40; PPO-max stays at 10 % or below."
    ),
    "alarms": (
        "In all five runs of vanilla PPO an alarm comes, 3 to 12 steps after gold's peak with a window of 3 steps "
        "and 10 to 23 with the product's 10; in PPO-max's none ever does. It is later than one would want: with a "
        "window of 3 a third to more than all of the gold gained is lost by then, with 10 always most of it, and no "
        "window fires before a tenth is lost. It tells of a collapse that has begun, not of one to come."
    ),
    "support": (
        "Its constant was chosen on earlier runs of a few seeds with 1,000 labels; all runs here were made after it. "
        "With 1,000 labels it comes between five steps before gold's peak and two after, before a tenth is lost in "
        "three of five, at a tenth and a fifth in the others; with small steps between three before and four after, "
        "with 1 to 9 % missing. With 300 to 5,000 labels 0 to 21 % are missing in all runs of vanilla PPO. "
        "With 100 labels it comes too early, while 11 to 31 % are still to gain. The older alarms came when a "
        "third to more than all was "
        "lost. PPO-max, whose gold stays, raises it too with up to 1,000 labels, and with 3,000 and 5,000 in three "
        "runs of ten: it tells how far the labels carry, not that harm is done."
    ),
    "predictors": (
        "KL tells most, with a penalty and without. The proxy reward that was trained on says the less the further a "
        "policy has gone: over all runs, and most without a penalty, a higher proxy at the end goes with lower gold. "
        "Length tells a collapse where nothing holds the policy, and nothing where a penalty does; there the "
        "accuracy of the reward model says something. Perplexity says little in either."
    ),
}
