"""The form that opens writing work."""

from typing import Any

from django import forms

from annotation.models import Prompt, PromptSet, WritingWork
from annotation.writing.works import MAX_COPIES, MAX_INSTRUCTION_CHARACTERS, MAX_ITEMS, MAX_WORDS
from workspace.forms import StyledFormMixin, whole_number
from workspace.models import Project


class WritingWorkForm(StyledFormMixin, forms.Form):
    name = forms.CharField(max_length=120, label="Name of the work")
    kind = forms.ChoiceField(
        choices=WritingWork.Kind.choices,
        label="What is written",
        help_text="An answer to correct is the newest one of each prompt of the set. In a dialogue one person writes "
        "both sides; each of its answers becomes a demonstration.",
    )
    prompt_set = forms.ModelChoiceField(
        PromptSet.objects.none(),
        required=False,
        empty_label="None",
        label="Prompt set",
        help_text="Answers: whose prompts are answered. Prompts and dialogues: where accepted prompts go.",
    )
    copies = whole_number(
        1, MAX_COPIES, initial=1, label="People a prompt", help_text="Of answers, written or corrected."
    )
    items = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=MAX_ITEMS,
        label="How many",
        help_text="Of prompts or dialogues.",
    )
    prompt_kind = forms.ChoiceField(
        required=False,
        choices=[("", "Not prompts"), *Prompt.Kind.choices],
        label="Kind of prompts",
        help_text="Plain: any task in words. Few-shot: an instruction with worked examples. User-based: after a use "
        "that people asked for; name the uses in the instruction.",
    )
    min_words = whole_number(1, MAX_WORDS, initial=1, label="Words, at least")
    max_words = whole_number(1, MAX_WORDS, initial=2000, label="Words, at most")
    instruction = forms.CharField(
        required=False,
        max_length=MAX_INSTRUCTION_CHARACTERS,
        label="Instruction to writers",
        widget=forms.Textarea({"rows": 5, "dir": "auto"}),
        help_text="Markdown. It stands above the text.",
    )

    def __init__(self, data: Any = None, *, project: Project) -> None:
        super().__init__(data)
        field = self.fields["prompt_set"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = project.prompt_sets.order_by("name")
        self.add_bootstrap_classes()

    def plan(self) -> dict[str, Any]:
        """The action's arguments."""
        return dict(self.cleaned_data)
