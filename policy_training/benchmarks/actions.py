"""Measuring policies on tasks: the files, the runs, and what their figures say."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.db import IntegrityError, transaction
from django.utils.translation import gettext, gettext_lazy, gettext_noop

from learning.interface.options import options_to_dict
from learning.interface.training_options import ModelSource
from learning.interface.unread_options import OF_TRAINING
from policy_training.benchmark_files import parse_tasks, summarize
from policy_training.models import BenchmarkFile, Policy, PolicyBenchmark
from policy_training.policy_fields import PoliciesField, policies_of
from policy_training.run_kinds import BENCHMARK
from policy_training.training.evaluation.config import BenchmarkConfig
from policy_training.training.unread_options import BENCHMARK_RULES
from runs.actions import queue_run
from runs.models import Run
from runs.option_forms.fields import sections_of
from runs.option_forms.forms import PresetChoice, PresetForm
from workspace.access import require_of_project
from workspace.actions import record_audit
from workspace.config_overrides import apply_overrides
from workspace.errors import ActionError
from workspace.forms import offer_rows
from workspace.models import Project, User

MAX_POLICIES = 16
# (figure, its name, whether higher is better, whether it is a share)
FIGURES: Mapping[str, tuple[str, bool, bool]] = {
    "perplexity": (gettext_noop("Perplexity of a token"), False, False),
    "bits_per_byte": (gettext_noop("Bits a byte"), False, False),
    "accuracy": (gettext_noop("Right choices"), True, True),
    "accuracy_normalized": (gettext_noop("Right choices, by length"), True, True),
    "exact_match": (gettext_noop("Exactly right"), True, True),
    "answer_found": (gettext_noop("With an answer"), True, True),
    "rouge1": ("ROUGE-1", True, True),
    "rouge2": ("ROUGE-2", True, True),
    "rougeL": ("ROUGE-L", True, True),
}


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


class BenchmarkForm(PresetForm):
    presets = {
        "plain": PresetChoice(
            name="plain",
            source=gettext_noop("the likeliest choice, and the likeliest token of a generated answer"),
            config=benchmark_config,
            comments={},
        )
    }
    initial_preset = "plain"
    sections = sections_of(BenchmarkConfig, leave_out=("policy", *OF_TRAINING))
    kinds = (BENCHMARK.name,)

    policies = PoliciesField(
        Policy.objects.none(),
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("Each becomes a run of its own."),
        label=gettext_lazy("Policies"),
    )
    file = forms.ModelChoiceField(BenchmarkFile.objects.none(), empty_label=None, label=gettext_lazy("Tasks"))

    def __init__(self, data: Any = None, *, project: Project, **kwargs: Any) -> None:
        super().__init__(data, project=project, **kwargs)
        offer_rows(
            self,
            policies=policies_of(project),
            file=project.benchmark_files.defer("content").order_by("-pk"),
        )
        self.fields["policies"].widget.attrs["class"] = "form-check-input"
        del self.fields["processes"]  # one process measures

    def values_of(self, run: Run) -> dict[str, Any]:
        return {
            "preset": self.initial_preset,
            "policies": [run.parameters["policy"]],
            "file": run.parameters["file"],
        }

    def asked(self) -> dict[str, Any]:
        """The arguments of benchmark_policies, without who asks. Raises ActionError."""
        values = self.cleaned_data
        return {
            "project": self.project,
            "policies": list(values["policies"].order_by("pk")),
            "file": values["file"],
            "config": benchmark_config(self.assignments()),
        }


def preview_benchmark(form: BenchmarkForm) -> dict[str, Any]:
    """{facts: [(label, text)], missing}"""
    try:
        asked = form.asked()
    except ActionError as error:
        return {"missing": str(error)}
    facts = [
        (task, f"{own['items']} + {own['examples']}") for task, own in sorted(asked["file"].summary.items())
    ]
    return {
        "facts": facts,
        "notes": [gettext("Of each task: what is asked, and examples that are solved before it.")],
        "missing": "",
    }


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One figure of one policy; places are of a picture 100 wide."""

    value: str
    between: str
    low_x: str
    high_x: str
    x: str
    width: str


@dataclass(frozen=True, kw_only=True)
class MeasuredFigure:
    task: str
    items: int
    label: str
    better: str
    one: Measured
    other: Measured | None
    verdict: str  # of two: which is better, or that it cannot be told


def compare(one: PolicyBenchmark, other: PolicyBenchmark | None) -> list[MeasuredFigure]:
    """The figures of a measurement, beside those of another policy on the same file, by the tasks' names: PostgreSQL
    keeps no order of a JSON object's keys.
    """
    rows = []
    beside = other.report.get("tasks", {}) if other else {}
    for task, own in sorted(one.report.get("tasks", {}).items()):
        for name, (label, higher_is_better, is_share) in FIGURES.items():
            figure = own["figures"].get(name)
            if figure is None:
                continue
            second = beside.get(task, {}).get("figures", {}).get(name)
            end = 1.0 if is_share else max(f["high"] for f in (figure, second) if f) * 1.05 or 1.0
            rows.append(
                MeasuredFigure(
                    task=task,
                    items=own["items"],
                    label=gettext(label),
                    better=gettext("higher is better") if higher_is_better else gettext("lower is better"),
                    one=_measured(figure, end, is_share),
                    other=_measured(second, end, is_share) if second else None,
                    verdict=_verdict(figure, second, higher_is_better) if second else "",
                )
            )
    return rows


def _measured(figure: Mapping[str, float], end: float, is_share: bool) -> Measured:
    def said(value: float) -> str:
        return f"{100 * value:.1f} %" if is_share else f"{value:.3g}"

    def place(value: float) -> float:
        return 2 + 96 * min(1.0, max(0.0, value / end))

    low, high = place(figure["low"]), place(figure["high"])
    return Measured(
        value=said(figure["value"]),
        between=gettext("%(low)s to %(high)s") % {"low": said(figure["low"]), "high": said(figure["high"])},
        low_x=f"{low:.1f}",
        high_x=f"{high:.1f}",
        x=f"{place(figure['value']):.1f}",
        width=f"{high - low:.1f}",
    )


def _verdict(one: Mapping[str, float], other: Mapping[str, float], higher_is_better: bool) -> str:
    """By the two intervals, which overlap more often than the difference's own would hold 0: careful, not sharp."""
    if one["low"] > other["high"] or one["high"] < other["low"]:
        is_better = (one["value"] > other["value"]) == higher_is_better
        return gettext("better") if is_better else gettext("worse")
    return gettext("cannot be told apart")


def latest_of(policy: Policy) -> list[PolicyBenchmark]:
    """The newest measurement on each file, newest first."""
    found: dict[int, PolicyBenchmark] = {}
    rows = policy.benchmarks.select_related("file", "produced_by").defer("file__content").order_by("-pk")
    for row in rows[:200]:
        found.setdefault(row.file_id, row)
    return list(found.values())
