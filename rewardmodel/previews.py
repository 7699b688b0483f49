"""What a reward model's training would read and take, said before it is started; bounded time."""

import math
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext

from annotation.datasets.files import DatasetDamaged, dataset_manifest
from annotation.datasets.preview import ROWS_COUNTED
from annotation.datasets.selection import Selection
from annotation.datasets.supply import TRAINING_PURPOSES
from learning.interface.usable_comparisons import LossName, learns_from_ratings
from learning.interface.vocabulary import TEST, TRAIN, VALIDATION
from rewardmodel.forms import EvaluateRewardModelForm, JudgmentsForm, TrainRewardModelForm
from rewardmodel.start_training import reward_model_config
from runs.option_forms.fields import value_at
from workspace.errors import ActionError


def preview_training(form: TrainRewardModelForm) -> dict[str, Any]:
    """{facts: [(label, number)], notes, missing}"""
    try:
        config = reward_model_config(form.cleaned_data["preset"], form.assignments())
    except ActionError as error:
        return {"missing": str(error)}
    return preview_judgments(form, config, loss=config["objective"]["ranking_loss"])


def preview_judgments(form: JudgmentsForm, config: Mapping[str, Any], *, loss: LossName) -> dict[str, Any]:
    """The same of any training on judgments, whose options are `config`."""
    try:
        chosen = form.judgments()
        if "dataset" in chosen:
            manifest = dataset_manifest(chosen["dataset"])
            counted, tasks = manifest["counts"].get("counted", 0), manifest["tasks_by_split"]
        else:
            counted, tasks = _now(form, chosen)
    except (ActionError, DatasetDamaged) as error:
        return {"missing": str(error)}
    n_tasks = sum(tasks.values())
    # A judgment is a comparison, spread over the splits as its task is.
    per_task = 1.0 if form.cleaned_data["consensus"] or not n_tasks else counted / n_tasks
    comparisons = round(tasks.get(TRAIN, 0) * per_task)
    facts: list[tuple[str, int | None]] = [
        (gettext("Judgments that count"), counted),
        (gettext("Tasks to learn from"), tasks.get(TRAIN, 0)),
        (gettext("Held out, to measure accuracy"), tasks.get(VALIDATION, 0)),
        (gettext("Optimizer steps, about"), steps_asked(config, comparisons)),
    ]
    if learns_from_ratings(loss):
        notes = [gettext("This loss learns from ratings by the mark alone, so that it may learn from fewer.")]
    else:
        notes = [gettext("Ties are dropped by most losses, so that it may learn from fewer.")]
    if test := tasks.get(TEST, 0):
        notes.append(
            gettext("%(test)s tasks of the test split are never shown to the trainer.") % {"test": test}
        )
    missing = "" if tasks.get(TRAIN, 0) else gettext("There is no judgment to learn from in this choice.")
    return {"facts": facts, "notes": notes, "missing": missing}


def _now(form: JudgmentsForm, chosen: Mapping[str, Any]) -> tuple[int, dict[str, int]]:
    """Of the judgments there are now, how many count and how many tasks each split has; at most ROWS_COUNTED."""
    selection = Selection(project=form.project, purposes=TRAINING_PURPOSES, **chosen)
    judgments: Any = selection.judgments()
    rows = judgments.counted().order_by().values_list("task", "task__prompt__split")[:ROWS_COUNTED]
    splits: dict[int, str] = dict(rows)
    tasks: dict[str, int] = {}
    for split in splits.values():
        tasks[split] = tasks.get(split, 0) + 1
    return len(rows), tasks


def steps_asked(config: Mapping[str, Any], comparisons: int) -> int | None:
    """How many optimizer steps so many comparisons take; None where their lengths decide."""
    data: Mapping[str, Any] = value_at(config, "data") or {}
    steps, epochs, per_step = data.get("steps"), data.get("epochs"), data.get("comparisons_per_step")
    if isinstance(steps, int):
        return steps
    if data.get("tokens_per_step") or not comparisons:
        return None
    if not isinstance(per_step, int) or per_step < 1 or not isinstance(epochs, int):
        return None
    return epochs * math.ceil(comparisons / per_step)


def preview_evaluation(form: EvaluateRewardModelForm) -> dict[str, Any]:
    """How many tasks the split has, and whether the model learned from the same judgments."""
    try:
        asked = form.asked()
        dataset, split = asked["dataset"], str(asked["config"]["split"])
        tasks = dataset_manifest(dataset)["tasks_by_split"]
    except (ActionError, DatasetDamaged) as error:
        return {"missing": str(error)}
    notes = []
    if split == TRAIN:
        notes.append(
            gettext("A model is right more often on what it learned from than on what it never saw.")
        )
    missing = (
        ""
        if tasks.get(split, 0)
        else gettext("The dataset has no judgment of the split %(split)s: choose another.") % {"split": split}
    )
    return {
        "facts": [(gettext("Tasks to compare with"), tasks.get(split, 0))],
        "notes": notes,
        "missing": missing,
    }
