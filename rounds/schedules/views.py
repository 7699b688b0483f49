"""The buttons of the schedules on the Rounds page."""

from collections.abc import Callable
from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from rounds.schedules import actions
from rounds.schedules.access import access_firing, access_schedule
from workspace.requests import ProjectRequest, perform_action, project_view
from workspace.roles import Capability


def _button(
    action: Callable[..., Any], name: str, access: Callable[..., Any], done: str | Promise
) -> Callable[..., HttpResponseBase]:
    """A view that does the action to what `access` finds, its argument of that name, and goes back to the page."""

    @require_POST
    @project_view(Capability.MANAGE)
    def view(request: ProjectRequest, pk: int) -> HttpResponse:
        perform_action(request, action, done=str(done), **{name: access(request.project, pk)})
        return redirect("rounds:list", slug=request.project.slug)

    return view


pause = _button(
    actions.pause_schedule, "schedule", access_schedule, gettext_lazy("Paused: nothing falls due meanwhile.")
)
resume = _button(
    actions.resume_schedule, "schedule", access_schedule, gettext_lazy("The schedule goes on from now.")
)
delete = _button(
    actions.delete_schedule,
    "schedule",
    access_schedule,
    gettext_lazy("The schedule is deleted; its rounds stay."),
)
retry = _button(
    actions.retry_firing, "firing", access_firing, gettext_lazy("It starts as soon as no round is under way.")
)
drop = _button(
    actions.drop_firing, "firing", access_firing, gettext_lazy("Dropped: this time starts no round.")
)
