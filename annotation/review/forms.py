"""Forms of the pages of batches; they parse, actions decide."""

from django import forms
from django.utils.translation import gettext_lazy

from workspace.forms import StyledFormMixin, whole_number
from workspace.models import MAX_OVERLAP


class OverlapForm(StyledFormMixin, forms.Form):
    overlap = whole_number(1, MAX_OVERLAP, label=gettext_lazy("People per task"))
    # What the page said when it was opened.
    expected_overlap = whole_number(1, MAX_OVERLAP, widget=forms.HiddenInput)

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.add_bootstrap_classes()
