"""The page by which a manager has a language model judge a batch."""

from django.conf import settings
from django.http import HttpResponse
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from policy_training.judging.actions import judge_batch
from policy_training.judging.forms import JudgeBatchForm, preview_judging
from runs.option_forms.pages import run_form_page
from workspace.requests import ProjectRequest, project_view
from workspace.roles import Capability


@require_http_methods(["GET", "POST"])
@never_cache
@project_view(Capability.MANAGE)
def judge(request: ProjectRequest) -> HttpResponse:
    return run_form_page(
        request,
        JudgeBatchForm,
        template="policy_training/judge.html",
        start=judge_batch,
        preview=preview_judging,
        context={
            "has_servers": bool(settings.MODEL_SERVERS),
            "heading": gettext("Have a model judge a batch"),
        },
    )
