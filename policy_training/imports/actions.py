"""Models that come from elsewhere: imported at once by the command, queued by pages and programs."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext

from policy_training.imports.allowed_models import require_allowed
from policy_training.imports.hub_models import HUB
from policy_training.imports.preparation import NotAPolicy, copy_into_data_dir, prepare_policy
from policy_training.models import Policy
from policy_training.registry import add_policy, require_unused_name
from policy_training.run_kinds import IMPORT
from runs.actions import queue_run, register_artifact
from runs.artifacts import hash_path
from runs.models import Artifact, Run
from workspace.models import Project, User


def queue_import(
    *,
    actor: User,
    project: Project,
    name: str,
    source: str,
    revision: str = "",
    base: str = "",
    chat_template_kwargs: Mapping[str, Any] | None = None,
    own_tokenizer: bool = False,
    notes: str = "",
) -> Run:
    """Queue import_policy of a model that the settings let managers import: a folder beneath MODEL_FOLDERS, or
    `hub:owner/model` of HUB_MODELS; so is its `base`. Raises NotAPolicy for any other, now and when it is executed.
    """
    require_unused_name(project, name)
    for one in filter(None, (source, base)):
        require_allowed(one)
    if revision and not source.startswith(HUB):
        raise NotAPolicy(gettext("A revision is of a model of the hub: leave it out."))
    return queue_run(
        actor=actor,
        project=project,
        kind=IMPORT,
        title=f"Import {name}",
        config={},
        parameters={
            "name": name,
            "source": source,
            "revision": revision,
            "base": base,
            "chat_template_kwargs": dict(chat_template_kwargs or {}),
            "own_tokenizer": own_tokenizer,
            "notes": notes,
        },
    )


def import_policy(
    *,
    actor: User,
    project: Project,
    name: str,
    path: Path,
    base: Path | None = None,
    chat_template_kwargs: Mapping[str, Any] | None = None,
    own_tokenizer: bool = False,
    in_place: bool = False,
    notes: str = "",
    hub: Mapping[str, Mapping[str, Any]] | None = None,
    run: Run | None = None,
) -> Policy:
    """Take a policy's folder (Hugging Face format), or a LoRA adapter's with its `base`, into the project.

    The project gets a copy below DATA_DIR, unless the folder lies there or `in_place` is asked for: what happens to the
    original later is nothing to it, and it is in backups. Where something has to change, the copy has it: an adapter is
    merged, and a chat template that asks for the date, or is given `chat_template_kwargs`, writes the same from then
    on. `own_tokenizer` takes a tokenizer that AutoTokenizer reads otherwise than its file says.
    `hub` (the hub's models and commits that the folders were fetched from) and `run` are recorded. Raises NotAPolicy
    for whatever would fail later in a run, PolicyNameTaken, BadArtifact.
    """
    require_unused_name(project, name)
    prepared = prepare_policy(
        path=path,
        name=name,
        base=base,
        chat_template_kwargs=chat_template_kwargs or {},
        own_tokenizer=own_tokenizer,
    )
    inside = prepared.folder.resolve().is_relative_to(Path(settings.DATA_DIR).resolve())
    if not (prepared.is_copy or in_place or inside):
        prepared = replace(prepared, folder=copy_into_data_dir(prepared.folder, name), is_copy=True)
    try:
        digest = hash_path(prepared.folder)
        with transaction.atomic():
            if prepared.is_copy:
                same = Policy.objects.filter(project=project, artifact__sha256=digest.sha256).first()
                if same is not None:
                    raise NotAPolicy(
                        gettext("%(path)s is the policy “%(name)s” already.")
                        % {"path": path, "name": same.name},
                        code="policy_known",
                    )
            artifact = register_artifact(
                actor=actor, project=project, kind=Artifact.Kind.POLICY, path=prepared.folder, digest=digest
            )
            known = Policy.objects.filter(artifact=artifact).first()
            if known is not None:
                raise NotAPolicy(
                    gettext("%(path)s is the policy “%(name)s” already.")
                    % {"path": path, "name": known.name},
                    code="policy_known",
                )
            return add_policy(
                actor=actor,
                project=project,
                name=name,
                artifact=artifact,
                report={
                    "imported": prepared.facts
                    | {"path": str(path)}
                    | ({"hub": dict(hub)} if hub else {})
                    | ({"run": run.pk} if run else {})
                },
                notes=notes,
            )
    except BaseException:
        if prepared.is_copy:
            shutil.rmtree(prepared.folder, ignore_errors=True)
        raise
