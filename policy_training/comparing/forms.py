"""The forms by which managers compare policies, and checkpoints of a training."""

from typing import Any

from django import forms
from django.conf import settings
from django.db.models import Case, When
from django.utils.translation import gettext, gettext_lazy

from annotation.content.held_out import held_out_of
from annotation.models import PromptSet, Source
from learning.interface.unread_options import OF_TRAINING
from policy_training.comparing.actions import MAX_MODEL_NAME, MAX_OTHERS, comparison_config
from policy_training.comparing.kind import COMPARE, OUTSIDE, REFERENCE, learned_criteria
from policy_training.evaluation_choices import evaluation_choices
from policy_training.forms import MAX_PROMPTS
from policy_training.judging.actions import FIXED_SERVER_OPTIONS
from policy_training.model_servers import sent_prompts_notes
from policy_training.models import Policy
from policy_training.policy_fields import PolicyField, policies_of
from policy_training.training.evaluation.config import ComparePoliciesConfig
from rewardmodel.models import RewardModel
from runs.models import Run
from runs.option_forms.fields import sections_of
from runs.option_forms.forms import PresetForm
from workspace.models import MAX_OVERLAP, Criterion, Project


def known_servers() -> list[tuple[str, str]]:
    return [(name, name) for name in settings.MODEL_SERVERS]


class ReadingModelsField(forms.ModelMultipleChoiceField):
    def label_from_instance(self, obj: RewardModel) -> str:
        criteria = learned_criteria(obj)
        return f"{obj.name} ({criteria})" if criteria else obj.name


class MeasuredForm(PresetForm):
    """What both forms ask: by which reward models, judge and people, on which prompts."""

    presets = evaluation_choices(comparison_config)
    initial_preset = "plain"
    sections = sections_of(
        ComparePoliciesConfig,
        leave_out=(
            "policy",
            "policy_name",
            "judge.weight",
            "judge.criterion",  # the field `question`
            *(
                f"{section}.{name}"
                for section in ("judge.server", "outside")
                for name in FIXED_SERVER_OPTIONS
            ),
            *OF_TRAINING,
        ),
    )
    kinds = (COMPARE.name,)

    reward_model = forms.ModelChoiceField(
        RewardModel.objects.none(),
        empty_label=None,
        label=gettext_lazy("Scored by"),
        help_text=gettext_lazy("A reward model."),
    )
    further_reward_models = ReadingModelsField(
        RewardModel.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label=gettext_lazy("Scored by further reward models"),
        help_text=gettext_lazy(
            "For example one of each criterion. Each says who wins on the same answers, beside the first; scores are "
            "not added up."
        ),
    )
    prompt_set = forms.ModelChoiceField(
        PromptSet.objects.none(), empty_label=None, label=gettext_lazy("Prompt set")
    )
    prompts = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=MAX_PROMPTS,
        label=gettext_lazy("How many of its prompts"),
        help_text=gettext_lazy("Of those that no training has seen. Empty: all of these."),
    )
    server = forms.ChoiceField(
        required=False,
        label=gettext_lazy("Server of a judge"),
        help_text=gettext_lazy(
            "A language model there compares the answers as well, each pair in both orders."
        ),
    )
    model = forms.CharField(
        required=False,
        max_length=200,
        label=gettext_lazy("The judge's model"),
        help_text=gettext_lazy("As the server calls it."),
    )
    question = forms.CharField(
        required=False,
        max_length=300,
        label=gettext_lazy("What it is asked"),
        help_text=gettext_lazy("Empty: which answer is more helpful, correct and to the point."),
    )
    criteria = forms.ModelMultipleChoiceField(
        Criterion.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label=gettext_lazy("People compare them, too, on"),
        help_text=gettext_lazy("A batch of pairs for each criterion. None: people are not asked."),
    )
    overlap = forms.IntegerField(
        required=False, min_value=1, max_value=MAX_OVERLAP, label=gettext_lazy("People per pair"),
        help_text=gettext_lazy("Empty: 1."),
    )  # fmt: skip

    def __init__(self, data: Any = None, *, project: Project, **kwargs: Any) -> None:
        super().__init__(data, project=project, **kwargs)
        held_out = Case(When(purpose=PromptSet.Purpose.EVALUATION, then=0), default=1)
        self.choose_from(
            reward_model=project.reward_models.order_by("-pk"),
            further_reward_models=project.reward_models.prefetch_related("criteria").order_by("-pk"),
            prompt_set=project.prompt_sets.order_by(held_out, "-pk"),
            criteria=project.criteria.order_by("pk"),
        )
        server = self.fields["server"]
        assert isinstance(server, forms.ChoiceField)
        server.choices = [("", gettext("no judge")), *known_servers()]
        for name in ("further_reward_models", "criteria"):
            self.fields[name].widget.attrs["class"] = "form-check-input"
        del self.fields["processes"]  # one process compares (training/evaluation/compare.py says why)

    def choose_from(self, **rows: Any) -> None:
        for name, queryset in rows.items():
            field = self.fields[name]
            assert isinstance(field, forms.ModelChoiceField)
            field.queryset = queryset

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        if bool(values.get("server")) != bool(values.get("model")):
            self.add_error("model", gettext("A judge is a server and a model: give both, or neither."))
        return values

    def values_of(self, run: Run) -> dict[str, Any]:
        prompt_set = self.project.prompt_sets.filter(name=run.parameters["prompt_set"]).first()
        judge = run.config["judge"]
        return {
            "preset": self.initial_preset,
            "reward_model": run.parameters["reward_model"],
            "further_reward_models": run.parameters.get("further_reward_models", []),
            "prompt_set": prompt_set.pk if prompt_set else None,
            "server": judge["server"]["name"],
            "model": judge["server"]["model"],
            "question": judge["criterion"] if judge["server"]["name"] else "",
            "criteria": run.parameters["criteria"],
            "overlap": run.parameters["overlap"],
        }

    def asked(self) -> dict[str, Any]:
        """The arguments of both actions, without who asks. Raises ActionError."""
        values = self.cleaned_data
        return {
            "project": self.project,
            "reward_model": values["reward_model"],
            "further_reward_models": list(values["further_reward_models"].order_by("pk")),
            "prompt_set": values["prompt_set"],
            "prompts": values["prompts"],
            "criteria": list(values["criteria"].order_by("pk")),
            "overlap": values["overlap"] or 1,
            "config": comparison_config(
                preset=values["preset"],
                server=values["server"],
                model=values["model"].strip(),
                question=values["question"].strip(),
                outside_server=values.get("outside_server", ""),
                assignments=self.assignments(),
            ),
        }


