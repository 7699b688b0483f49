"""What the form that starts a round asks about the judgments that are learned."""

from django import forms
from django.utils.translation import gettext_lazy

from annotation.models import Batch
from workspace.models import Project


class LearnedFields(forms.Form):
    reward_model_criteria = forms.MultipleChoiceField(
        required=False,
        label=gettext_lazy("Criteria that the reward model learns too"),
        help_text=gettext_lazy(
            "One model for these and the round's own criterion. None chosen: the round's own alone."
        ),
    )
    batches = forms.ModelMultipleChoiceField(
        Batch.objects.none(),
        required=False,
        label=gettext_lazy("Batches to learn from"),
        help_text=gettext_lazy(
            "Reward model and policy learn from these and from the round's own; none chosen: from all judgments."
        ),
    )

    def offer_learned(self, project: Project) -> None:
        criteria, batches = self.fields["reward_model_criteria"], self.fields["batches"]
        assert isinstance(criteria, forms.MultipleChoiceField)
        assert isinstance(batches, forms.ModelMultipleChoiceField)
        names = project.criteria.order_by("pk").values_list("name", flat=True)
        criteria.choices = [(name, name) for name in names]
        batches.queryset = project.batches.filter(visible=True, excluded=False).order_by("-pk")
        if not batches.queryset:
            del self.fields["batches"]

    def without_choice(self) -> set[str]:
        """Fields that need not be shown: the round's own criterion is learned anyway."""
        return {"reward_model_criteria"} if len(self["reward_model_criteria"]) < 2 else set()
