"""The button that makes a reward model of a training's checkpoint."""

from django.http import HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST

from rewardmodel.checkpoints import adopt_reward_checkpoint
from runs.access import access_run
from workspace.requests import ProjectRequest, perform_action, project_view
from workspace.roles import Capability


@require_POST
@project_view(Capability.MANAGE)
def adopt(request: ProjectRequest, run: int) -> HttpResponse:
    found = access_run(request.project, run)
    step = request.POST.get("step", "")
    new = perform_action(
        request,
        adopt_reward_checkpoint,
        project=request.project,
        run=found,
        step=int(step) if step.isascii() and step.isdigit() and len(step) < 10 else -1,
        name=request.POST.get("name", ""),
    )
    return redirect("runs:run", slug=request.project.slug, pk=new.pk if new else found.pk)
