"""An import taken back: its rows stay in the database and no reader sees them; their ids are free again.

Judgments can be neither changed nor deleted. Those of the import are left out by every reader because their import says
so; its batches are invisible, its prompts, responses, demonstrations and texts are marked. What something else uses by
now stays: a prompt with tasks or responses of its own, a task that another import's annotators judged too.
"""

from collections import Counter

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from annotation.batches.actions import create_batch, open_batch
from annotation.importing.report import ImportRefused
from annotation.importing.unfinished import delete_if_unused, release_slots
from annotation.models import (
    Assignment,
    Batch,
    CurrentJudgment,
    Demonstration,
    Import,
    Judgment,
    Prompt,
    PromptSet,
    PromptSetMember,
    Response,
    Task,
    TaskResponse,
    Text,
    WritingItem,
)
from workspace.models import User
from workspace.naming import unique_name


def reason_to_keep(imported: Import) -> str:
    """Why the import can no longer be taken back, and what to do instead; empty when it can."""
    if imported.state == Import.State.RUNNING:
        return f"{_named(imported)} is not finished."
    if imported.state == Import.State.TAKEN_BACK:
        return f"{_named(imported)} was taken back already."
    users = [
        f"the dataset “{name}”" for name in imported.datasets.order_by("pk").values_list("name", flat=True)
    ]
    users += [imported.used_for] if imported.used_for else []
    if users:
        what = "" if not imported.batches.exists() else "; exclude its batch from future datasets instead"
        return f"{_named(imported)} stays: {users[0]} was made with it{what}."
    people = Judgment.objects.current().filter(task__batch__from_import=imported, from_import__isnull=True)
    if number := people.count():
        return (
            f"{_named(imported)} stays: people have judged its tasks ({number} judgment{'' if number == 1 else 's'}); "
            "close its batch and exclude it from future datasets instead."
        )
    return ""


def _named(imported: Import) -> str:
    text = str(imported)
    return text[0].upper() + text[1:]


def withdraw_rows(actor: User, imported: Import) -> Counter[str]:
    """Hides the locked import's rows and marks it; how many of what were hidden."""
    if reason := reason_to_keep(imported):
        raise ImportRefused(reason, code="import_in_use")
    hidden: Counter[str] = Counter()
    mine = Judgment.objects.filter(from_import=imported)
    hidden["judgments"] = mine.filter(current_pointer__isnull=False).count()
    release_slots(mine)
    CurrentJudgment.objects.filter(judgment__from_import=imported).delete()
    Assignment.objects.filter(judgments__from_import=imported).update(
        state=Assignment.State.TAKEN_BACK, submitted_at=None
    )
    _move_shared_tasks(actor, imported)
    batches = Batch.objects.filter(from_import=imported)
    hidden["tasks"] = Task.objects.filter(batch__in=batches).count()
    for batch in batches:
        batch.name = unique_name(
            imported.project.batches.exclude(pk=batch.pk), f"{batch.name[:90]} (taken back)"
        )
        batch.state, batch.visible = Batch.State.CLOSED, False
        batch.save(update_fields=["name", "state", "visible"])
    demonstrations = Demonstration.objects.filter(from_import=imported)
    hidden["demonstrations"] = demonstrations.update(taken_back=True)
    hidden["texts"] = Text.objects.filter(from_import=imported).update(taken_back=True)
    PromptSetMember.objects.filter(from_import=imported).delete()
    _hide_responses_and_prompts(imported, hidden)
    for prompt_set in PromptSet.objects.filter(from_import=imported):
        delete_if_unused(prompt_set)
    imported.state = Import.State.TAKEN_BACK
    imported.taken_back_at, imported.taken_back_by = timezone.now(), actor
    imported.save(update_fields=["state", "taken_back_at", "taken_back_by"])
    return +hidden


def _shared_tasks(imported: Import) -> QuerySet[Task]:
    others = Judgment.objects.known().exclude(from_import=imported).filter(from_import__isnull=False)
    return Task.objects.filter(batch__from_import=imported, judgments__in=others).distinct()


