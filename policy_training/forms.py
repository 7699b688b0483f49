"""The forms that fine-tune and pretrain policies, sample from them and evaluate them."""

from typing import Any

from django import forms
from django.db.models import Case, When
from django.utils.translation import gettext, gettext_lazy

from annotation.datasets.forms import BatchesField
from annotation.models import Batch, PromptSet
from learning.interface.unread_options import OF_TRAINING
from learning.interface.vocabulary import PERSON
from policy_training.evaluation_choices import evaluation_choices
from policy_training.evaluation_presets import evaluation_config
from policy_training.models import Policy
from policy_training.policy_fields import (
    PoliciesField,
    PolicyField,
    StartField,
    offer_starts,
    policies_of,
    unused_name_like,
)
from policy_training.reward_fields import RewardPartsFields, parts_of_run
from policy_training.run_kinds import EVALUATE, PRETRAIN, SAMPLE, SFT
from policy_training.supervised.options import language_model_config, sample_config, whole_sample_config
from policy_training.supervised.preferred_answers import PreferredAnswers
from policy_training.supervised.rated_answers import RatedAnswers
from policy_training.training.config import EvaluateConfig, LanguageModelConfig, SampleConfig
from policy_training.training.judge_config import FIXED_REWARD_OPTIONS
from policy_training.training.supervised import presets as supervised_presets
from policy_training.training.supervised.presets import LANGUAGE_MODEL_PRESETS
from rewardmodel.models import RewardModel
from runs.models import Run
from runs.option_forms.fields import sections_of
from runs.option_forms.forms import PresetForm, preset_choices
from workspace.forms import offer_rows
from workspace.models import MAX_OVERLAP, Criterion, Project, User

MAX_PROMPTS = 2**31 - 1


class LanguageModelForm(PresetForm):
    presets = preset_choices(LANGUAGE_MODEL_PRESETS, language_model_config, supervised_presets)
    sections = sections_of(LanguageModelConfig)

    name = forms.CharField(max_length=120, label=gettext_lazy("Name of the new policy"))
    start = StartField(
        Policy.objects.none(),
        required=False,
        label=gettext_lazy("Start from"),
        empty_label=gettext_lazy("a model from scratch"),
        help_text=gettext_lazy(
            "From scratch: random weights of the shape below, and a tokenizer made of the training texts."
        ),
    )

    def __init__(self, data: Any = None, *, project: Project, **kwargs: Any) -> None:
        super().__init__(data, project=project, **kwargs)
        offer_starts(self)
        self.order_fields(["name", "start", "learn_from", "preset", "shown_preset", "processes"])

    def values_of(self, run: Run) -> dict[str, Any]:
        # Of this project, as the run is.
        parent = run.parameters.get("parent")
        return super().values_of(run) | {"name": unused_name_like(run, self.project), "start": parent}

    def asked(self) -> dict[str, Any]:
        """The arguments that train_sft and pretrain share, without who asks. Raises ActionError."""
        assignments, parent = self.assignments(), self.cleaned_data["start"]
        if parent is not None:  # its own shape and tokenizer count
            assignments = [text for text in assignments if not text.startswith("model.source.")]
        return {
            "project": self.project,
            "name": self.cleaned_data["name"],
            "parent": parent,
            "config": language_model_config(self.cleaned_data["preset"], assignments),
            "processes": self.cleaned_data["processes"] or 1,
        }