class CompareForm(MeasuredForm):
    policy = PolicyField(Policy.objects.none(), empty_label=None, label=gettext_lazy("Policy"))
    others = forms.ModelMultipleChoiceField(
        Policy.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label=gettext_lazy("Compared with policies"),
        help_text=gettext_lazy("For example the one it started from, and earlier ones."),
    )
    sources = forms.ModelMultipleChoiceField(
        Source.objects.none(),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label=gettext_lazy("Compared with answers from files"),
        help_text=gettext_lazy("Of models outside, as imports have named them."),
    )
    outside_server = forms.ChoiceField(
        required=False,
        label=gettext_lazy("Server of outside models"),
        help_text=gettext_lazy("Models there, which are no policies here, answer the same prompts."),
    )
    outside_models = forms.CharField(
        required=False,
        max_length=(MAX_MODEL_NAME + 2) * MAX_OTHERS,
        label=gettext_lazy("Outside models"),
        help_text=gettext_lazy("As the server calls them, with commas between them."),
    )
    with_reference = forms.BooleanField(
        required=False,
        label=gettext_lazy("Compared with what people wrote"),
        help_text=gettext_lazy("The first demonstration of each prompt that has one."),
    )

    def __init__(self, data: Any = None, *, project: Project, **kwargs: Any) -> None:
        super().__init__(data, project=project, **kwargs)
        self.choose_from(
            policy=policies_of(project),
            others=policies_of(project),
            sources=project.sources.filter(kind=Source.Kind.IMPORT).order_by("name"),
        )
        for name in ("others", "sources"):
            self.fields[name].widget.attrs["class"] = "form-check-input"
        server = self.fields["outside_server"]
        assert isinstance(server, forms.ChoiceField)
        server.choices = [("", gettext("no outside models")), *known_servers()]

    def values_of(self, run: Run) -> dict[str, Any]:
        others = run.parameters["others"]
        return super().values_of(run) | {
            "policy": run.parameters["policy"],
            "others": [other["policy"] for other in others if other["kind"] == "policy"],
            "sources": [other["source"] for other in others if other["kind"] == "source"],
            "outside_server": run.config.get("outside", {}).get("name", ""),
            "outside_models": ", ".join(other["name"] for other in others if other["kind"] == OUTSIDE),
            "with_reference": any(other["kind"] == REFERENCE for other in others),
        }

    def asked(self) -> dict[str, Any]:
        values = self.cleaned_data
        return super().asked() | {
            "policy": values["policy"],
            "others": list(values["others"].order_by("pk")),
            "sources": list(values["sources"].order_by("pk")),
            "outside_models": [name.strip() for name in values["outside_models"].split(",") if name.strip()],
            "with_reference": values["with_reference"],
        }


class AlongRunForm(MeasuredForm):
    """Of a run that the address names; no critic leads its checkpoints, and no server has them."""

    sections = [
        section
        for section in MeasuredForm.sections
        if section.path not in ("guidance", "sampling.server", "outside")
    ]

    steps = forms.CharField(
        required=False,
        max_length=400,
        label=gettext_lazy("Checkpoints that people compare"),
        help_text=gettext_lazy("Their steps, with spaces between them. Empty: all that are evaluated."),
    )

    def clean_steps(self) -> list[int]:
        words = self.cleaned_data["steps"].replace(",", " ").split()
        if not all(word.isascii() and word.isdigit() and len(word) < 16 for word in words):
            raise forms.ValidationError(gettext("Write steps with spaces between them, for example 100 200"))
        return [int(word) for word in words]

    def values_of(self, run: Run) -> dict[str, Any]:
        steps = run.parameters.get("people_steps", [])
        return super().values_of(run) | {"steps": " ".join(map(str, steps))}

    def asked(self) -> dict[str, Any]:
        return super().asked() | {"steps": self.cleaned_data["steps"]}


def preview_comparison(form: MeasuredForm) -> dict[str, Any]:
    """{facts: [(label, number)], notes, missing}"""
    values = form.cleaned_data
    prompts = held_out_of(values["prompt_set"]).count()
    if not prompts:
        return {"missing": gettext("No prompt of this set is held out from training.")}
    notes = []
    if values["server"]:
        notes = [
            gettext("The texts of prompts and answers go to the server “%(name)s”.")
            % {"name": values["server"]}
        ]
    answering = {form.cleaned_data.get("sampling.server.name"), values.get("outside_server")}
    for name in sorted(name for name in answering if name):
        notes += sent_prompts_notes(name)
    prompts = min(prompts, values["prompts"] or prompts)
    facts = [(gettext("Prompts"), prompts)]
    if criteria := len(values["criteria"]):
        judgments = prompts * criteria * (values["overlap"] or 1)
        facts.append((gettext("Judgments of people against each, at most"), judgments))
    return {
        "facts": facts,
        "notes": notes,
        "missing": "",
    }
