"""Pages: how fast batches are judged, when they will be done, and what they cost."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from django import forms
from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext, gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from annotation.access import access_batch_to_read, shown_batches
from annotation.batches import pay
from annotation.datasets.charts import Column
from annotation.models import Batch, PayRate
from annotation.review.forecast import LEAST_DAYS
from annotation.review.throughput import read_throughput
from workspace.changed_page import save_shown_values
from workspace.forms import ShownValuesForm
from workspace.models import Project
from workspace.requests import ProjectRequest, project_view
from workspace.roles import Capability
from workspace.shown_values import digest_of

SHOWN_BATCHES = 25


class PayRateForm(ShownValuesForm):
    unit = forms.ChoiceField(
        label=gettext_lazy("Paid per"),
        required=False,
        choices=[("", gettext_lazy("not given")), *PayRate.Unit.choices],
    )
    amount = forms.DecimalField(required=False, max_digits=12, decimal_places=4, label=gettext_lazy("Amount"))
    currency = forms.CharField(
        required=False,
        max_length=3,
        help_text=gettext_lazy("Three letters, for example EUR."),
        widget=forms.TextInput(attrs={"autocapitalize": "characters", "autocomplete": "off"}),
        label=gettext_lazy("Currency"),
    )

    def __init__(self, *args: object, project: Project, **kwargs: object) -> None:
        values = pay.pay_values(pay.pay_rate(project))
        kwargs["initial"] = values | {"shown": digest_of(values)}
        kwargs.setdefault("auto_id", "pay_%s")
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.fields["unit"].help_text = gettext("Only people's work counts; it is shown to managers alone.")
        self.add_bootstrap_classes()


def _columns(numbers: Mapping[Any, int], label: Any) -> list[Column]:
    longest = max(numbers.values(), default=0) or 1
    return [
        Column(label(at), value, place, f"{100 * value / longest:.2f}", f"{100 - 100 * value / longest:.2f}")
        for place, (at, value) in enumerate(numbers.items())
    ]


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def all_throughput(request: ProjectRequest) -> HttpResponse:
    """Of the open batches, in the order in which they are handed out."""
    manages = Capability.MANAGE in request.capabilities
    found = shown_batches(Batch.objects.open_to_annotators(request.project), request.capabilities)
    batches = list(found[: SHOWN_BATCHES + 1])
    context = {
        "rows": [read_throughput(batch, with_cost=manages) for batch in batches[:SHOWN_BATCHES]],
        "more": len(batches) > SHOWN_BATCHES,
        "least_days": LEAST_DAYS,
        "rate": pay.pay_rate(request.project) if manages else None,
        "pay_form": PayRateForm(project=request.project) if manages else None,
    }
    return render(request, "annotation/review/all_throughput.html", context)


@require_GET
@never_cache
@project_view(Capability.REVIEW)
def throughput(request: ProjectRequest, pk: int) -> HttpResponse:
    batch = access_batch_to_read(request.project, pk, request.capabilities)
    found = read_throughput(batch, with_cost=Capability.MANAGE in request.capabilities)
    charts: list[dict[str, Any]] = [
        {
            "title": gettext("Judgments a day"),
            "columns": _columns(found.by_day, lambda day: date_format(day, gettext("j M"))),
        },
        {
            "title": gettext("Judgments an hour"),
            "columns": _columns(found.by_hour, lambda hour: date_format(localtime(hour), gettext("j M H:i"))),
        },
    ]
    for chart in charts:
        chart["most"] = max(chart["columns"], key=lambda column: column.value)
    context = {"batch": batch, "row": found, "charts": charts, "least_days": LEAST_DAYS}
    return render(request, "annotation/review/throughput.html", context)


@require_POST
@project_view(Capability.MANAGE)
def set_pay_rate(request: ProjectRequest) -> HttpResponse:
    return save_shown_values(
        request,
        lambda data: PayRateForm(data, project=request.project),
        partial(pay.set_pay_rate, project=request.project),
        what=gettext("Pay"),
        back=reverse("annotation:all_throughput", args=[request.project.slug]),
        done=gettext("Saved."),
    )