class FineTuneForm(LanguageModelForm):
    kinds = (SFT.name,)

    rated_mark = forms.CharField(
        required=False,
        max_length=60,
        label=gettext_lazy("Also answers that people rated, by this mark"),
        help_text=gettext_lazy("Its name in files. Empty: demonstrations alone."),
    )
    rated_at_least = forms.FloatField(
        required=False,
        label=gettext_lazy("... with a mean of at least"),
        help_text=gettext_lazy("Points, over the people who rated."),
    )

    put_first = forms.FloatField(
        required=False,
        min_value=0,
        max_value=1,
        label=gettext_lazy(
            "Also answers that people put first: at least this share of those who compared them"
        ),
        help_text=gettext_lazy("0.5: half of them; empty: none. Answers that were cut off are left out."),
    )
    put_first_by = forms.ModelChoiceField(
        Criterion.objects.none(),
        required=False,
        empty_label=gettext_lazy("any criterion"),
        label=gettext_lazy("... by"),
    )
    batches = BatchesField(
        Batch.objects.none(),
        required=False,
        help_text=gettext_lazy("Of such answers. None chosen: all that are not excluded."),
        label=gettext_lazy("Batches"),
    )
    annotator_kinds = forms.MultipleChoiceField(
        choices=User.Kind.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        initial=[PERSON],
        label=gettext_lazy("Judged by"),
    )

    def __init__(self, data: Any = None, *, project: Project, **kwargs: Any) -> None:
        super().__init__(data, project=project, **kwargs)
        offer_rows(
            self,
            put_first_by=project.criteria.order_by("pk"),
            batches=Batch.objects.for_datasets(project).order_by("-pk"),
        )
        self.fields["annotator_kinds"].widget.attrs["class"] = "form-check-input"

    def values_of(self, run: Run) -> dict[str, Any]:
        judged = run.parameters.get("judgments") or {}
        rated, preferred = run.parameters.get("rated") or {}, run.parameters.get("preferred") or {}
        values = super().values_of(run) | {f"rated_{name}": value for name, value in rated.items()}
        criterion = self.project.criteria.filter(name=preferred.get("criterion", "")).first()
        return values | {
            "put_first": preferred.get("at_least"),
            "put_first_by": criterion.pk if criterion else None,
            "batches": judged.get("batches"),
            "annotator_kinds": judged.get("annotator_kinds", [PERSON]),
        }

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if bool(values.get("rated_mark")) != (values.get("rated_at_least") is not None):
            self.add_error("rated_at_least", gettext("Give the mark and the points, or neither."))
        return values

    def asked(self) -> dict[str, Any]:
        values = self.cleaned_data
        mark, at_least, share = values["rated_mark"], values["rated_at_least"], values["put_first"]
        by = values["put_first_by"].name if values["put_first_by"] else ""
        return super().asked() | {
            "rated": RatedAnswers(mark=mark, at_least=at_least) if mark else None,
            "preferred": PreferredAnswers(at_least=share, criterion=by) if share is not None else None,
            "batches": list(values["batches"]) or None,
            "annotator_kinds": values["annotator_kinds"],
        }


class PretrainForm(LanguageModelForm):
    kinds = (PRETRAIN.name,)

    learn_from = forms.ChoiceField(
        choices=[("texts", "texts"), ("demonstrations", gettext_lazy("demonstrations, prompts included"))],
        initial="texts",
        help_text=gettext_lazy("Every token counts."),
        label=gettext_lazy("Learn from"),
    )

    def values_of(self, run: Run) -> dict[str, Any]:
        return super().values_of(run) | {"learn_from": run.parameters.get("data", "demonstrations")}

    def asked(self) -> dict[str, Any]:
        return super().asked() | {"data": self.cleaned_data["learn_from"]}


