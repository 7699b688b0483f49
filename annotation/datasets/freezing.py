"""Freezing by the worker, where a request would wait too long: a run that is watched and cancelled as an import is."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext, gettext_noop

from annotation.datasets.actions import freeze_dataset
from annotation.datasets.conditions import Conditions
from annotation.datasets.descriptions import clean_description, clean_licence, clean_name
from annotation.datasets.quality_labels import report_for
from annotation.datasets.selection import Selection
from annotation.errors import InvalidBatch
from annotation.models import Batch, PreferenceDataset
from learning.interface.record_rows import iso_utc
from learning.interface.run_directory import RunDirectory
from runs.actions import queue_run
from runs.models import Run
from runs.run_kinds import Resources, RunKind
from runs.site_environment import SITE_ENVIRONMENT
from workspace.errors import ActionError
from workspace.models import Criterion, Project, User

# Frozen within the request: a few seconds. Of more judgments the worker does it.
FROZEN_AT_ONCE = 50_000

FREEZE = RunKind(
    name="freeze_dataset",
    label=gettext_noop("Freezing of a dataset"),
    command="annotation.datasets.freeze",
    build_inputs=lambda run: {},
    # The row is there already, in a transaction of its own, when the files are complete.
    save_result=lambda run, result: None,
    resources=Resources(threads=1),
    environment=SITE_ENVIRONMENT,
)


def freeze_or_queue(
    *,
    actor: User,
    project: Project,
    name: str | None = None,
    new_version: bool,
    licence: str,
    description: str,
    reuse: bool = False,
    consensus: bool = False,
    annotator_weights: int | None = None,
    **selection: Any,
) -> PreferenceDataset | Run:
    """The dataset, or the run that makes it where there are more than FROZEN_AT_ONCE judgments to read.

    As freeze_dataset; `selection`: the arguments of Selection. Raises ActionError.
    """
    said: dict[str, Any] = {
        "name": name,
        "new_version": new_version,
        "licence": licence,
        "description": description,
        "reuse": reuse,
        "consensus": consensus,
        "annotator_weights": annotator_weights,
    }
    selected = Selection(project=project, **selection)
    judgments = selected.judgments().count()
    if judgments <= FROZEN_AT_ONCE:
        return freeze_dataset(actor=actor, project=project, **said, **selection)
    # What freezing would refuse is refused now, and not by a run that waits.
    if consensus or annotator_weights is not None:
        report_for(selected, number=annotator_weights)
    clean_licence(licence)
    clean_description(description)
    name = said["name"] = name if name is None else clean_name(name)
    if name is not None and not new_version and project.preference_datasets.filter(name=name).exists():
        raise ActionError(
            gettext(
                "There is a dataset named “%(name)s” already: take another name, or make it a new "
                "version of that one."
            )
            % {"name": name},
            code="dataset_name_taken",
        )
    batches = selection["batches"]
    conditions = {
        key: iso_utc(value) if isinstance(value, datetime) else value
        for key, value in asdict(selection["conditions"]).items()
    }
    return queue_run(
        actor=actor,
        project=project,
        kind=FREEZE,
        title=f"Freeze {name or 'a dataset'}",
        config={},
        parameters={
            **said,
            "folder": uuid.uuid4().hex,
            "judgments": judgments,
            "criteria": [criterion.pk for criterion in selection["criteria"]],
            "batches": None if batches is None else {str(batch.pk): batch.name for batch in batches},
            "conditions": conditions,
            "decisions": selection.get("decisions", False),
            **{key: list(selection[key]) for key in ("rounds", "purposes", "annotator_kinds", "splits")},
        },
    )


def freeze_of_run(run: Run, watch: Callable[[int], None]) -> PreferenceDataset:
    """Done again after a kill it goes on from what is recorded, or begins anew. Raises ActionError, also where what was
    chosen is not there any more: what is left of it is another dataset than the one that was asked for.
    """
    if (made := dataset_of_run(run)) is not None:
        return made
    asked: Mapping[str, Any] = run.parameters
    conditions = dict(asked["conditions"])
    for key in ("since", "until"):
        if conditions[key] is not None:
            conditions[key] = datetime.fromisoformat(conditions[key])
    return freeze_dataset(
        actor=run.requested_by,
        project=run.project,
        folder_name=asked["folder"],
        watch=watch,
        criteria=_criteria(run),
        batches=_batches(run),
        conditions=Conditions(**conditions),
        decisions=asked.get("decisions", False),
        consensus=asked.get("consensus", False),
        annotator_weights=asked.get("annotator_weights"),
        **{key: asked[key] for key in ("rounds", "purposes", "annotator_kinds", "splits")},
        **{key: asked[key] for key in ("name", "new_version", "licence", "description")},
        reuse=asked.get("reuse", False),
    )


def _batches(run: Run) -> list[Batch] | None:
    """Those that were named, all of them. Raises InvalidBatch."""
    asked = run.parameters["batches"]
    if asked is None:
        return None
    # A run that an earlier version queued has the numbers alone.
    names = asked if isinstance(asked, dict) else {str(pk): f"number {pk}" for pk in asked}
    found = {str(batch.pk): batch for batch in Batch.objects.for_datasets(run.project).filter(pk__in=names)}
    for pk, name in names.items():
        if pk not in found:
            raise InvalidBatch(
                gettext(
                    "The batch “%(name)s” was taken back or excluded while the dataset waited to be "
                    "frozen: choose again."
                )
                % {"name": name},
                code="no_batch",
            )
    return list(found.values())


def _criteria(run: Run) -> list[Criterion]:
    asked = run.parameters["criteria"]
    found = list(run.project.criteria.filter(pk__in=asked))
    if len(found) < len(asked):
        raise ActionError(
            gettext("A criterion was removed while the dataset waited to be frozen: choose again."),
            code="no_criterion",
        )
    return found


def dataset_of_run(run: Run) -> PreferenceDataset | None:
    """What it made, or the earlier one of the same content where that would do."""
    directory = f"datasets/{run.parameters['folder']}"
    if made := run.project.preference_datasets.filter(directory=directory).first():
        return made
    result = RunDirectory(run.path).result() if run.parameters.get("reuse") else None
    return run.project.preference_datasets.filter(pk=result["dataset"]).first() if result else None


def being_frozen(project: Project) -> QuerySet[Run]:
    found: QuerySet[Run] = project.runs.active().filter(kind=FREEZE.name).order_by("-pk")
    return found
