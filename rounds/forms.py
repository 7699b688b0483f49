"""The form that starts a round: a preset, and the few values people change."""

from typing import Any

from django import forms

from annotation.models import PromptSet
from policy_training.models import Policy
from rounds.plans import PRESETS, RoundPlan, override_plan, preset_plan
from workspace.forms import StyledFormMixin
from workspace.models import MAX_OVERLAP, Criterion, Project


class StartRoundForm(StyledFormMixin, forms.Form):
    preset = forms.ChoiceField(choices=[(name, name) for name in sorted(PRESETS)], initial="tiny")
    criterion = forms.ModelChoiceField(Criterion.objects.none())
    start_policy = forms.ModelChoiceField(Policy.objects.none())
    prompt_set = forms.ModelChoiceField(PromptSet.objects.none())
    prompts = forms.IntegerField(
        min_value=1, required=False, help_text="How many to sample; empty: the preset's."
    )
    responses_per_task = forms.IntegerField(
        min_value=2, max_value=9, required=False, help_text="2: pairs, 3 to 9: rankings; empty: the preset's."
    )
    temperatures = forms.CharField(required=False, help_text="For example 0.7, 1.0; empty: the preset's.")
    overlap = forms.IntegerField(min_value=1, max_value=MAX_OVERLAP, required=False, label="People per task")
    quota = forms.IntegerField(
        min_value=1,
        required=False,
        help_text="This many judgments end the annotation; empty: every task, fully.",
    )
    max_hours = forms.FloatField(
        label="Hours",
        min_value=0.01,
        required=False,
        help_text="The annotation ends this long after it began; empty: never by time.",
    )

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = {
            "criterion": project.criteria.all(),
            "start_policy": Policy.objects.filter(project=project).order_by("-pk"),
            "prompt_set": PromptSet.objects.filter(project=project, purpose=PromptSet.Purpose.POLICY),
        }
        for name, queryset in choices.items():
            field = self.fields[name]
            assert isinstance(field, forms.ModelChoiceField)
            field.queryset = queryset
            field.initial = queryset.first()
            field.empty_label = None
        self.add_bootstrap_classes()

    def clean_temperatures(self) -> tuple[float, ...] | None:
        text = self.cleaned_data["temperatures"].strip()
        if not text:
            return None
        try:
            return tuple(float(part) for part in text.replace(",", " ").split())
        except ValueError as error:
            raise forms.ValidationError(
                "Write numbers with commas between them, for example 0.7, 1.0"
            ) from error

    def plan(self) -> RoundPlan:
        """Raises UserError when a value does not fit."""
        values = self.cleaned_data
        sampling = {name: values[name] for name in ("prompts", "responses_per_task")}
        annotation = {name: values[name] for name in ("overlap", "quota", "max_hours")}
        return override_plan(
            preset_plan(values["preset"]),
            sampling={name: value for name, value in sampling.items() if value is not None},
            temperatures=values["temperatures"],
            annotation={name: value for name, value in annotation.items() if value is not None},
        )


class ReopenForm(forms.Form):
    quota = forms.IntegerField(min_value=1, required=False)
