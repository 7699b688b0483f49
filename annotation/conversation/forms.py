"""The forms that open a batch of live conversations, and one that compares them whole."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from annotation.conversation.batches import LIMITS, MAX_TURNS, LivePlan
from annotation.conversation.comparing import MAX_ANSWERS, ComparedConversations
from annotation.models import LiveBatch, Source
from workspace.forms import StyledFormMixin, offer_rows, whole_number
from workspace.models import MAX_OVERLAP, Criterion, Project


def _limit(name: str) -> forms.IntegerField:
    label, most = LIMITS[name]
    return whole_number(1, most, initial=getattr(LivePlan, name), label=label)


class LiveBatchForm(StyledFormMixin, forms.Form):
    name = forms.CharField(max_length=120, label=gettext_lazy("Name of the batch"))
    criterion = forms.ModelChoiceField(
        Criterion.objects.none(), empty_label=None, label=gettext_lazy("Criterion")
    )
    quota = whole_number(
        1,
        1_000_000,
        label=gettext_lazy("Judged turns"),
        initial=100,
        help_text=gettext_lazy("No conversation is begun after so many."),
    )
    first_source = forms.ModelChoiceField(
        Source.objects.none(), empty_label=None, label=gettext_lazy("One policy")
    )
    first_temperature = forms.FloatField(
        min_value=0.01,
        max_value=10,
        initial=0.7,
        label=gettext_lazy("Its temperature"),
        widget=forms.NumberInput({"step": "any"}),
    )
    second_source = forms.ModelChoiceField(
        Source.objects.none(),
        empty_label=None,
        label=gettext_lazy("The other policy"),
        help_text=gettext_lazy(
            "The same one at another temperature is fine. Annotators never learn which wrote what."
        ),
    )
    second_temperature = forms.FloatField(
        min_value=0.01,
        max_value=10,
        initial=1.0,
        label=gettext_lazy("Temperature of the other policy"),
        widget=forms.NumberInput({"step": "any"}),
    )
    top_p = forms.FloatField(
        min_value=0.01,
        max_value=1,
        initial=1.0,
        label=gettext_lazy("Top-p of both"),
        help_text=gettext_lazy("1: the whole distribution."),
        widget=forms.NumberInput({"step": "any"}),
    )
    system_prompt = forms.CharField(
        required=False,
        max_length=20_000,
        widget=forms.Textarea({"rows": 2}),
        help_text=gettext_lazy(
            "What both policies are told before the conversation. Annotators read it above the answers."
        ),
        label=gettext_lazy("System prompt"),
    )
    instruction = forms.CharField(
        required=False,
        max_length=5_000,
        label=gettext_lazy("Instruction to annotators"),
        widget=forms.Textarea({"rows": 3}),
        help_text=gettext_lazy("What to talk about, and how."),
    )
    openers = forms.CharField(
        required=False,
        max_length=200_000,
        label=gettext_lazy("First messages to choose from"),
        widget=forms.Textarea({"rows": 3}),
        help_text=gettext_lazy("One a line; annotators may write their own all the same."),
    )
    max_turns = _limit("max_turns")
    max_response_tokens = _limit("max_response_tokens")
    max_message_characters = _limit("max_message_characters")

    def __init__(self, data: Any = None, *, project: Project, sources: list[Source]) -> None:
        super().__init__(data)
        chosen = project.sources.filter(pk__in=[source.pk for source in sources]).order_by("name")
        criteria = project.criteria.order_by("pk")
        offer_rows(self, criterion=criteria, first_source=chosen, second_source=chosen)
        self.fields["criterion"].initial = criteria.first()
        self.add_bootstrap_classes()

    def clean_openers(self) -> list[str]:
        return [line.strip() for line in self.cleaned_data["openers"].splitlines() if line.strip()]

    def plan(self) -> LivePlan:
        values = self.cleaned_data
        names = [name for name in values if name not in ("name", "criterion", "quota")]
        return LivePlan(**{name: values[name] for name in names})


class CompareConversationsForm(StyledFormMixin, forms.Form):
    name = forms.CharField(max_length=120, label=gettext_lazy("Name of the batch"))
    criterion = forms.ModelChoiceField(Criterion.objects.none(), empty_label=None)
    most = whole_number(
        2,
        MAX_ANSWERS,
        initial=2,
        label=gettext_lazy("Conversations per task, at most"),
        help_text=gettext_lazy("2: pairs, 3 to 9: rankings. All of a task begin with the same message."),
    )
    least_turns = whole_number(
        1,
        MAX_TURNS,
        initial=2,
        label=gettext_lazy("Turns of a conversation, at least"),
        help_text=gettext_lazy("Shorter ones are left out."),
    )
    skip_compared = forms.BooleanField(
        required=False,
        initial=True,
        label=gettext_lazy("Leave out conversations that a batch of this criterion compares already"),
    )
    overlap = forms.IntegerField(
        required=False, min_value=1, max_value=MAX_OVERLAP, label=gettext_lazy("People per task")
    )
    open_at_once = forms.BooleanField(
        required=False,
        label=gettext_lazy("Hand the tasks out at once"),
        help_text=gettext_lazy("Else the batch is a draft to look at."),
    )

    def __init__(self, data: Any = None, *, live: LiveBatch) -> None:
        super().__init__(data)
        self.live = live
        project = live.batch.project
        criterion = self.fields["criterion"]
        assert isinstance(criterion, forms.ModelChoiceField)
        criterion.queryset = project.criteria.order_by("pk")
        criterion.initial = live.batch.criterion_id
        self.fields["overlap"].widget.attrs["placeholder"] = str(project.overlap)
        self.add_bootstrap_classes()

    def chosen(self) -> ComparedConversations:
        values = self.cleaned_data
        names = ("most", "least_turns", "skip_compared")
        return ComparedConversations(
            project=self.live.batch.project, live=[self.live], **{name: values[name] for name in names}
        )
