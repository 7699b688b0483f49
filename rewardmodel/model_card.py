"""The card of a reward model as it leaves the site: what it was made from and how well it does, with its licence.

The folder has a card of its training already (rewardmodel/training/model_card.py: how to read a score); that one knows
no names, and the folder is never changed once it is recorded. Downloads and pushes have this one in its place.
"""

import re
from typing import Any

from django.conf import settings
from django.utils import translation

from rewardmodel.figures import FEW_PAIRS
from rewardmodel.models import RewardModel
from runs.hub.files import HubFile, files_of_folder
from runs.model_cards import README, base_precision_rows, number, settings_block, written_card
from workspace.cards import cell, header, licence_fields, percent, table


def reward_model_files(model: RewardModel) -> list[HubFile]:
    """What a download or a push has. Raises UserError where the folder is gone."""
    return files_of_folder(model.artifact.absolute_path, {README: reward_model_card(model).encode()})


def reward_model_card(model: RewardModel) -> str:
    head = header(
        licence_fields(model.licence)
        | {
            "library_name": "transformers",
            "pipeline_tag": "text-classification",
            "tags": ["reward-model", "roundtable"],
        }
    )
    return f"---\n{head}---\n\n{card_text(model)}"


def card_text(model: RewardModel) -> str:
    """The card without its header, as the model's page shows it."""
    # In one language, whatever that of the page is: others read the card.
    with translation.override(settings.LANGUAGE_CODE):
        return _write_card(model)


def _write_card(model: RewardModel) -> str:
    notes = f"{model.notes}\n\n" if model.notes else ""
    written = _how_to_score(model)
    return f"""# {cell(model.name)}

{notes}A reward model of the project {cell(model.project.name)}.
It scores an answer to a conversation; higher is better.
Licence: {cell(model.licence) or "not said"}.

## Where it comes from

{table(("", ""), _origin(model))}
## Figures

{_figures(model.report)}
## Settings

{settings_block(model.produced_by)}
{written}"""


def _origin(model: RewardModel) -> list[tuple[str, str]]:
    dataset = model.dataset
    counts = dataset.counts
    rows = [
        (f"criterion {criterion.name}", criterion.question) for criterion in model.criteria.order_by("name")
    ]
    rows += [
        (
            "data",
            f"{dataset.label}: {counts.get('counted', 0):,} judgments on {counts.get('tasks', 0):,} tasks",
        ),
        ("licence of the data", dataset.licence or "not said"),
        ("content SHA-256 of the data", dataset.filters.get("content_sha256", "")),
        ("base", base_name(model)),
        *base_precision_rows(model.artifact.absolute_path),
        ("checkpoint", _checkpoint(model)),
        ("trained", f"{model.created_at:%Y-%m-%d}"),
        ("SHA-256 of the model's folder", model.artifact.sha256),
    ]
    return [(what, said) for what, said in rows if said]


def _checkpoint(model: RewardModel) -> str:
    step = model.report.get("checkpoint_step")
    return "" if step is None else f"step {step} of a training that went on"


def base_name(model: RewardModel) -> str:
    """What its training started from, by name."""
    base: Any = model.base_artifact
    if base is None:
        return "a model named in its configuration"
    for of, called in (("policy", "the policy"), ("reward_model", "the reward model")):
        if (found := getattr(base, of, None)) is not None:
            return f"{called} {found.name}"
    return "an imported folder"


def _figures(report: dict[str, Any]) -> str:
    if not report.get("n"):
        return "No comparisons were held out to measure it on.\n"
    by_criterion = report.get("by_criterion") or {}
    rows = [("all", report), *(by_criterion.items() if len(by_criterion) > 1 else ())]
    by_tag, by_question = report.get("by_tag") or {}, report.get("by_question") or {}
    parts = [
        "On comparisons that it was not trained on:\n",
        table(
            ("criterion", "pairs", "accuracy", "95 % interval"),
            (
                (name, row["n"], percent(row["accuracy"]), _interval(row["interval"]))
                for name, row in rows
                if row["n"]
            ),
        ),
        *(
            table(
                (kind, "pairs", "accuracy", "95 % interval", "calibration error"),
                (
                    (
                        name or "none",
                        f"{row['n']}{' (few)' if row['n'] < FEW_PAIRS else ''}",
                        percent(row["accuracy"]),
                        _interval(row["interval"]),
                        number(row.get("calibration_error")),
                    )
                    for name, row in groups.items()
                    if row["n"]
                ),
            )
            for kind, groups in (
                ("tag of the prompt", by_tag),
                ("way of asking", by_question if len(by_question) > 1 else {}),
            )
        ),
        table(
            ("how much better", "pairs", "accuracy", "95 % interval"),
            (
                (name, row["n"], percent(row["accuracy"]), _interval(row["interval"]))
                for name, row in {
                    **{f"grade {grade}": row for grade, row in (report.get("by_grade") or {}).items()},
                    "not said": report.get("without_strength") or {},
                }.items()
                if row.get("n")
            ),
        ),
        table(
            ("predicted", "pairs", "mean prediction", "was right"),
            (
                (
                    f"{100 * row['low']:.0f} to {100 * row['high']:.0f} %",
                    row["n"],
                    percent(row["confidence"]),
                    percent(row["accuracy"]),
                )
                for row in report.get("calibration") or ()
                if row["n"]
            ),
        ),
    ]
    said = [
        ("Expected calibration error", number(report.get("calibration_error"))),
        (
            "Accuracy of the rule “the longer answer is better” on these pairs",
            percent(report.get("longer_wins_accuracy")),
        ),
        ("Spread (standard deviation) of the rewards", number(report.get("reward_spread"))),
    ]
    parts.append("".join(f"- {what}: {value}.\n" for what, value in said if value))
    return "\n".join(filter(None, parts))


def _interval(bounds: list[float] | None) -> str:
    return "" if not bounds else f"{percent(bounds[0])} to {percent(bounds[1])}"


def _how_to_score(model: RewardModel) -> str:
    """The training's own card under another heading and without its figures, which stand above."""
    text = written_card(model.artifact.absolute_path)
    if not text:
        return ""
    lines = [line for line in text.splitlines() if not line.startswith("|")]
    text = re.sub(r"\A# .*\n", "## How it scores\n", "\n".join(lines))
    return re.sub(r"\n{3,}", "\n\n", text) + "\n"
