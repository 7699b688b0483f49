"""The files of runs that the database speaks of, compared with what lies on disk."""

from learning.interface.options import UserError
from learning.interface.run_directory import RunDirectory
from runs.artifacts import hash_path, size_of_path
from runs.errors import BadArtifact
from runs.models import Artifact, Run
from runs.states import RunState
from workspace.models import Project


def find_artifact_faults(project: Project | None = None, *, read: bool = True) -> tuple[int, list[str]]:
    """How many artifacts there are, and one line for each that is missing or was changed since it was recorded.

    With `read` every file is read and its sha256 compared; without, the sizes alone.
    """
    artifacts = Artifact.objects.order_by("pk")
    if project is not None:
        artifacts = artifacts.filter(project=project)
    faults = []
    for artifact in artifacts:
        path, name = artifact.absolute_path, f"artifact {artifact.pk} ({artifact})"
        try:
            size = size_of_path(path)
            if size == artifact.size_bytes and read and hash_path(path).sha256 != artifact.sha256:
                faults.append(f"{name}: its content is not the one recorded (sha256)")
        except BadArtifact:
            faults.append(f"{name}: nothing is there")
            continue
        except OSError as error:
            faults.append(f"{name}: cannot be read ({error.strerror or error})")
            continue
        if size != artifact.size_bytes:
            faults.append(f"{name}: has {size} bytes, {artifact.size_bytes} were recorded")
    return len(artifacts), faults


def find_result_faults(project: Project | None = None, *, read: bool = True) -> tuple[int, list[str]]:
    """How many runs are done, and one line for each whose folder or result is gone.

    With `read` also one for each input that is not as its manifest says: what a result was computed from.
    """
    runs = Run.objects.filter(state=RunState.DONE).order_by("pk")
    if project is not None:
        runs = runs.filter(project=project)
    faults = []
    for run in runs:
        name = f"run {run.pk} ({run.title})"
        if not run.path.is_dir():
            faults.append(f"{name}: its folder runs/{run.directory} is gone")
        elif not (run.path / "result.json").is_file():
            faults.append(f"{name}: done, but runs/{run.directory}/result.json is gone")
        elif read:
            faults += [f"{name}: {fault}" for fault in _input_faults(run)]
    return len(runs), faults


def _input_faults(run: Run) -> list[str]:
    directory, faults = RunDirectory(run.path), []
    try:
        manifest = directory.manifest()
    except UserError as error:
        return [str(error)]
    for name, entry in manifest.items():
        where = f"runs/{run.directory}/inputs/{entry['file']}"
        try:
            if hash_path(directory.input_path(name)).sha256 != entry["sha256"]:
                faults.append(f"its input {where} is not the one recorded (sha256)")
        except BadArtifact:
            faults.append(f"its input {where} is gone")
        except OSError as error:
            faults.append(f"its input {where} cannot be read ({error.strerror or error})")
    return faults
