"""The only way from an id in a URL to a run. Missing and of another project look the same: 404."""

from typing import BinaryIO

from django.http import Http404

from learning.interface.plain_files import is_plain_file, open_plain
from learning.interface.run_directory import EVALUATION_SAMPLES
from runs.models import Run
from workspace.models import Project

# What of a run's directory may be read through the site. Names, not paths: nothing else can be asked for.
READABLE_FILES = (
    "log.txt",
    "output.txt",
    "config.json",
    "status.json",
    "models.json",
    "metrics.jsonl",
    "samples.jsonl",
    EVALUATION_SAMPLES,
    "judge.json",
    "result.json",
)


def access_run(project: Project, pk: int) -> Run:
    """The run with this id, of a project whose page somebody was let into."""
    run = Run.objects.select_related("requested_by", "cloned_from").filter(project=project, pk=pk).first()
    if run is None:
        raise Http404("No such run.")
    run.project = project
    return run


def access_run_file(run: Run, name: str) -> BinaryIO:
    """A file of the run's directory from the allow-list, open; a link or a pipe in its place is none."""
    if name not in READABLE_FILES:
        raise Http404("No such file.")
    try:
        return open_plain(run.path / name)
    except OSError as error:
        raise Http404("No such file.") from error


def readable_files(run: Run) -> list[str]:
    """What of the allow-list is there."""
    return [name for name in READABLE_FILES if is_plain_file(run.path / name)]
