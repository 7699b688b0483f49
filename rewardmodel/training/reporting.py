"""What training and evaluation report about comparisons that a reward model has scored."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from learning.interface.messages import answer_text, message_texts, messages_key
from learning.run_context import RunContext
from rewardmodel.training.accuracy import ScoredPair, accuracy_report
from rewardmodel.training.categories import PromptTags, group_by_tag, group_comparisons, way_of_asking
from rewardmodel.training.comparisons import Comparison, PairCounts, build_targets
from rewardmodel.training.config import ObjectiveOptions
from rewardmodel.training.losses import Thresholds, ranking_losses
from rewardmodel.training.rating_accuracy import rating_report

FIGURES_OF_A_GROUP = (
    "accuracy",
    "interval",
    "n",
    "n_comparisons",
    "accuracy_by_comparison",
    "by_grade",
    "calibration_error",
)
# Below these the run's page says that there is little: half of a first round of our own, and the number below which an
# accuracy's interval is wider than the gain that models are chosen by (18 points on either side).
FEW_TRAINING_COMPARISONS = 100
FEW_HELDOUT_COMPARISONS = 30
SAMPLE_CHARACTERS = 2000  # of a prompt or response in samples.jsonl


def split_report(
    comparisons: Sequence[Comparison],
    scores: Sequence[Sequence[float]],
    objective: ObjectiveOptions,
    *,
    shift: float = 0.0,
    thresholds: Thresholds | None = None,
    tags: PromptTags | None = None,
) -> dict[str, Any]:
    """The part of result.json about one split. `by_criterion` has the figures of each criterion by itself,
    `by_question` those of pairs, rankings and ratings, and with `tags` (not empty) `by_tag` those of each tag.

    `shift` was taken off the scores, which losses of ratings need as they were; `thresholds` are the ordinal loss's.
    """

    def loss_of(members: Sequence[Comparison], their_scores: Sequence[Sequence[float]]) -> float | None:
        raw = [[score + shift for score in group] for group in their_scores]
        return mean_ranking_loss(members, raw, objective, thresholds)

    values = torch.tensor([value for group in scores for value in group], dtype=torch.float64)
    report = {
        **accuracy_report(scored_pairs(comparisons, scores)),
        "ranking_loss": loss_of(comparisons, scores),
        "reward_spread": float(values.std()) if len(values) > 1 else None,
    }

    def figures_of(
        groups: Mapping[str, tuple[list[Comparison], list[Sequence[float]]]],
    ) -> dict[str, dict[str, Any]]:
        return {
            name: {
                **{figure: figures[figure] for figure in FIGURES_OF_A_GROUP},
                "ranking_loss": loss_of(members, their_scores),
                **_rating_figures(members, their_scores),
            }
            for name, (members, their_scores) in groups.items()
            for figures in [accuracy_report(scored_pairs(members, their_scores))]
        }

    for name, group_of in (
        ("by_criterion", lambda item: (item.criterion,)),
        ("by_question", lambda item: (way_of_asking(item),)),
    ):
        report[name] = figures_of(group_comparisons(comparisons, scores, group_of))
    if tags:
        groups, left_out = group_by_tag(comparisons, scores, tags)
        report |= {"by_tag": figures_of(groups), "tags_left_out": left_out}
    return report | _rating_figures(comparisons, scores)


def _rating_figures(comparisons: Sequence[Comparison], scores: Sequence[Sequence[float]]) -> dict[str, Any]:
    """`ratings`, where there are any."""
    rated = [
        (score, points, prompt)
        for item, group in zip(comparisons, scores, strict=True)
        if item.scores is not None
        for prompt in [messages_key(item.prompt)]
        for score, points in zip(group, item.scores, strict=True)
    ]
    if not rated:
        return {}
    columns = zip(*rated, strict=True)
    return {"ratings": rating_report(*map(list, columns))}


def criterion_notes(report: Mapping[str, Any]) -> list[str]:
    """The held-out accuracy on each criterion for the run's page; nothing where there is only one."""
    by_criterion = report["by_criterion"]
    return [
        f"{criterion}: {figures['accuracy']:.1%} of {figures['n']} held-out pairs"
        f" (95 % interval {figures['interval'][0]:.1%} to {figures['interval'][1]:.1%})."
        for criterion, figures in by_criterion.items()
        if len(by_criterion) > 1 and figures["n"]
    ]


def scored_pairs(comparisons: Sequence[Comparison], scores: Sequence[Sequence[float]]) -> list[ScoredPair]:
    """Every untied pair of the comparisons with the difference of its two scores.

    Pairs that are equal after the cut differ by exactly 0, which is half a point: the model cannot tell them apart.
    """
    return [
        ScoredPair(
            comparison=index,
            difference=0.0 if is_equal else values[pair.first] - values[pair.second],
            strength=pair.strength,
            length_difference=len(answer_text(comparison.responses[pair.first]))
            - len(answer_text(comparison.responses[pair.second])),
        )
        for index, (comparison, values) in enumerate(zip(comparisons, scores, strict=True))
        for is_equal, pairs in ((False, comparison.untied_pairs), (True, comparison.equal_pairs))
        for pair in pairs
    ]


