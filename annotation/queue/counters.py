"""Counters compared with the rows they stand for; the command `reconcile` reports it."""

from django.db.models import Count, Q

from annotation.models import Assignment, CurrentJudgment, Import, Judgment, Task
from annotation.queue.counts import find_count_differences
from workspace.models import Project


def find_counter_drift(project: Project | None = None) -> list[str]:
    """Compare every counter with the rows it stands for; one line for each drift, none when all is well."""
    tasks = Task.objects.counted()
    pointers = CurrentJudgment.objects.filter(judgment__withdrawn=False, judgment__surplus=False)
    leases = Assignment.objects.filter(state=Assignment.State.LEASED)
    # Of an earlier try of a training, or of an import that was taken back, nothing counts any more.
    chain_heads = (
        Judgment.objects.filter(superseded_by__isnull=True)
        .exclude(from_import__state=Import.State.TAKEN_BACK)
        .exclude(assignment__state=Assignment.State.TAKEN_BACK)
    )
    submitted = Assignment.objects.filter(state=Assignment.State.SUBMITTED)
    if project is not None:
        tasks = tasks.filter(batch__project=project)
        pointers = pointers.filter(task__batch__project=project)
        leases = leases.filter(task__batch__project=project)
        chain_heads = chain_heads.filter(task__batch__project=project)
        submitted = submitted.filter(task__batch__project=project)
    counted_of = dict(pointers.values_list("task").annotate(n=Count("pk")).order_by())
    leased_of = dict(leases.values_list("task").annotate(n=Count("pk")).order_by())
    lines = []
    columns = ("pk", "required_judgments", "open_slots", "counted_judgments")
    for pk, required, open_slots, stored in tasks.values_list(*columns).iterator():
        counted, leased = counted_of.get(pk, 0), leased_of.get(pk, 0)
        if stored != counted:
            lines.append(f"task {pk}: counted_judgments is {stored}, but {counted} judgments count")
        if open_slots != required - counted - leased:
            lines.append(
                f"task {pk}: open_slots is {open_slots}, but {required} required - {counted} counted - "
                f"{leased} leased = {required - counted - leased}"
            )
    for pk in chain_heads.filter(current_pointer__isnull=True).values_list("pk", flat=True):
        lines.append(f"judgment {pk}: the head of its chain, but not the current one")
    for pk in submitted.filter(~Q(judgments__isnull=False)).values_list("pk", flat=True):
        lines.append(f"assignment {pk}: submitted, but without a judgment")
    return lines + [str(difference) for difference in find_count_differences(project)]
