"""Choosing one of several policies by a rule, and pinning the one that a project goes on with."""

import math
from collections.abc import Sequence

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext

from policy_training.models import Policy, PolicyComparison, PolicyEvaluation, PolicySelection, SelectedPolicy
from policy_training.selecting.choosing import choose, measured_candidates, report_of
from policy_training.selection_rules import BEST_WIN_RATE, REWARD_WITHIN_KL
from workspace.access import require_of_project
from workspace.actions import record_audit
from workspace.errors import ActionError
from workspace.models import Project, User


def select_policy(
    *,
    actor: User,
    project: Project,
    rule: str,
    policies: Sequence[Policy] = (),
    evaluations: Sequence[PolicyEvaluation] = (),
    comparisons: Sequence[PolicyComparison] = (),
    max_kl: float | None = None,
    judged_by: str = "",
    pin: bool = False,
) -> PolicySelection:
    """Choose between the policies of these evaluations and comparisons (`policies`: between those only) and record
    what was chosen and why; `pin`: the project goes on with it.

    The newest may be chosen without any measurement. `max_kl` in nats belongs to reward_within_kl, `judged_by`
    (default: the reward model) to best_win_rate. Raises ActionError: for policies that were not measured alike, naming
    what differs.
    """
    if rule not in PolicySelection.Rule.values:
        raise ActionError(
            gettext("There is no rule “%(rule)s”: use one of %(known)s.")
            % {"rule": rule, "known": ", ".join(PolicySelection.Rule.values)},
            code="bad_rule",
        )
    _require_options(rule, max_kl, judged_by)
    if rule == BEST_WIN_RATE:
        judged_by = judged_by or PolicySelection.JudgedBy.REWARD_MODEL
    require_of_project(project, *policies, *comparisons, *(evaluation.policy for evaluation in evaluations))
    found = measured_candidates(rule, policies, evaluations, comparisons, judged_by)
    choice, figures = choose(rule, found, max_kl)
    with transaction.atomic():
        selection = PolicySelection.objects.create(
            project=project,
            policy=found[choice.chosen].policy,
            rule=rule,
            max_kl=max_kl,
            judged_by=judged_by,
            report=report_of(found, choice, figures, rule),
            chosen_by=actor,
        )
        if pin:
            _pin(actor, project, selection.policy, selection)
        record_audit(
            actor=actor,
            action="policy.select",
            project=project,
            target=selection,
            policy=selection.policy.name,
            rule=rule,
            pinned=pin,
        )
    return selection


@transaction.atomic
def pin_policy(
    *, actor: User, project: Project, policy: Policy, selection: PolicySelection | None = None
) -> SelectedPolicy:
    """Make it the policy that the project goes on with, whatever was before. Raises ActionError."""
    require_of_project(project, policy, selection)
    if selection is not None and selection.policy_id != policy.pk:
        raise ActionError(
            gettext("This selection chose “%(chosen)s”, not “%(name)s”.")
            % {"chosen": selection.policy.name, "name": policy.name},
            code="other_policy",
        )
    pinned = _pin(actor, project, policy, selection)
    record_audit(
        actor=actor,
        action="policy.pin",
        project=project,
        target=policy,
        selection=selection.pk if selection else None,
    )
    return pinned


@transaction.atomic
def unpin_policy(*, actor: User, project: Project) -> None:
    """Take the pin away. Raises ActionError where there is none."""
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    pinned = SelectedPolicy.objects.filter(project=project).select_related("policy").first()
    if pinned is None:
        raise ActionError(gettext("The project has no selected policy."), code="no_selected_policy")
    pinned.delete()
    record_audit(actor=actor, action="policy.unpin", project=project, target=pinned.policy)


def _pin(actor: User, project: Project, policy: Policy, selection: PolicySelection | None) -> SelectedPolicy:
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    pinned = SelectedPolicy.objects.filter(project=project).first()
    values = {"policy": policy, "selection": selection, "pinned_by": actor, "pinned_at": timezone.now()}
    if pinned is None:
        return SelectedPolicy.objects.create(project=project, **values)
    for name, value in values.items():
        setattr(pinned, name, value)
    pinned.save(update_fields=list(values))
    return pinned


def _require_options(rule: str, max_kl: float | None, judged_by: str) -> None:
    if (rule == REWARD_WITHIN_KL) != (max_kl is not None):
        raise ActionError(
            gettext("A highest KL belongs to the rule “%(rule)s”, and that rule needs one.")
            % {"rule": REWARD_WITHIN_KL},
            code="bad_max_kl",
        )
    if max_kl is not None and not 0 <= max_kl < math.inf:
        raise ActionError(
            gettext("The highest KL is a number of nats, at least 0; found %(found)s.") % {"found": max_kl},
            code="bad_max_kl",
        )
    if judged_by and rule != BEST_WIN_RATE:
        raise ActionError(
            gettext("Who judges belongs to the rule “%(rule)s”.") % {"rule": BEST_WIN_RATE},
            code="bad_judged_by",
        )
    if judged_by and judged_by not in PolicySelection.JudgedBy.values:
        raise ActionError(
            gettext("Who wins is said by %(known)s; found “%(found)s”.")
            % {"known": ", ".join(PolicySelection.JudgedBy.values), "found": judged_by},
            code="bad_judged_by",
        )
