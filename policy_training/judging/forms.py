"""The form by which a manager has a language model judge a batch."""

from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext, gettext_lazy, gettext_noop

from annotation.judging.ai import judge_name, tasks_to_judge
from annotation.models import Batch
from policy_training.judging.actions import FIXED_SERVER_OPTIONS, MAX_TASKS, judge_config
from policy_training.judging.kind import JUDGE
from policy_training.training.evaluation.config import JudgeTasksConfig
from policy_training.training.judge_config import TEMPLATE_VERSION
from runs.models import Run
from runs.option_forms.fields import sections_of
from runs.option_forms.forms import PresetChoice, PresetForm
from workspace.errors import ActionError
from workspace.models import Project


class BatchField(forms.ModelChoiceField):
    def label_from_instance(self, obj: Batch) -> str:
        return f"{obj.name} ({obj.criterion.name})"


class JudgeBatchForm(PresetForm):
    presets = {
        "plain": PresetChoice(
            name="plain",
            source=gettext_noop("each pair in both orders; where they disagree it is a tie"),
            config=lambda: judge_config(server="", model="", question=""),
            comments={},
        )
    }
    initial_preset = "plain"
    sections = sections_of(
        JudgeTasksConfig,
        leave_out=(
            "runtime",
            "judge.weight",
            "judge.criterion",
            *(f"judge.server.{name}" for name in FIXED_SERVER_OPTIONS),
        ),
    )
    kinds = (JUDGE.name,)

    batch = BatchField(Batch.objects.none(), empty_label=None, label=gettext_lazy("Batch"))
    server = forms.ChoiceField(
        label=gettext_lazy("Server"), help_text=gettext_lazy("One of those that an operator has named.")
    )
    model = forms.CharField(
        max_length=200,
        label=gettext_lazy("Model"),
        help_text=gettext_lazy("As the server calls it."),
    )
    question = forms.CharField(
        max_length=300,
        required=False,
        label=gettext_lazy("What it is asked"),
        help_text=gettext_lazy("Empty: the question of the batch's criterion, as people read it."),
    )
    tasks = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=MAX_TASKS,
        label=gettext_lazy("How many tasks"),
        help_text=gettext_lazy("Of those that it has not judged, the most urgent first. Empty: all of them."),
    )
    takes_slots = forms.BooleanField(
        required=False,
        label=gettext_lazy("In place of people"),
        help_text=gettext_lazy(
            "Its judgment is one of those that a task asks for, so that one person less is asked. Else it stands "
            "beside people's."
        ),
    )

    def __init__(self, data: Any = None, *, project: Project, **kwargs: Any) -> None:
        super().__init__(data, project=project, **kwargs)
        batch, server = self.fields["batch"], self.fields["server"]
        assert isinstance(batch, forms.ModelChoiceField) and isinstance(server, forms.ChoiceField)
        batch.queryset = (
            project.batches.filter(visible=True)
            .exclude(kind=Batch.Kind.RATING)
            .select_related("criterion")
            .order_by("-pk")
        )
        server.choices = [(name, name) for name in settings.MODEL_SERVERS]
        del self.fields["processes"]  # one process asks

    def values_of(self, run: Run) -> dict[str, Any]:
        judge = run.config["judge"]
        return {
            "preset": self.initial_preset,
            "batch": run.parameters["batch"],
            "takes_slots": run.parameters["takes_slots"],
            "server": judge["server"]["name"],
            "model": judge["server"]["model"],
            "question": judge["criterion"],
        }

    def asked(self) -> dict[str, Any]:
        """The arguments of judge_batch, without who asks. Raises ActionError."""
        values = self.cleaned_data
        return {
            "project": self.project,
            "batch": values["batch"],
            "config": judge_config(
                server=values["server"],
                model=values["model"].strip(),
                question=values["question"].strip() or values["batch"].criterion.question,
                assignments=self.assignments(),
            ),
            "takes_slots": values["takes_slots"],
            "tasks": values["tasks"],
        }


def preview_judging(form: JudgeBatchForm) -> dict[str, Any]:
    """{facts: [(label, number)], notes, missing}: what it would be asked, and what it would read."""
    try:
        asked = form.asked()
    except ActionError as error:
        return {"missing": str(error)}
    judge, batch = asked["config"]["judge"], asked["batch"]
    name = judge_name(
        server=judge["server"]["name"],
        model=judge["server"]["model"],
        question=judge["criterion"],
        template_version=TEMPLATE_VERSION,
    )
    left = min(tasks_to_judge(batch, name).count(), asked["tasks"] or MAX_TASKS)
    if not left:
        return {
            "missing": gettext("The judge has judged every task of “%(name)s” already.")
            % {"name": batch.name}
        }
    answers, repeats = batch.responses_per_task, judge["repeats"]
    facts = [(gettext("Tasks"), left)]
    if isinstance(repeats, int):  # what else stands there is said when it is sent
        facts.append((gettext("Comparisons"), left * answers * (answers - 1) * repeats))
    return {
        "facts": facts,
        "notes": [
            gettext("It is asked: %(question)s") % {"question": judge["criterion"]},
            gettext("The texts of prompts and answers go to the server “%(name)s”.")
            % {"name": judge["server"]["name"]},
        ],
        "missing": "",
    }
