"""Fields that ask for policies of a project; one that is being made may be named to start from."""

import re
from collections.abc import Iterator
from typing import Any

from django import forms
from django.forms.models import ModelChoiceIterator
from django.utils.translation import gettext

from policy_training.coming_policies import Predecessor, coming_policies, find_predecessor, find_start
from policy_training.models import ChainedTraining, Policy
from runs.models import Run
from runs.option_forms.forms import PresetForm
from workspace.errors import ActionError
from workspace.models import Project
from workspace.naming import unique_name


class PolicyField(forms.ModelChoiceField):
    def label_from_instance(self, obj: Policy) -> str:
        return (
            gettext("%(name)s (files missing)") % {"name": obj.name} if obj.artifact.is_missing else obj.name
        )


class PoliciesField(forms.ModelMultipleChoiceField):
    label_from_instance = PolicyField.label_from_instance


def policies_of(project: Project) -> Any:
    return Policy.objects.filter(project=project).select_related("artifact").order_by("-pk")


def unused_name_like(run: Run, project: Project) -> str:
    """For a run like this one: the name of the policy that this one was to make, with a number where it is taken."""
    return unique_name(Policy.objects.filter(project=project), str(run.parameters.get("name", "")))


class _WithComing(ModelChoiceIterator):
    def __iter__(self) -> Iterator[Any]:
        yield from super().__iter__()
        assert isinstance(self.field, StartField)
        if coming := self.field.coming:
            yield (gettext("Not made yet: queued as soon as it is there"), coming)


class StartField(PolicyField):
    """A policy, or the run or the chained training that will make it: `run-12`, `training-3`."""

    iterator = _WithComing

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.project: Project | None = None
        super().__init__(*args, **kwargs)

    @property
    def coming(self) -> list[tuple[str, str]]:
        return coming_policies(self.project) if self.project else []

    def to_python(self, value: Any) -> Policy | Predecessor | None:
        number = _number_of_coming(value)
        if number is None or self.project is None:
            return super().to_python(value)
        try:
            return find_predecessor(self.project, **number)
        except ActionError as error:
            raise forms.ValidationError(error.message, code=error.code) from error


def offer_starts(form: PresetForm) -> None:
    """Fill the field `start`. An address may choose what was coming when it was written (`?start=run-12`): made by
    now, the policy itself is chosen; where none comes of it any more, the field says so.
    """
    field = form.fields["start"]
    assert isinstance(field, StartField)
    field.project, field.queryset = form.project, policies_of(form.project)
    number = _number_of_coming(form.initial.get("start"))
    if form.is_bound or number is None:
        return
    try:
        form.initial["start"] = _value_of(find_start(form.project, **number))
    except ActionError as error:
        del form.initial["start"]
        form.say_before_it_is_sent("start", error.message)


def _number_of_coming(value: Any) -> dict[str, int] | None:
    found = re.fullmatch(r"(run|training)-([0-9]{1,18})", value) if isinstance(value, str) else None
    return {found[1]: int(found[2])} if found else None


def _value_of(start: Policy | Run | ChainedTraining) -> int | str:
    """As the field lists it."""
    if isinstance(start, Policy):
        return start.pk
    return f"run-{start.pk}" if isinstance(start, Run) else f"training-{start.pk}"
