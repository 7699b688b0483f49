"""The form that opens writing work."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from annotation.models import Prompt, PromptSet, WritingWork
from annotation.writing.works import MAX_COPIES, MAX_INSTRUCTION_CHARACTERS, MAX_ITEMS, MAX_WORDS
from workspace.forms import StyledFormMixin, offer_rows, whole_number
from workspace.models import Project


class WritingWorkForm(StyledFormMixin, forms.Form):
    name = forms.CharField(max_length=120, label=gettext_lazy("Name of the work"))
    kind = forms.ChoiceField(
        choices=WritingWork.Kind.choices,
        label=gettext_lazy("What is written"),
        help_text=gettext_lazy(
            "An answer to correct is the newest one of each prompt of the set. In a dialogue one person writes "
            "both sides; each of its answers becomes a demonstration."
        ),
    )
    prompt_set = forms.ModelChoiceField(
        PromptSet.objects.none(),
        required=False,
        empty_label=gettext_lazy("None"),
        label=gettext_lazy("Prompt set"),
        help_text=gettext_lazy(
            "Answers: whose prompts are answered. Prompts and dialogues: where accepted prompts go."
        ),
    )
    copies = whole_number(
        1,
        MAX_COPIES,
        initial=1,
        label=gettext_lazy("People a prompt"),
        help_text=gettext_lazy("Of answers, written or corrected."),
    )
    items = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=MAX_ITEMS,
        label=gettext_lazy("How many"),
        help_text=gettext_lazy("Of prompts or dialogues."),
    )
    prompt_kind = forms.ChoiceField(
        required=False,
        choices=[("", gettext_lazy("Not prompts")), *Prompt.Kind.choices],
        label=gettext_lazy("Kind of prompts"),
        help_text=gettext_lazy(
            "Plain: any task in words. Few-shot: an instruction with worked examples. User-based: after a use "
            "that people asked for; name the uses in the instruction."
        ),
    )
    min_words = whole_number(1, MAX_WORDS, initial=1, label=gettext_lazy("Words, at least"))
    max_words = whole_number(1, MAX_WORDS, initial=2000, label=gettext_lazy("Words, at most"))
    instruction = forms.CharField(
        required=False,
        max_length=MAX_INSTRUCTION_CHARACTERS,
        label=gettext_lazy("Instruction to writers"),
        widget=forms.Textarea({"rows": 5, "dir": "auto"}),
        help_text=gettext_lazy("Markdown. It stands above the text."),
    )

    def __init__(self, data: Any = None, *, project: Project) -> None:
        super().__init__(data)
        offer_rows(self, prompt_set=project.prompt_sets.order_by("name"))
        self.add_bootstrap_classes()

    def plan(self) -> dict[str, Any]:
        """The action's arguments."""
        return dict(self.cleaned_data)
