"""Where annotators disagree, ask one more of them before a reviewer decides."""

from django.db.models import F

from annotation.adjudication.listing import orders_said, undecided_tasks
from annotation.batches.one_more import open_one_more
from annotation.errors import InvalidBatch
from annotation.quality.actions import newest_report
from workspace.actions import record_audit
from workspace.database import write_transaction
from workspace.models import MAX_OVERLAP, Criterion, Project, User

ASKED_AT_ONCE = 1_000  # tasks, the least certain first


@write_transaction
def ask_one_more(*, actor: User, project: Project, criterion: Criterion, most: int) -> int:
    """Ask one more annotator for each task that is undecided, on which annotators put the answers in different orders
    and that has all its judgments, up to `most` people a task; how many tasks. Done again it changes nothing until
    the new judgments are there and measured. Raises InvalidBatch.
    """
    if not 2 <= most <= MAX_OVERLAP:
        sentence = f"At most how many people a task: 2 to {MAX_OVERLAP}."
        raise InvalidBatch(sentence, fields={"most": sentence})
    report = newest_report(project)
    if report is None:
        return 0
    # What came since the report is not in it: whether they disagree still is known when it is measured.
    measured = undecided_tasks(report, criterion).filter(
        annotators__gte=F("task__counted_judgments"), task__required_judgments__lt=most, task__open_slots=0
    )
    keys = list(measured.values_list("task", flat=True)[:ASKED_AT_ONCE])
    apart = [key for key, (_, orders) in orders_said(keys).items() if orders > 1]
    asked = open_one_more(apart, most=most) if apart else 0
    if asked:
        record_audit(
            actor=actor, action="tasks.ask_one_more", project=project, target=project, tasks=asked, most=most
        )
    return asked
