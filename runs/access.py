"""The only way from an id in a URL to a run. Missing and of another project look the same: 404."""

from pathlib import Path

from django.http import Http404

from runs.models import Run
from workspace.models import Project

# What of a run's directory may be read through the site. Names, not paths: nothing else can be asked for.
READABLE_FILES = (
    "log.txt",
    "output.txt",
    "config.json",
    "status.json",
    "metrics.jsonl",
    "samples.jsonl",
    "result.json",
)


def access_run(project: Project, pk: int) -> Run:
    """The run with this id, of a project whose page somebody was let into."""
    run = Run.objects.select_related("requested_by", "cloned_from").filter(project=project, pk=pk).first()
    if run is None:
        raise Http404("No such run.")
    run.project = project
    return run


def access_run_file(run: Run, name: str) -> Path:
    """A file of the run's directory from the allow-list; a link that leads out of the directory is not one."""
    if name not in READABLE_FILES:
        raise Http404("No such file.")
    path = run.path / name
    if path.is_symlink() or not path.is_file() or not path.resolve().is_relative_to(run.path.resolve()):
        raise Http404("No such file.")
    return path