def _move_shared_tasks(actor: User, imported: Import) -> None:
    """Tasks that another import's annotators judged too go into a batch of that import."""
    shared = _shared_tasks(imported)
    by_import: dict[int, list[int]] = {}
    for pk, other in shared.order_by("pk").values_list("pk", "judgments__from_import"):
        if other not in (None, imported.pk) and all(pk not in tasks for tasks in by_import.values()):
            by_import.setdefault(other, []).append(pk)
    for other, keys in by_import.items():
        owner = Import.objects.get(pk=other)
        first = Task.objects.select_related("batch__criterion").get(pk=keys[0])
        batch = create_batch(
            actor=actor,
            project=imported.project,
            criterion=first.batch.criterion,
            name=unique_name(
                imported.project.batches.all(), owner.files[0]["name"] if owner.files else "import"
            ),
            responses_per_task=first.batch.responses_per_task,
            overlap=1,
            from_import=owner,
        )
        Task.objects.filter(pk__in=keys).update(batch=batch)
        opened = open_batch(actor=actor, batch=batch)
        opened.state = Batch.State.CLOSED
        opened.save(update_fields=["state"])


def _hide_responses_and_prompts(imported: Import, hidden: Counter[str]) -> None:
    _responses_shown_elsewhere(imported).update(from_import=None)
    hidden["responses"] = Response.objects.filter(from_import=imported).update(taken_back=True)
    hidden["prompts that something else uses stay"] = _prompts_used_elsewhere(imported).update(
        from_import=None
    )
    hidden["prompts"] = Prompt.objects.filter(from_import=imported).update(taken_back=True)


def _tasks_that_stay(imported: Import) -> QuerySet[Task]:
    """Everybody's but the import's own; of these those that others judged, too."""
    elsewhere = ~Q(batch__from_import=imported) | Q(batch__from_import__isnull=True)
    return Task.objects.filter(elsewhere | Q(pk__in=_shared_tasks(imported).values("pk")))


def _responses_shown_elsewhere(imported: Import) -> QuerySet[Response]:
    shown = TaskResponse.objects.filter(task__in=_tasks_that_stay(imported), response=OuterRef("pk"))
    corrected = WritingItem.objects.filter(edited_response=OuterRef("pk"))
    return Response.objects.filter(Exists(shown) | Exists(corrected), from_import=imported)


def _prompts_used_elsewhere(imported: Import) -> QuerySet[Prompt]:
    """Of the import's prompts those that anything asks, has in a set, demonstrates or answers which is not the import's
    own and about to go.
    """
    others = Q(from_import__isnull=True) | ~Q(from_import=imported)
    kept = others | Q(pk__in=_responses_shown_elsewhere(imported).values("pk"))
    asked = _tasks_that_stay(imported).filter(prompt=OuterRef("pk"))
    return Prompt.objects.filter(
        Exists(asked)
        | Exists(PromptSetMember.objects.filter(others, prompt=OuterRef("pk")))
        | Exists(Demonstration._base_manager.filter(others, prompt=OuterRef("pk"), taken_back=False))
        | Exists(Response.objects.filter(kept, prompt=OuterRef("pk")))
        | Exists(WritingItem.objects.filter(prompt=OuterRef("pk"))),
        from_import=imported,
    )


def count_rows_to_withdraw(imported: Import) -> Counter[str]:
    """What `withdraw_rows` would hide now and what would stay, under its names; nothing is changed."""
    counts: Counter[str] = Counter()
    judgments = Judgment.objects.filter(from_import=imported, current_pointer__isnull=False)
    counts["judgments"] = judgments.count()
    counts["tasks"] = Task.objects.filter(batch__from_import=imported).count()
    if shared := _shared_tasks(imported).count():
        counts["tasks"] -= shared
        counts["tasks that others judged stay"] = shared
    counts["demonstrations"] = Demonstration.objects.filter(from_import=imported).count()
    counts["texts"] = Text.objects.filter(from_import=imported).count()
    shown = _responses_shown_elsewhere(imported).count()
    counts["responses"] = Response.objects.filter(from_import=imported).count() - shown
    used = _prompts_used_elsewhere(imported).count()
    counts["prompts"] = Prompt.objects.filter(from_import=imported).count() - used
    counts["prompts that something else uses stay"] = used
    return +counts
