"""Measuring policies on tasks: the files, and the runs."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext

from learning.interface.options import options_to_dict
from learning.interface.training_options import ModelSource
from policy_training.benchmark_files import parse_tasks, summarize
from policy_training.models import BenchmarkFile, Policy
from policy_training.run_kinds import BENCHMARK
from policy_training.training.evaluation.config import BenchmarkConfig
from policy_training.training.unread_options import BENCHMARK_RULES
from runs.actions import queue_run
from runs.models import Run
from workspace.access import require_of_project
from workspace.actions import record_audit
from workspace.config_overrides import apply_overrides
from workspace.errors import ActionError
from workspace.models import Project, User

MAX_POLICIES = 16


def add_benchmark_file(*, actor: User, project: Project, name: str, content: str) -> BenchmarkFile:
    """Store a file of tasks. The same content under its name again is the file that is there. Raises ActionError."""
    name = name.strip()
    if not name or len(name) > 120:
        raise ActionError(gettext("A file of tasks needs a name of at most 120 characters."), code="bad_name")
    rows = parse_tasks(content)
    sha256 = hashlib.sha256(content.encode()).hexdigest()
    with transaction.atomic():
        try:
            with transaction.atomic():
                file = BenchmarkFile.objects.create(
                    project=project,
                    name=name,
                    content=content,
                    sha256=sha256,
                    summary=summarize(rows),
                    added_by=actor,
                )
        except IntegrityError:
            known = BenchmarkFile.objects.filter(project=project, name=name).first()
            if known is None or known.sha256 != sha256:
                raise ActionError(
                    gettext("There are other tasks named “%(name)s” already: choose another name.")
                    % {"name": name},
                    code="name_taken",
                ) from None
            return known
        record_audit(
            actor=actor, action="benchmark_file.add", project=project, target=file, name=name, sha256=sha256
        )
    return file


def benchmark_policies(
    *,
    actor: User,
    project: Project,
    policies: Sequence[Policy],
    file: BenchmarkFile,
    config: Mapping[str, Any],
) -> list[Run]:
    """Queue the measurement of each policy. `config` is BenchmarkConfig as a mapping without it. Raises ActionError."""
    if not 1 <= len(policies) <= MAX_POLICIES or len(set(policies)) != len(policies):
        raise ActionError(
            gettext("Name one to %(most)s policies, and each once.") % {"most": MAX_POLICIES},
            code="no_policy",
        )
    require_of_project(project, *policies, file)
    with transaction.atomic():
        return [
            queue_run(
                actor=actor,
                project=project,
                kind=BENCHMARK,
                title=f"Measure {policy.name} on {file.name}"[:200],
                config={**config, "policy": {"path": str(policy.artifact.absolute_path)}},
                parameters={"policy": policy.pk, "file": file.pk},
            )
            for policy in policies
        ]


def benchmark_config(assignments: Sequence[str] = ()) -> dict[str, Any]:
    """BenchmarkConfig as a mapping, with assignments as `--set` has them. Raises ActionError."""
    plain = options_to_dict(BenchmarkConfig(policy=ModelSource(path="(filled in)")))
    return apply_overrides(plain, assignments, BENCHMARK_RULES)
