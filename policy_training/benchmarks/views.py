"""Pages about measuring policies on tasks: the form, the files, and what came of it."""

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from policy_training.access import access_policy
from policy_training.benchmarks.actions import add_benchmark_file, benchmark_policies
from policy_training.benchmarks.forms import (
    MAX_SENT_CHARACTERS,
    BenchmarkForm,
    TasksFileForm,
    preview_benchmark,
)
from policy_training.benchmarks.presentation import compare, latest_of
from policy_training.models import Policy
from runs.option_forms.pages import run_form_page
from workspace.errors import ActionError
from workspace.forms import add_errors
from workspace.requests import ProjectRequest, key_in, project_view
from workspace.roles import Capability


@require_http_methods(["GET", "POST"])
@never_cache
@project_view(Capability.MANAGE)
def benchmark(request: ProjectRequest) -> HttpResponse:
    return run_form_page(
        request,
        BenchmarkForm,
        template="policy_training/benchmark.html",
        start=benchmark_policies,
        preview=preview_benchmark,
    )


@require_http_methods(["GET", "POST"])
@never_cache
@project_view(Capability.MANAGE)
def benchmark_files(request: ProjectRequest) -> HttpResponse:
    """The project's files of tasks, and a form that adds one."""
    form = TasksFileForm(request.POST or None)
    if form.is_bound and form.is_valid():
        try:
            add_benchmark_file(
                actor=request.user,
                project=request.project,
                name=form.cleaned_data["name"],
                content=form.cleaned_data["content"].replace("\r\n", "\n"),
            )
        except ActionError as error:
            add_errors(form, error)
        else:
            return redirect("policies:benchmark_files", slug=request.project.slug)
    files = request.project.benchmark_files.defer("content").select_related("added_by").order_by("-pk")
    return render(
        request,
        "policy_training/benchmark_files.html",
        {"form": form, "files": files, "most": MAX_SENT_CHARACTERS},
        status=422 if form.is_bound else 200,
    )


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def measured(request: ProjectRequest, pk: int) -> HttpResponse:
    """What tasks say of a policy, beside another one (`?beside=`)."""
    policy = access_policy(request.project, pk)
    key = key_in(request.GET.get("beside", ""))
    beside = access_policy(request.project, key) if key is not None else None
    theirs = {row.file_id: row for row in latest_of(beside)} if beside else {}
    measurements = [
        {
            "row": row,
            "other": theirs.get(row.file_id),
            "figures": compare(row, theirs.get(row.file_id)),
        }
        for row in latest_of(policy)
    ]
    others = (
        Policy.objects.filter(project=request.project, benchmarks__isnull=False)
        .exclude(pk=policy.pk)
        .distinct()
        .order_by("-pk")
    )
    return render(
        request,
        "policy_training/measured.html",
        {"policy": policy, "beside": beside, "measurements": measurements, "others": others},
    )