def pair_notes(
    training: PairCounts | None, heldout: PairCounts | None, max_response_tokens: int
) -> list[str]:
    """Sentences for the run's page about pairs that no model could tell apart; none where there are none."""
    notes = []
    if training is not None and training.equal:
        notes.append(f"{training.sentence('training pairs', max_response_tokens)}: left out of the loss.")
    if heldout is not None and heldout.equal:
        notes.append(
            f"{heldout.sentence('held-out pairs', max_response_tokens)}: half a point each in the accuracy."
        )
    return notes


def rating_notes(training: int, heldout: int) -> list[str]:
    """The same of ratings, counted one by one."""
    notes = []
    if training < FEW_TRAINING_COMPARISONS:
        notes.append(f"Only {training} ratings to train on: expect little of this model.")
    if heldout == 0:
        notes.append("No rating is held out: how close the model comes cannot be said.")
    return notes


def rating_figures_notes(report: Mapping[str, Any]) -> list[str]:
    """How close the model comes to held-out ratings, for the run's page; nothing where there are none."""
    figures = report.get("ratings") or {}
    if figures.get("spearman") is None:
        return []
    interval = figures.get("spearman_interval")
    said = f" (95 % interval {interval[0]:.3f} to {interval[1]:.3f})" if interval else ""
    return [f"{figures['n']} held-out ratings: rank correlation (Spearman) {figures['spearman']:.3f}{said}."]


def supply_notes(training: int, heldout: int) -> list[str]:
    """Sentences for the run's page where there is little to learn from, or to measure with; none where there is enough.

    The interval is that of a share near a half, 1.96 * sqrt(0.25 / n).
    """
    notes = []
    if training < FEW_TRAINING_COMPARISONS:
        notes.append(f"Only {training} comparisons to train on: expect little of this model.")
    if heldout == 0:
        notes.append("No comparison is held out: how accurate the model is cannot be said.")
    elif heldout < FEW_HELDOUT_COMPARISONS:
        points = round(100 * 1.96 * math.sqrt(0.25 / heldout))
        of = "1 comparison is" if heldout == 1 else f"{heldout} comparisons are"
        notes.append(f"Only {of} held out: an accuracy on so few may be {min(points, 50)} points off.")
    return notes


def mean_ranking_loss(
    comparisons: Sequence[Comparison],
    scores: Sequence[Sequence[float]],
    objective: ObjectiveOptions,
    thresholds: Thresholds | None = None,
) -> float | None:
    """Weighted mean over the comparisons that the loss can use; None when there is none."""
    usable = [
        (comparison, values)
        for comparison, values in zip(comparisons, scores, strict=True)
        if comparison.is_usable(objective.ranking_loss)
    ]
    if not usable:
        return None
    targets = build_targets([comparison for comparison, _ in usable])
    losses = ranking_losses(
        torch.tensor([value for _, values in usable for value in values], dtype=torch.float64),
        targets,
        objective,
        thresholds,
    )
    return float((losses.ranking_B * targets.weight_B).sum() / targets.weight_B.sum())


def log_worst(
    context: RunContext[Any],
    step: int,
    comparisons: Sequence[Comparison],
    scores: Sequence[Sequence[float]],
    number: int,
) -> None:
    """Writes the comparisons with the pairs that the model puts the other way round by most, the worst last: a page
    shows what was written last first. What people preferred there is worth reading before the model is trusted.
    """
    worst = worst_disagreements(comparisons, scores)[:number]
    for place, gap in reversed(worst):
        log_samples(context, step, [comparisons[place]], [scores[place]], disagrees_by=f"{gap:.3f}")


def worst_disagreements(
    comparisons: Sequence[Comparison], scores: Sequence[Sequence[float]]
) -> list[tuple[int, float]]:
    """(place of the comparison, how much more the model gives the response that people put lower), the largest first;
    comparisons of which every pair is ordered as people did are not among them.
    """
    gaps = []
    for place, (comparison, values) in enumerate(zip(comparisons, scores, strict=True)):
        gap = max((values[p.second] - values[p.first] for p in comparison.untied_pairs), default=0.0)
        if gap > 0:
            gaps.append((place, gap))
    return sorted(gaps, key=lambda pair: (-pair[1], pair[0]))


def log_samples(
    context: RunContext[Any],
    step: int,
    comparisons: Iterable[Comparison],
    scores: Iterable[Sequence[float]],
    **further: str,
) -> None:
    """Writes comparisons to samples.jsonl: the prompt, and the responses with the highest score first.

    There may be more scores than comparisons; the first ones belong to them.
    """
    for comparison, values in zip(comparisons, scores, strict=False):
        order = [index for _, index in sorted((-value, index) for index, value in enumerate(values))]
        agreed = sum(values[pair.first] > values[pair.second] for pair in comparison.untied_pairs)
        context.log_sample(
            step,
            prompt="\n".join(
                f"{message['role']}: {' '.join(message_texts(message))}" for message in comparison.prompt
            )[-SAMPLE_CHARACTERS:],
            responses="\n\n".join(
                f"{values[index]:+.3f} {'(preferred) ' if comparison.is_top_tier[index] else ''}"
                f"{answer_text(comparison.responses[index])[:SAMPLE_CHARACTERS]}"
                for index in order
            ),
            agrees=f"{agreed} of {len(comparison.untied_pairs)}"
            + (f", {len(comparison.equal_pairs)} equal after the cut" if comparison.equal_pairs else ""),
            **further,
        )
