"""Saving a form of values that somebody else may have changed meanwhile: the page with both versions, nothing lost."""

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext

from workspace.errors import ActionError
from workspace.forms import ShownValuesForm, add_errors
from workspace.requests import ProjectRequest
from workspace.shown_values import ChangedMeanwhile

MakeForm = Callable[[QueryDict | None], ShownValuesForm]
Save = Callable[..., Any]


def save_shown_values(
    request: ProjectRequest, make_form: MakeForm, save: Save, *, what: str, back: str, done: str = ""
) -> HttpResponse:
    """What `make_form` makes of the request is saved by `save` (an action with `actor`, `shown` and the form's values)
    and the person sent `back`. Else the form again with what was typed: with the values of now beside it (409), or with
    what is wrong (422). `make_form(None)` shows the values of now, read anew.
    """
    form = make_form(request.POST)
    is_changed = False
    if form.is_valid():
        try:
            save(actor=request.user, shown=(form.cleaned_data["shown"],), **form.values())
        except ChangedMeanwhile:
            is_changed = True
        except ActionError as error:
            add_errors(form, error)
        else:
            if done:
                messages.success(request, done)
            return redirect(back)
    now = make_form(None)
    # They see the values of now: sending the same again replaces them knowingly.
    data = request.POST.copy()
    data["shown"] = now["shown"].value()
    again = make_form(data) if is_changed else form
    context = {
        "form": again,
        "differences": _differences(now, again) if is_changed else [],
        "is_changed": is_changed,
        "what": what,
        "back": back,
    }
    return render(request, "workspace/changed_values.html", context, status=409 if is_changed else 422)


def _differences(now: ShownValuesForm, typed: ShownValuesForm) -> list[tuple[str, str, str]]:
    """(label, value of now, typed value) of the fields that differ."""
    pairs = [
        (str(field.label), _told(now[field.name].value()), _told(field.value()))
        for field in typed.visible_fields()
    ]
    return [(label, there, mine) for label, there, mine in pairs if there != mine]


def _told(value: Any) -> str:
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    if isinstance(value, (list, tuple)):
        return ", ".join(sorted(map(str, value)))  # a choice of several has no order
    return "" if value is None else str(value).replace("\r\n", "\n")
