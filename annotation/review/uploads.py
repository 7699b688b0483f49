"""A manager's page to have answers judged that somebody else's models or people wrote: `import_tasks` with a form."""

from pathlib import Path
from tempfile import TemporaryDirectory

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from annotation.importing.actions import clear_unfinished
from annotation.importing.report import ImportRefused, ImportReport
from annotation.importing.tasks.actions import import_tasks
from annotation.models import Batch
from annotation.review.forms import UploadTasksForm
from learning.interface.options import UserError
from workspace.errors import ActionError
from workspace.requests import ProjectRequest, project_view
from workspace.roles import Capability

# The command's words for a choice, and the page's.
CHOICES = (
    ("leave them out with --skip-bad", "leave them out below"),
    ("--again brings them in", "tick “Bring in tasks that a batch has already” to bring them in"),
    ("name another with --map prompt=COLUMN", "name its column below"),
    ("name another with --map responses=COLUMN", "name the answers' columns below"),
)


@require_http_methods(["GET", "POST"])
@never_cache
@project_view(Capability.MANAGE)
def new_batch(request: ProjectRequest) -> HttpResponse:
    form = UploadTasksForm(request.POST or None, request.FILES or None, project=request.project)
    bad_rows: list[str] = []
    if form.is_bound and form.is_valid():
        try:
            for sentence in clear_unfinished(actor=request.user, project=request.project):
                messages.info(request, sentence)
            batch, report = _import(request, form)
        except (ActionError, UserError) as error:
            form.add_error(None, _in_the_pages_words(str(error)))
            if isinstance(error, ImportRefused) and error.report is not None:
                bad_rows = error.report.lines()
        else:
            _say_what_came_in(request, batch, report)
            return redirect("annotation:batch", slug=request.project.slug, pk=batch.pk)
    context = {"project": request.project, "form": form, "bad_rows": bad_rows}
    return render(request, "annotation/review/new_batch.html", context, status=422 if form.is_bound else 200)


def _import(request: ProjectRequest, form: UploadTasksForm) -> tuple[Batch, ImportReport]:
    values = form.cleaned_data
    file: UploadedFile = values["file"]
    with TemporaryDirectory() as folder:
        # Its own name: a batch is called after it, and CSV is told by it.
        path = Path(folder) / (Path(file.name or "").name or "upload")
        with path.open("wb") as target:
            for chunk in file.chunks():
                target.write(chunk)
        return import_tasks(
            actor=request.user,
            project=request.project,
            path=path,
            mapping=form.mapping(),
            criterion=values["criterion"].name,
            batch_name=values["batch_name"].strip() or None,
            kind=values["kind"] or None,
            overlap=values["overlap"],
            open_at_once=values["open_at_once"],
            again=values["again"],
            skip_bad=values["skip_bad"],
        )


def _say_what_came_in(request: ProjectRequest, batch: Batch, report: ImportReport) -> None:
    counts = ", ".join(f"{count} {what}" for what, count in report.counts.items())
    left_out = f"; {report.bad} of {report.rows} rows left out" if report.bad else ""
    state = "It is open." if batch.state == Batch.State.OPEN else "It is a draft: nobody gets its tasks yet."
    messages.success(request, f"{report.file}: {counts}{left_out}. {state}")
    for note in [*report.notes, *report.lines()]:
        messages.info(request, _in_the_pages_words(note))


def _in_the_pages_words(sentence: str) -> str:
    for command, page in CHOICES:
        sentence = sentence.replace(command, page)
    return sentence
