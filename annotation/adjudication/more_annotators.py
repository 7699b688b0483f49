"""Where annotators disagree, ask one more of them before a reviewer decides: once, or after each measurement."""

from django.db.models import F
from django.utils.translation import gettext

from annotation.adjudication.listing import orders_said, undecided_tasks
from annotation.batches.one_more import open_one_more
from annotation.errors import InvalidBatch
from annotation.models import OneMoreRule
from annotation.quality.actions import newest_report
from workspace.actions import record_audit
from workspace.database import write_transaction
from workspace.models import MAX_OVERLAP, Criterion, Membership, Project, User
from workspace.roles import Capability, roles_with
from workspace.shown_values import ChangedMeanwhile

ASKED_AT_ONCE = 1_000  # tasks, the least certain first


@write_transaction
def ask_one_more(*, actor: User, project: Project, criterion: Criterion, most: int) -> int:
    """Ask one more annotator for each task that is undecided, on which annotators put the answers in different orders
    and that has all its judgments, up to `most` people a task; how many tasks. Done again it changes nothing until
    the new judgments are there and measured. Raises InvalidBatch.
    """
    _require_limit(most)
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


def _require_limit(most: int) -> None:
    if not 2 <= most <= MAX_OVERLAP:
        sentence = f"At most how many people a task: 2 to {MAX_OVERLAP}."
        raise InvalidBatch(sentence, fields={"most": sentence})


def current_rule(project: Project) -> int:
    """Up to how many people a task are asked after each measurement; 0: by nobody but a manager."""
    found: int | None = OneMoreRule.objects.filter(project=project).values_list("most", flat=True).first()
    return found or 0


@write_transaction
def set_one_more_rule(*, actor: User, project: Project, most: int, expected: int | None = None) -> int:
    """Ask one more after each measurement, of the newest one too, up to `most` people a task; 0: no more. `expected`:
    what the actor saw. Raises InvalidBatch, ChangedMeanwhile.
    """
    if most:
        _require_limit(most)
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    before = current_rule(project)
    if expected is not None and expected != before:
        raise ChangedMeanwhile(
            gettext(
                "Somebody has changed this rule since you opened the page: it is %(or)s now. Look, "
                "and send yours again."
            )
            % {"or": before or "off"}
        )
    if before == most:
        return most
    if most:
        OneMoreRule.objects.update_or_create(
            project=project, defaults={"most": most, "author": actor, "applied_report": 0}
        )
    else:
        OneMoreRule.objects.filter(project=project).delete()
    record_audit(
        actor=actor,
        action="project.set_one_more_rule",
        project=project,
        target=project,
        before={"most": before},
        now={"most": most},
    )
    return most


def apply_one_more_rules() -> int:
    """Of each measurement that no rule has seen yet; how many tasks were asked for. The worker asks."""
    asked = 0
    for rule in OneMoreRule.objects.select_related("project", "author").order_by("pk"):
        report = newest_report(rule.project)
        if report is None or report.pk <= rule.applied_report:
            continue
        if (actor := _who_asks(rule)) is None:
            continue
        for criterion in rule.project.criteria.filter(pk__in=report.summaries):
            asked += ask_one_more(actor=actor, project=rule.project, criterion=criterion, most=rule.most)
        # Killed before this it asks again, which changes nothing.
        OneMoreRule.objects.filter(pk=rule.pk, most=rule.most).update(applied_report=report.pk)
    return asked


def _who_asks(rule: OneMoreRule) -> User | None:
    """Who made the rule, while they manage the project; else the manager of longest standing."""
    managers = Membership.objects.filter(
        project=rule.project,
        role__in=roles_with(Capability.MANAGE),
        user__is_active=True,
        user__kind=User.Kind.PERSON,
    ).select_related("user")
    found = managers.filter(user=rule.author).first() or managers.order_by("pk").first()
    return found.user if found else None
