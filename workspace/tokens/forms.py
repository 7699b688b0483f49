"""The form of a new token; what it may be is decided in actions."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy

from workspace.forms import StyledFormMixin
from workspace.models import ApiToken, Membership, Project, User
from workspace.tokens.actions import MAX_DAYS, MAX_NAME

DEFAULT_DAYS = 90


class TokenForm(StyledFormMixin, forms.Form):
    name = forms.CharField(
        max_length=MAX_NAME, help_text=gettext_lazy("Which program it is for."), label=gettext_lazy("Name")
    )
    project = forms.ModelChoiceField(
        queryset=Project.objects.none(),
        required=False,
        empty_label=gettext_lazy("All of my projects"),
        help_text=gettext_lazy("A token of one project gets nothing of another."),
        label=gettext_lazy("Project"),
    )
    scope = forms.ChoiceField(choices=ApiToken.Scope.choices, label=gettext_lazy("It may"))
    role = forms.ChoiceField(
        choices=Membership.Role.choices,
        label=gettext_lazy("As"),
        help_text=gettext_lazy("At most: it never may more than you may when it is used."),
    )
    days = forms.IntegerField(
        min_value=1, max_value=MAX_DAYS, initial=DEFAULT_DAYS, label=gettext_lazy("Days it lives")
    )

    def __init__(self, *args: Any, person: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        project = self.fields["project"]
        assert isinstance(project, forms.ModelChoiceField)
        project.queryset = Project.objects.filter(memberships__user=person).order_by("name")
        self.add_bootstrap_classes()
