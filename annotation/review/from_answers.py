"""The pages that make a batch of answers that are there already, at once or by the worker."""

from typing import Any

from django import forms
from django.db.models import Count
from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from annotation.assigning.forms import AUDIENCE_FIELDS, AudienceFields, chosen_audience
from annotation.making.finding import MAX_ANSWERS, Answers, count_tasks, nothing_found
from annotation.making.queueing import MAKE_BATCH, batch_of_run, make_or_queue
from annotation.models import PromptSet, Source
from runs.models import Run
from runs.waiting import access_run_of_kind, waiting_context, waiting_response
from workspace.errors import ActionError
from workspace.forms import StyledFormMixin, offer_rows
from workspace.models import MAX_OVERLAP, Criterion, Project
from workspace.requests import ProjectRequest, project_view
from workspace.roles import Capability

# The preview looks at no more of either.
PREVIEW_PROMPTS = 5_000
PREVIEW_ANSWERS = 20_000


class SourcesField(forms.ModelMultipleChoiceField):
    def label_from_instance(self, obj: Any) -> str:
        return f"{obj.name} ({obj.get_kind_display().lower()}, {obj.n_responses} answers)"


class FromAnswersForm(StyledFormMixin, AudienceFields):
    name = forms.CharField(max_length=120, label=gettext_lazy("Name of the batch"))
    criterion = forms.ModelChoiceField(
        Criterion.objects.none(), empty_label=None, label=gettext_lazy("Criterion")
    )
    prompt_set = forms.ModelChoiceField(
        PromptSet.objects.none(), empty_label=None, label=gettext_lazy("Prompt set")
    )
    prompts = forms.IntegerField(
        required=False,
        min_value=1,
        max_value=2**31 - 1,
        label=gettext_lazy("How many of its prompts"),
        help_text=gettext_lazy("Empty: all of them."),
    )
    sources = SourcesField(
        Source.objects.none(),
        required=False,
        label=gettext_lazy("Whose answers"),
        widget=forms.CheckboxSelectMultiple,
        help_text=gettext_lazy("None chosen: everybody's. Annotators never learn whose an answer is."),
    )
    most = forms.IntegerField(
        min_value=1,
        max_value=MAX_ANSWERS,
        initial=2,
        label=gettext_lazy("Answers per task, at most"),
        help_text=gettext_lazy(
            "1: every answer alone, to be rated. 2: pairs, 3 to 9: rankings. Of more answers, those of different "
            "sources come first."
        ),
    )
    skip_asked = forms.BooleanField(
        required=False,
        initial=True,
        label=gettext_lazy("Leave out prompts that a batch of this criterion has already"),
    )
    overlap = forms.IntegerField(
        required=False, min_value=1, max_value=MAX_OVERLAP, label=gettext_lazy("People per task")
    )
    open_at_once = forms.BooleanField(
        required=False,
        label=gettext_lazy("Hand the tasks out at once"),
        help_text=gettext_lazy("Else the batch is a draft to look at."),
    )

    def __init__(self, data: Any = None, *, project: Project, initial: Any = None) -> None:
        super().__init__(data, initial=initial)
        self.project = project
        sources = project.sources.annotate(n_responses=Count("responses")).filter(n_responses__gt=0)
        criteria = project.criteria.order_by("pk")
        offer_rows(
            self,
            criterion=criteria,
            prompt_set=project.prompt_sets.order_by("-pk"),
            sources=sources.order_by("kind", "name"),
        )
        self.fields["criterion"].initial = criteria.first()
        self.fields["overlap"].widget.attrs["placeholder"] = str(project.overlap)
        self.add_bootstrap_classes()
        self.offer(project, {})
        self.fields["sources"].widget.attrs["class"] = "form-check-input"

    def audience_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in AUDIENCE_FIELDS if name in self.fields]

    def answers(self) -> Answers:
        values = self.cleaned_data
        return Answers(
            project=self.project,
            prompt_set=values["prompt_set"],
            sources=list(values["sources"]),
            prompts=values["prompts"],
            most=values["most"],
            skip_asked=values["skip_asked"],
        )


@require_http_methods(["GET", "POST"])
@never_cache
@project_view(Capability.MANAGE)
def batch_from_answers(request: ProjectRequest) -> HttpResponse:
    """`?part=preview` says what the choice would make, of the first prompts where there are many."""
    project = request.project
    if request.method == "GET" and request.GET.get("part") == "preview":
        form = FromAnswersForm(request.GET, project=project)
        context: dict[str, Any] = {"form": form}
        form.fields["name"].required = False
        if form.is_valid():
            found = count_tasks(
                form.answers(),
                form.cleaned_data["criterion"],
                at_most=PREVIEW_PROMPTS,
                at_most_answers=PREVIEW_ANSWERS,
            )
            nothing = "" if found.tasks or found.has_more else nothing_found(found, form.answers())
            context |= {
                "found": found,
                "nothing": nothing,
                "rates": form.answers().most == 1,
            }
        return render(request, "annotation/review/from_answers_preview.html", context)
    form = FromAnswersForm(request.POST or None, project=project, initial=request.GET.dict())
    if form.is_bound and form.is_valid():
        values = form.cleaned_data
        try:
            made = make_or_queue(
                actor=request.user,
                answers=form.answers(),
                audience=chosen_audience(values),
                **{name: values[name] for name in ("criterion", "name", "overlap", "open_at_once")},
            )
        except ActionError as error:
            form.add_error(None, error.message)
            for name, sentence in error.fields.items():
                if name in form.fields:
                    form.add_error(name, sentence)
        else:
            page = "annotation:batch_being_made" if isinstance(made, Run) else "annotation:batch"
            return redirect(page, slug=project.slug, pk=made.pk)
    return render(
        request, "annotation/review/from_answers.html", {"form": form}, status=422 if form.is_bound else 200
    )


@require_GET
@never_cache
@project_view(Capability.MANAGE)
def batch_being_made(request: ProjectRequest, pk: int) -> HttpResponse:
    """How far the worker is, and the batch once it is whole."""
    run = access_run_of_kind(request.project, pk, MAKE_BATCH)
    if run.is_finished and (made := batch_of_run(run)) is not None:
        return redirect("annotation:batch", slug=request.project.slug, pk=made.pk)
    return render(request, "annotation/review/batch_being_made.html", waiting_context(run))


@require_GET
@never_cache
@project_view(Capability.MANAGE)
def batch_being_made_live(request: ProjectRequest, pk: int) -> HttpResponseBase:
    run = access_run_of_kind(request.project, pk, MAKE_BATCH)
    page = reverse("annotation:batch_being_made", args=[request.project.slug, run.pk])
    return waiting_response(request, run, template="annotation/review/batch_being_made_live.html", page=page)
