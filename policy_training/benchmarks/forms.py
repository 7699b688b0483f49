"""The forms that add a file of tasks and measure policies on one."""

from typing import Any

from django import forms
from django.utils.translation import gettext, gettext_lazy, gettext_noop

from learning.interface.unread_options import OF_TRAINING
from policy_training.benchmarks.actions import benchmark_config
from policy_training.models import BenchmarkFile, Policy
from policy_training.policy_fields import PoliciesField, policies_of
from policy_training.run_kinds import BENCHMARK
from policy_training.training.evaluation.config import BenchmarkConfig
from runs.models import Run
from runs.option_forms.fields import sections_of
from runs.option_forms.forms import PresetChoice, PresetForm
from workspace.errors import ActionError
from workspace.forms import StyledFormMixin, offer_rows
from workspace.models import Project

MAX_SENT_CHARACTERS = 1_500_000  # a page's answer has 2 MB at most; larger files come by the command


class TasksFileForm(StyledFormMixin, forms.Form):
    name = forms.CharField(
        max_length=120, label=gettext_lazy("Name"), help_text=gettext_lazy("For example: arithmetic, 2026.")
    )
    content = forms.CharField(
        max_length=MAX_SENT_CHARACTERS,
        strip=False,
        label=gettext_lazy("Lines"),
        help_text=gettext_lazy("JSON Lines, up to 1.5 MB; larger files by manage.py benchmark_policy."),
        widget=forms.Textarea({"rows": 8, "spellcheck": "false", "class": "font-monospace"}),
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.add_bootstrap_classes()


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
