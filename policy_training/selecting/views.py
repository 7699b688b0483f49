"""KL against reward, the choice of a policy by a rule, and what was chosen."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from policy_training.access import access_policy
from policy_training.models import PolicySelection
from policy_training.selecting.actions import pin_policy, select_policy, unpin_policy
from policy_training.selecting.forms import SelectForm
from policy_training.selecting.frontier import MAX_RUNS, frontier, runs_to_draw
from policy_training.selecting.measurements import said
from policy_training.selecting.queries import Group, groups_of, selected_policy, selections_of
from policy_training.selecting.wording import reason_of, settled_text
from workspace.errors import ActionError
from workspace.forms import add_errors
from workspace.requests import ProjectRequest, key_in, perform_action, project_view
from workspace.roles import Capability


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def frontier_page(request: ProjectRequest) -> HttpResponse:
    groups = groups_of(request.project)
    group = _chosen(groups, request.GET.get("group", ""))
    return _page(request, groups, group, SelectForm(group=group) if group else None)


@require_POST
@project_view(Capability.MANAGE)
def select(request: ProjectRequest) -> HttpResponse:
    groups = groups_of(request.project)
    group = next((one for one in groups if one.key == request.POST.get("group")), None)
    if group is None:
        return redirect("policies:frontier", slug=request.project.slug)
    form = SelectForm(request.POST, group=group)
    if form.is_valid():
        try:
            selection = select_policy(actor=request.user, project=request.project, **form.asked())
        except ActionError as error:
            add_errors(form, error)
        else:
            return redirect("policies:selection", slug=request.project.slug, pk=selection.pk)
    return _page(request, groups, group, form)


def _chosen(groups: list[Group], key: str) -> Group | None:
    """The one asked for, else the one with the most policies, of those the newest."""
    return next((one for one in groups if one.key == key), None) or max(
        groups, key=lambda one: len(one.measurements), default=None
    )


def _page(
    request: ProjectRequest, groups: list[Group], group: Group | None, form: SelectForm | None
) -> HttpResponse:
    model = group.first.reward_model if group else request.project.reward_models.order_by("-pk").first()
    runs = runs_to_draw(request.project, model)
    asked = {key for key in request.GET.getlist("run") if key.isascii() and key.isdigit()}
    drawn = [run for run in runs if str(run.pk) in asked][:MAX_RUNS]
    found = frontier(group, drawn)
    context = {
        "groups": [(one, _label(one)) for one in groups],
        "group": group,
        "settings": _settings(group) if group else [],
        "reward_model": model,
        "frontier": found,
        "picture": found.as_dict(),
        "runs": [(run, run in drawn) for run in runs],
        "max_runs": MAX_RUNS,
        "form": form,
        "fields": [field for field in form if field.name != "policies"] if form else [],
        "checked": form.checked if form else [],
        "selected": selected_policy(request.project),
        "selections": selections_of(request.project),
    }
    status = 422 if form is not None and form.is_bound else 200
    return render(request, "policy_training/frontier.html", context, status=status)


def _label(group: Group) -> str:
    first = group.first
    return gettext(
        "%(n)s of them: %(model)s, %(prompts)s prompts of %(set)s, KL to %(reference)s, seed %(seed)s"
    ) % {
        "n": len(group.measurements),
        "model": first.reward_model.name,
        "prompts": len(first.prompt_ids),
        "set": first.made_by.prompt_set,
        "reference": first.reference.name if first.reference else gettext("nothing"),
        "seed": first.settings["seed"],
    }


def _settings(group: Group) -> list[tuple[str, str]]:
    names = {
        "method": gettext("Measured by"),
        "prompts": gettext("Prompts"),
        "reward_model": gettext("Reward model"),
        "reference": gettext("KL to"),
        "sampling": gettext("Sampling"),
        "samples_per_prompt": gettext("Answers to a prompt"),
        "seed": gettext("Seed"),
    }
    return [(label, said(group.first, name)) for name, label in names.items()]


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def selection(request: ProjectRequest, pk: int) -> HttpResponse:
    rows = PolicySelection.objects.filter(project=request.project).select_related("policy", "chosen_by")
    found = get_object_or_404(rows, pk=pk)
    by_wins = found.report["figure"] == "win_rate"
    context = {
        "selection": found,
        "reason": reason_of(found),
        "settled": settled_text(found),
        "rows": [_row(row, by_wins) for row in found.report["candidates"]],
        "by_wins": by_wins,
        "selected": selected_policy(request.project),
    }
    return render(request, "policy_training/selection.html", context)


def _row(row: dict[str, Any], by_wins: bool) -> dict[str, Any]:
    """A candidate's figures as text; the difference is the chosen one's figure minus its."""
    difference = row.get("difference")
    scale, digits, unit = (100, 1, " %") if by_wins else (1, 3, "")
    return row | {
        "win_rate": f"{100 * row['win_rate']:.0f} %" if row.get("win_rate") is not None else "",
        "difference": gettext("%(mean)s (%(low)s to %(high)s)")
        % {
            name: f"{scale * difference[name]:+.{digits}f}{unit if name == 'mean' else ''}"
            for name in ("mean", "low", "high")
        }
        if difference
        else "",
        "settled": difference["settled"] if difference else None,
    }


@require_POST
@project_view(Capability.MANAGE)
def pin(request: ProjectRequest, pk: int) -> HttpResponse:
    policy = access_policy(request.project, pk)
    key = key_in(request.POST.get("selection", ""))
    chosen = get_object_or_404(PolicySelection, project=request.project, pk=key) if key is not None else None
    perform_action(request, pin_policy, project=request.project, policy=policy, selection=chosen)
    return redirect("policies:policy", slug=request.project.slug, pk=policy.pk)


@require_POST
@project_view(Capability.MANAGE)
def unpin(request: ProjectRequest) -> HttpResponse:
    perform_action(request, unpin_policy, project=request.project)
    return redirect("policies:list", slug=request.project.slug)
