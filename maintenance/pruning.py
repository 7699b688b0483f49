"""What can be removed from DATA_DIR without losing anything that a record calls a result, and removing it.

Always: what runs that are done leave behind, what was half-written by a process that is gone, and folders of ours that
no record names. To meet a budget also the checkpoints of failed and cancelled runs, those that ended longest ago first:
started again, such a run begins anew. Never: models, datasets, inputs, logs and metrics of any run on record.
"""

import os
import re
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import transaction

from annotation.models import PreferenceDataset
from learning.interface.run_directory import RunDirectory
from runs.freeing import intermediates
from runs.models import Artifact, Run
from runs.states import FINISHED, RunState

# A folder is there before the row that names it: an import or a dataset that is being made may take this long.
ORPHAN_AGE_SECONDS = 24 * 3600
TEMPORARY_AGE_SECONDS = 3600
RANDOM_NAME = re.compile(r"[0-9a-f]{32}")  # of a run's and a dataset's folder
COPIED_MODEL_NAME = re.compile(r".+-[0-9a-f]{8}")  # policy_training/imports/preparation.py


@dataclass(frozen=True, kw_only=True)
class Removable:
    path: Path
    size: int
    why: str
    run: int | None = None  # whose checkpoints: looked at once more, under the lock of its row
    only_for_budget: bool = False


@dataclass(frozen=True, kw_only=True)
class Pruned:
    removed: tuple[Removable, ...]
    used_before: int
    used_after: int

    @property
    def freed(self) -> int:
        return sum(found.size for found in self.removed)


def prune(*, budget: int | None = None, dry_run: bool = False) -> Pruned:
    """Remove what can be; with a budget in bytes for all of DATA_DIR, also what only costs time to have again."""
    data_dir = Path(settings.DATA_DIR)
    used = folder_size(data_dir)
    removed = []
    left = used
    for found in find_removable(data_dir):
        if found.only_for_budget and (budget is None or left <= budget):
            continue
        if dry_run or _remove(found):
            removed.append(found)
            left -= found.size
    after = left if dry_run else folder_size(data_dir)
    return Pruned(removed=tuple(removed), used_before=used, used_after=after)


def find_removable(data_dir: Path) -> list[Removable]:
    """In the order in which it goes: what only a budget asks for comes last."""
    now = time.time()
    found = [
        *_intermediates_of_done_runs(data_dir),
        *_half_written(data_dir, now - TEMPORARY_AGE_SECONDS),
        *_without_a_record(data_dir, now - ORPHAN_AGE_SECONDS),
        *_checkpoints_of_stopped_runs(data_dir),
    ]
    return [each for each in found if each.path.is_symlink() is False]


def folder_size(folder: Path) -> int:
    """Bytes of all files below; a file that goes meanwhile counts nothing."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except FileNotFoundError:
                continue
    return total


def _intermediates_of_done_runs(data_dir: Path) -> Iterator[Removable]:
    if settings.RUN_KEEP_CHECKPOINTS:
        return
    for run in Run.objects.filter(state=RunState.DONE).order_by("pk").only("directory", "title", "config"):
        folder = data_dir / "runs" / run.directory
        for path in intermediates(run, folder):
            why = f"{path.relative_to(folder)} of “{run.title}”, which is done"
            yield Removable(path=path, size=folder_size(path), why=why, run=run.pk)


def _checkpoints_of_stopped_runs(data_dir: Path) -> Iterator[Removable]:
    stopped = Run.objects.filter(state__in=FINISHED - {RunState.DONE}).order_by("finished_at", "pk")
    for run in stopped.only("directory", "title", "state"):
        path = data_dir / "runs" / run.directory / "checkpoints"
        if path.is_dir() and any(path.iterdir()):
            state = run.get_state_display().lower()
            why = f"checkpoints of “{run.title}” ({state}): started again it begins anew"
            size = folder_size(path)
            yield Removable(path=path, size=size, why=why, run=run.pk, only_for_budget=True)


def _half_written(data_dir: Path, before: float) -> Iterator[Removable]:
    active = set(Run.objects.active().values_list("directory", flat=True))
    patterns = (
        "runs/.*.tmp",
        "datasets/.*.partial",
        "downloads/.*.partial",
        "models/.*.partial",
        "models/.*.tmp",
        "runs/*/.*.tmp",
    )
    paths = [path for pattern in patterns for path in data_dir.glob(pattern)]
    paths += data_dir.glob("runs/*/checkpoints/tmp-*")
    for path in paths:
        parts = path.relative_to(data_dir).parts
        if not (parts[0] == "runs" and parts[1] in active) and _newest(path) < before:
            yield Removable(path=path, size=_size(path), why="half-written by a process that is gone")


def _without_a_record(data_dir: Path, before: float) -> Iterator[Removable]:
    runs = set(Run.objects.values_list("directory", flat=True))
    datasets = set(PreferenceDataset.objects.values_list("directory", flat=True))
    artifacts = set(Artifact.objects.values_list("path", flat=True))
    configs = " ".join(str(config) for config in Run.objects.values_list("config", flat=True))
    for path in _folders(data_dir / "runs", RANDOM_NAME):
        below = f"runs/{path.name}/"
        named = path.name in runs or any(name.startswith(below) for name in artifacts)
        if not named and _newest(path) < before:
            yield Removable(path=path, size=_size(path), why="a run's folder that no run on record has")
    for path in _folders(data_dir / "datasets", RANDOM_NAME):
        if f"datasets/{path.name}" not in datasets and _newest(path) < before:
            yield Removable(
                path=path, size=_size(path), why="a dataset's folder that no dataset on record has"
            )
    for path in _folders(data_dir / "models", COPIED_MODEL_NAME):
        name = f"models/{path.name}"
        if name not in artifacts and name not in configs and _newest(path) < before:
            yield Removable(path=path, size=_size(path), why="a copied model that no record names")


def _folders(folder: Path, name: re.Pattern[str]) -> Sequence[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if name.fullmatch(path.name) and path.is_dir())


def _size(path: Path) -> int:
    return folder_size(path) if path.is_dir() else path.lstat().st_size


def _newest(path: Path) -> float:
    """When anything in it was last written."""
    times = [path.lstat().st_mtime]
    for place, folders, names in os.walk(path):
        for name in (*folders, *names):
            try:
                times.append(os.lstat(os.path.join(place, name)).st_mtime)
            except FileNotFoundError:
                continue
    return max(times)


def _remove(found: Removable) -> bool:
    """False: it is in use by now, or has gone."""
    if found.run is None:
        return _delete(found.path)
    with transaction.atomic():
        # Under the lock nobody starts the run again; what is renamed then is found by nobody.
        run = Run.objects.select_for_update(no_key=True).filter(pk=found.run, state__in=FINISHED).first()
        if run is None or RunDirectory(run.path).is_locked() or not found.path.is_dir():
            return False
        going = found.path.with_name(f".{found.path.name}.{os.getpid()}.tmp")
        found.path.rename(going)
    return _delete(going)


def _delete(path: Path) -> bool:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
    return not path.exists()
