"""Policies as rows of the database, each with its source and its parent."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils.translation import gettext

from annotation.content.actions import get_or_create_source
from annotation.datasets.descriptions import clean_card
from annotation.models import Source
from policy_training.models import Policy
from runs.models import Artifact, Run
from workspace.actions import record_audit
from workspace.errors import ActionError
from workspace.models import Project, User
from workspace.naming import unique_name
from workspace.shown_values import Shown, change_values


class PolicyNameTaken(ActionError):
    code = "name_taken"


@transaction.atomic
def add_policy(
    *,
    actor: User,
    project: Project,
    name: str,
    artifact: Artifact,
    parent_id: int | None = None,
    reward_model_id: int | None = None,
    dataset_id: int | None = None,
    produced_by: Run | None = None,
    report: Mapping[str, Any] | None = None,
    notes: str = "",
) -> Policy:
    """Record a policy. A taken name gets a number: what took hours to train is not lost because of a name."""
    name = unique_name(Policy.objects.filter(project=project), name)
    source = get_or_create_source(actor=actor, project=project, kind=Source.Kind.POLICY, name=name)
    policy = Policy.objects.create(
        project=project,
        name=name,
        artifact=artifact,
        parent_id=parent_id,
        reward_model_id=reward_model_id,
        dataset_id=dataset_id,
        produced_by=produced_by,
        source=source,
        report=dict(report or {}),
        notes=notes,
    )
    record_audit(actor=actor, action="policy.add", project=project, target=policy, name=name)
    return policy


def describe_policy(
    *,
    actor: User,
    policy: Policy,
    licence: str | None = None,
    notes: str | None = None,
    shown: Shown = None,
) -> Policy:
    """Change what others are told of it on its card. The model stays. Raises ChangedMeanwhile."""
    given = clean_card(licence, notes)
    return change_values(actor=actor, row=policy, action="policy.describe", given=given, shown=shown)


def require_unused_name(project: Project, name: str) -> None:
    if Policy.objects.filter(project=project, name=name).exists():
        raise PolicyNameTaken(
            gettext("There is a policy named “%(name)s” already: choose another name.") % {"name": name}
        )
