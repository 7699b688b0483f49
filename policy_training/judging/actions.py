"""A language model judges the tasks of a batch, asked for by managers."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from django.utils.translation import gettext

from annotation.judging.ai import judge_name, require_judgeable, require_same_standing, tasks_to_judge
from annotation.models import Batch
from learning.interface.options import options_to_dict
from policy_training.judging.kind import JUDGE
from policy_training.model_servers import require_known_server
from policy_training.training.evaluation.config import JudgeTasksConfig
from policy_training.training.judge_config import CHAT, TEMPLATE_VERSION, JudgeOptions
from policy_training.training.server_config import ServerOptions
from policy_training.training.unread_options import JUDGE_RULES
from runs.actions import load_run_options, queue_run
from runs.models import Run
from workspace.config_overrides import apply_overrides
from workspace.errors import ActionError
from workspace.models import Project, User

MAX_TASKS = 10_000  # of one run: its judgments are stored in one transaction
# What a judge's server is always asked as; the rest of its options may be chosen.
FIXED_SERVER_OPTIONS = tuple(
    field.name
    for field in fields(ServerOptions)
    if field.name not in ("concurrent_requests", "attempts", "timeout_seconds")
)


def judge_config(
    *, server: str, model: str, question: str, assignments: Sequence[str] = ()
) -> dict[str, Any]:
    """JudgeTasksConfig as a mapping, with assignments as `--set` has them. Raises ActionError."""
    plain = JudgeTasksConfig(
        judge=JudgeOptions(
            server=ServerOptions(name="(filled in)", model="(filled in)", protocol=CHAT.protocol)
        )
    )
    config = options_to_dict(plain)
    config["judge"]["server"] |= {"name": server, "model": model}
    config["judge"]["criterion"] = question
    return apply_overrides(config, assignments, JUDGE_RULES)


def judge_batch(
    *,
    actor: User,
    project: Project,
    batch: Batch,
    config: Mapping[str, Any],
    takes_slots: bool = False,
    tasks: int | None = None,
) -> Run:
    """Queue the judging of those tasks of the batch, `tasks` of them at most, that this judge has not judged.

    `config` is JudgeTasksConfig as a mapping. With `takes_slots` its judgments are some of those the tasks ask for;
    else as many people are asked as without it. Raises ActionError.
    """
    if batch.project_id != project.pk:
        raise ActionError(
            gettext("“%(instance)s” belongs to another project.") % {"instance": batch}, code="wrong_project"
        )
    require_judgeable(batch, takes_slots=takes_slots)
    judge = load_run_options(JudgeTasksConfig, config).judge
    require_known_server({"name": judge.server.name})
    if tasks is not None and not 1 <= tasks <= MAX_TASKS:
        raise ActionError(gettext("A run judges 1 to %(most)s tasks.") % {"most": MAX_TASKS}, code="no_tasks")
    annotator = judge_name(
        server=judge.server.name,
        model=judge.server.model,
        question=judge.criterion,
        template_version=TEMPLATE_VERSION,
    )
    require_same_standing(batch, annotator, takes_slots=takes_slots)
    left = tasks_to_judge(batch, annotator).count()
    if not left:
        raise ActionError(
            gettext("The judge has judged every task of “%(name)s” already.") % {"name": batch.name},
            code="no_tasks",
        )
    number = min(left, tasks or MAX_TASKS)
    return queue_run(
        actor=actor,
        project=project,
        kind=JUDGE,
        title=f"{judge.server.model} judges {number} tasks of {batch.name}"[:200],
        config=dict(config),
        parameters={
            "batch": batch.pk,
            "annotator": annotator,
            "takes_slots": takes_slots,
            "tasks": number,
        },
    )