class SampleForm(PresetForm):
    """Answers of policies to a set of prompts, which become a batch of tasks."""

    presets = evaluation_choices(
        whole_sample_config,
        {
            "sampling.temperature": "sampling.temperatures",
            "batch.max_response_tokens": "sampling.max_response_tokens",
        },
    )
    initial_preset = "plain"
    sections = sections_of(SampleConfig, leave_out=("policy", "policy_name", "id_prefix", *OF_TRAINING))
    kinds = (SAMPLE.name,)

    prompt_set = forms.ModelChoiceField(
        PromptSet.objects.none(), empty_label=None, label=gettext_lazy("Prompt set")
    )
    prompts = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=MAX_PROMPTS,
        label=gettext_lazy("How many of its prompts"),
        help_text=gettext_lazy("Empty: all of them."),
    )
    policies = PoliciesField(
        Policy.objects.none(),
        label=gettext_lazy("Who answers"),
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("Several: each answers every prompt, and their answers are compared."),
    )
    criterion = forms.ModelChoiceField(
        Criterion.objects.none(), empty_label=None, label=gettext_lazy("Criterion")
    )
    batch_name = forms.CharField(
        required=False,
        max_length=110,
        help_text=gettext_lazy("Empty: the prompt set and who answers."),
        label=gettext_lazy("Batch name"),
    )
    overlap = forms.IntegerField(
        required=False, min_value=1, max_value=MAX_OVERLAP, label=gettext_lazy("People per task")
    )
    with_given = forms.BooleanField(
        required=False,
        initial=True,
        label=gettext_lazy("Together with the answers that the prompts have from files"),
    )
    single_answers = forms.BooleanField(
        required=False,
        label=gettext_lazy("Every answer a task of its own, to be rated"),
        help_text=gettext_lazy("Else they are compared."),
    )
    open_at_once = forms.BooleanField(
        required=False,
        label=gettext_lazy("Hand the tasks out at once"),
        help_text=gettext_lazy("Else the batch is a draft to look at."),
    )

    def __init__(self, data: Any = None, *, project: Project, **kwargs: Any) -> None:
        super().__init__(data, project=project, **kwargs)
        criteria = project.criteria.order_by("pk")
        offer_rows(
            self,
            prompt_set=project.prompt_sets.order_by("-pk"),
            policies=policies_of(project),
            criterion=criteria,
        )
        self.fields["criterion"].initial = criteria.first()
        self.fields["policies"].widget.attrs["class"] = "form-check-input"
        self.fields["overlap"].widget.attrs["placeholder"] = str(project.overlap)

    def values_of(self, run: Run) -> dict[str, Any]:
        tasks = run.parameters.get("tasks") or {}
        kept = {
            name: tasks[name]
            for name in ("criterion", "overlap", "with_given", "single_answers")
            if name in tasks
        }
        return super().values_of(run) | {"policies": [run.parameters["policy"]]} | kept

    def asked(self) -> dict[str, Any]:
        """The arguments of sample_tasks, without who asks. Raises ActionError."""
        values = self.cleaned_data
        return {
            "project": self.project,
            "policies": list(values["policies"].order_by("pk")),
            "prompt_set": values["prompt_set"],
            "criterion": values["criterion"],
            "config": sample_config(self.assignments(), preset=values["preset"]),
            "batch_name": values["batch_name"] or None,
            "prompts": values["prompts"],
            "overlap": values["overlap"],
            "with_given": values["with_given"],
            "single_answers": values["single_answers"],
            "open_at_once": values["open_at_once"],
            "processes": values["processes"] or 1,
        }


class EvaluatePolicyForm(RewardPartsFields, PresetForm):
    presets = evaluation_choices(evaluation_config)
    initial_preset = "plain"
    sections = sections_of(
        EvaluateConfig, leave_out=("policy", "policy_name", *FIXED_REWARD_OPTIONS, *OF_TRAINING)
    )
    kinds = (EVALUATE.name,)

    policy = PolicyField(Policy.objects.none(), empty_label=None, label=gettext_lazy("Policy"))
    reward_model = forms.ModelChoiceField(
        RewardModel.objects.none(),
        empty_label=None,
        label=gettext_lazy("Scored by"),
        help_text=gettext_lazy("A reward model."),
    )
    reference = PolicyField(
        Policy.objects.none(),
        required=False,
        empty_label=gettext_lazy("no policy"),
        label=gettext_lazy("Distance (KL) to"),
        help_text=gettext_lazy("For example the policy that it was trained from."),
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

    def __init__(self, data: Any = None, *, project: Project, **kwargs: Any) -> None:
        super().__init__(data, project=project, **kwargs)
        held_out = Case(When(purpose=PromptSet.Purpose.EVALUATION, then=0), default=1)
        offer_rows(
            self,
            policy=policies_of(project),
            reference=policies_of(project),
            reward_model=project.reward_models.order_by("-pk"),
            prompt_set=project.prompt_sets.order_by(held_out, "-pk"),
        )
        self.offer_rewards(project)

    def values_of(self, run: Run) -> dict[str, Any]:
        kept = {name: run.parameters[name] for name in ("policy", "reward_model", "reference")}
        prompt_set = self.project.prompt_sets.filter(name=run.parameters["prompt_set"]).first()
        return (
            super().values_of(run)
            | kept
            | {"prompt_set": prompt_set.pk if prompt_set else None, "preset": self.initial_preset}
            | parts_of_run(self.project, run.config)
        )

    def asked(self) -> dict[str, Any]:
        """The arguments of evaluate_policy, without who asks. Raises ActionError."""
        values = self.cleaned_data
        names = ("policy", "reward_model", "reference", "prompt_set", "prompts")
        config = evaluation_config(values["preset"], self.assignments())
        config["rewards"] = {**config["rewards"], **self.reward_parts()}
        return {
            "project": self.project,
            **{name: values[name] for name in names},
            "config": config,
            "processes": values["processes"] or 1,
        }
