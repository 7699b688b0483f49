"""The known judgments of gold and practice tasks, and such tasks made of what was judged."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.utils.translation import gettext

from annotation.batches.actions import create_batch, open_batch
from annotation.errors import InvalidJudgment, InvalidTask
from annotation.models import Batch, GoldJudgment, Judgment, Task, TaskResponse
from annotation.preferences.content_warnings import split_warnings
from annotation.preferences.known_answers import KnownAnswer, Order
from annotation.preferences.validation import validate_tiers
from annotation.text import clean_text
from workspace.actions import record_audit, require_version
from workspace.models import Criterion, Project, User

MAX_ORDERS = 10  # that are right as well
MAX_TOLERANCE = 4  # places of the scale
MAX_AT_ONCE = 500
MAX_RESPONSES = 9


def known_answer(gold: GoldJudgment) -> KnownAnswer:
    orders = [Order(gold.tiers, gold.strengths)]
    orders += [Order(order["tiers"], order["strengths"]) for order in gold.also_right]
    return KnownAnswer(orders, gold.tolerance, gold.least_pairs)


@transaction.atomic
def set_gold_judgment(
    *,
    actor: User,
    task: Task,
    tiers: list[list[int]],
    strengths: list[int | None],
    explanation: str = "",
    also_right: Sequence[Mapping[str, Any]] = (),
    tolerance: int | None = None,
    least_pairs: float = 1.0,
    expected_version: int | None = None,
) -> GoldJudgment:
    """The known judgment of a gold or practice task, in response keys. `also_right`: other orders {tiers, strengths};
    `tolerance`, `least_pairs`: see KnownAnswer. `explanation`: why, for who is in training.

    Raises InvalidJudgment, and StaleVersion when `expected_version` is given (0: none yet) and there is another.
    """
    locked = (
        Task.objects.select_for_update(no_key=True, of=("self",))
        .select_related("batch__project")
        .get(pk=task.pk)
    )
    if locked.purpose not in (Task.Purpose.GOLD, Task.Purpose.PRACTICE):
        raise InvalidJudgment(gettext("Only gold and practice tasks have a known judgment."))
    there = GoldJudgment.objects.filter(task=locked).first()
    require_version(expected_version, there.version if there else 0)
    keys = list(locked.task_responses.order_by("position").values_list("response_id", flat=True))
    if len(also_right) > MAX_ORDERS:
        raise InvalidJudgment(
            gettext("At most %(max_orders)s other orders are right as well.") % {"max_orders": MAX_ORDERS}
        )
    if tolerance is not None and not 0 <= tolerance <= MAX_TOLERANCE:
        raise InvalidJudgment(
            gettext("The tolerance is 0 to %(max_tolerance)s places of the scale, or none.")
            % {"max_tolerance": MAX_TOLERANCE}
        )
    if not 0 < least_pairs <= 1:
        raise InvalidJudgment(gettext("The share of pairs that must be right is above 0 and at most 1."))

    def checked(tiers: Any, strengths: Any) -> tuple[list[list[Any]], list[int | None]]:
        return validate_tiers(tiers, strengths, keys, allow_ties=True, allow_missing_strengths=True)

    tiers, strengths = checked(tiers, strengths)
    others = []
    for order in also_right:
        other = checked(order["tiers"], order["strengths"])
        if other == (tiers, strengths) or other in others:
            message = "An order that is right as well is another than the known one, and is given once."
            raise InvalidJudgment(message, fields={"also_right": message})
        others.append(other)
    gold, _ = GoldJudgment.objects.update_or_create(
        task=locked,
        defaults={
            "tiers": tiers,
            "strengths": strengths,
            "also_right": [{"tiers": order, "strengths": steps} for order, steps in others],
            "tolerance": tolerance,
            "least_pairs": least_pairs,
            "explanation": clean_text(explanation, "The explanation", allow_empty=True),
            "author": actor,
            "version": there.version + 1 if there else 1,
        },
    )
    record_audit(actor=actor, action="gold_judgment.set", project=locked.batch.project, target=gold)
    return gold


@transaction.atomic
def make_known_tasks(
    *,
    actor: User,
    project: Project,
    judgments: Sequence[Judgment],
    batch: Batch | None = None,
    tolerance: int | None = None,
) -> int:
    """Copies of what was judged, as tasks whose answer is known: what each of these judgments says. How many are new.

    Without `batch` they are gold, in the project's batch of gold for their criterion and kind; with it, that of a
    training, practice, which a batch with content warnings gives none of: a training is for everybody. A task that has
    such a copy there keeps it as it is. Raises InvalidTask.
    """
    if not 1 <= len(judgments) <= MAX_AT_ONCE:
        raise InvalidTask(
            gettext("Choose between 1 and %(max_at_once)s judgments.") % {"max_at_once": MAX_AT_ONCE}
        )
    # Two managers at once make one copy of a task.
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    purpose = Task.Purpose.GOLD if batch is None else Task.Purpose.PRACTICE
    made = 0
    for judgment in judgments:
        task = judgment.task
        home = task.batch
        if home.project_id != project.pk:
            raise InvalidTask(gettext("The judgment belongs to another project."))
        if task.purpose not in (Task.Purpose.NORMAL, Task.Purpose.HEAD_TO_HEAD):
            raise InvalidTask(gettext("A task that is a copy itself is not copied again."))
        size = len(judgment.order_shown)
        if size < 2:
            raise InvalidTask(gettext("Of a single answer nobody can know the order."))
        if batch is not None and (batch.kind != home.kind or batch.criterion_id != home.criterion_id):
            raise InvalidTask(
                gettext("The training asks %(lower)s tasks of %(name)s; this one is another kind.")
                % {"lower": batch.get_kind_display().lower(), "name": batch.criterion.name}
            )
        if batch is not None and home.content_warnings:
            raise InvalidTask(
                gettext(
                    "The batch %(name)s warns of %(content_warnings)s: who does not want to see that "
                    "could not pass the training. Choose judgments of other batches."
                )
                % {"name": home.name, "content_warnings": ", ".join(split_warnings(home.content_warnings))}
            )
        target = batch or _batch_of_gold(actor, project, home.criterion, home.kind)
        copies = Task.objects.filter(copy_of=task, purpose=purpose)
        if (copies.filter(batch=batch) if batch else copies).exists():
            continue
        copy = Task.objects.create(
            batch=target,
            prompt_id=task.prompt_id,
            purpose=purpose,
            copy_of=task,
            required_judgments=0,
            open_slots=0,
        )
        keys = task.task_responses.order_by("position").values_list("response_id", flat=True)
        TaskResponse.objects.bulk_create(
            TaskResponse(task=copy, response_id=key, position=place) for place, key in enumerate(keys)
        )
        set_gold_judgment(
            actor=actor,
            task=copy,
            tiers=judgment.tiers,
            strengths=judgment.strengths,
            explanation=judgment.rationale if batch is not None else "",
            tolerance=tolerance,
        )
        made += 1
        if target.state == Batch.State.DRAFT and batch is None:
            open_batch(actor=actor, batch=target)
    record_audit(
        actor=actor, action="known_tasks.make", project=project, target=batch or project, tasks=made,
        purpose=str(purpose),
    )  # fmt: skip
    return made


def _batch_of_gold(actor: User, project: Project, criterion: Criterion, kind: str) -> Batch:
    """Open, so that its tasks are handed out. A closed one is left as it is, and another begun."""
    size = 2 if kind == Batch.Kind.PAIRWISE else MAX_RESPONSES
    stem = f"Known answers: {criterion.name}, {Batch.Kind(kind).label.lower()}"
    found = project.batches.filter(
        criterion=criterion, kind=kind, responses_per_task=size, visible=True, name__startswith=stem
    )
    if (usable := found.exclude(state=Batch.State.CLOSED).order_by("pk").first()) is not None:
        return usable
    name = stem if not found.exists() else f"{stem} ({found.count() + 1})"
    return create_batch(
        actor=actor, project=project, criterion=criterion, name=name, responses_per_task=size, overlap=1
    )
