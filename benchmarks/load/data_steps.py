"""One step of benchmarks/data.py in the environment of a site; prints {seconds, peak_mb, ...} as its last line.

Steps: create, import FILE, copy --judgments N, freeze NAME, export DATASET OUT ..., ask.

`peak_mb` is the largest resident size of the step above that of the same process with everything imported.
"""

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django  # noqa: E402

django.setup()

from django.db import connection, transaction  # noqa: E402
from django.db.models import Model  # noqa: E402
from load.filling import copy_rows, open_session  # noqa: E402

from annotation.datasets.actions import freeze_dataset  # noqa: E402
from annotation.exporting.actions import export_preferences, export_selection  # noqa: E402
from annotation.importing.actions import import_comparisons  # noqa: E402
from annotation.models import (  # noqa: E402
    Assignment,
    CurrentJudgment,
    Judgment,
    PreferenceDataset,
    Prompt,
    Response,
    Task,
    TaskResponse,
)
from annotation.queue.counters import find_counter_drift  # noqa: E402
from workspace.actions import create_project  # noqa: E402
from workspace.models import Project, User  # noqa: E402


def manager() -> User:
    return User.objects.get(username="manager")


def create(options: argparse.Namespace) -> dict[str, Any]:
    actor = User.objects.create_user(username="manager", password="correct horse battery")
    return {"project": create_project(actor=actor, name="Data").slug}


def import_file(options: argparse.Namespace) -> dict[str, Any]:
    _, report = import_comparisons(
        actor=manager(), project=Project.objects.get(), path=Path(options.file), format="trl"
    )
    return {"judgments": report.counts["judgments"]}


def copy(options: argparse.Namespace) -> dict[str, Any]:
    """Copies of what was imported, made by the database, until there are so many judgments."""
    models = (Prompt, Response, Task, TaskResponse, Assignment, Judgment, CurrentJudgment)
    shifts: dict[type[Model], int] = {
        model: model._default_manager.order_by("-pk").values_list("pk", flat=True)[0] for model in models
    }
    copies = options.judgments // Judgment.objects.count() - 1
    order = shifted("t.order_shown", shifts[Response], ("0", "1"), nested=False)
    text = "t.{0} || '-' || CAST(n.i AS TEXT)"
    others: dict[type[Model], dict[str, str]] = {
        Prompt: {"external_id": text.format("external_id")},
        Response: {"external_id": text.format("external_id")},
        Assignment: {
            "order_shown": order,
            "public_id": "gen_random_uuid()"
            if connection.vendor == "postgresql"
            else "lower(hex(randomblob(16)))",
        },
        Judgment: {
            "idempotency_key": text.format("idempotency_key"),
            "order_shown": order,
            "tiers": shifted("t.tiers", shifts[Response], ("0,0", "1,0"), nested=True),
        },
    }
    with transaction.atomic():
        for model in models:
            copy_rows(model, shifts, copies, others=others.get(model, {}))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    if drift := find_counter_drift(Project.objects.get())[:3]:
        raise RuntimeError(f"The copies' counters do not agree: {drift}")
    return {"judgments": Judgment.objects.count()}


def shifted(column: str, shift: int, paths: Sequence[str], *, nested: bool) -> str:
    """The two response keys of a JSON list (`nested`: each in a list of its own), as those of copy n.i."""
    if connection.vendor == "postgresql":
        array, keys = "jsonb_build_array", [f"({column} #>> '{{{path}}}')::bigint" for path in paths]
    else:
        places = ["".join(f"[{place}]" for place in path.split(",")) for path in paths]
        array, keys = "json_array", [f"json_extract({column}, '${place}')" for place in places]
    keys = [f"{key} + n.i * {shift}" for key in keys]
    return f"{array}({', '.join(f'{array}({key})' if nested else key for key in keys)})"


def freeze(options: argparse.Namespace) -> dict[str, Any]:
    dataset = freeze_dataset(actor=manager(), project=Project.objects.get(), name=options.name)
    return {"judgments": dataset.counts["judgments"]}


def ask(options: argparse.Namespace) -> dict[str, Any]:
    """What the requests of load/api_lists.py need: the manager's session, and names to filter by."""
    judgment = Judgment.objects.select_related("task__batch__criterion", "annotator").order_by("pk")[0]
    return {
        "project": Project.objects.get().slug,
        "session": open_session(manager())["session"],
        "found": {
            "batch": judgment.task.batch_id,
            "criterion": judgment.task.batch.criterion.name,
            "annotator": judgment.annotator.pseudonym,
        },
    }


def export(options: argparse.Namespace) -> dict[str, Any]:
    """Of a frozen dataset, or with the name "" of what is there now, as the command does without --dataset."""
    how = {"out": Path(options.out), "format": options.format, "files": options.files, "actor": manager()}
    if options.dataset:
        dataset = PreferenceDataset.objects.get(name=options.dataset)
        manifest = export_preferences(dataset=dataset, **how)
    else:
        manifest = export_selection(project=Project.objects.get(), selection={}, **how)
    return {"rows": manifest["counts"]["rows"]}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    steps = parser.add_subparsers(dest="step", required=True)
    steps.add_parser("create")
    steps.add_parser("import").add_argument("file")
    steps.add_parser("copy").add_argument("--judgments", type=int, required=True)
    steps.add_parser("ask")
    steps.add_parser("freeze").add_argument("name")
    exporting = steps.add_parser("export")
    for name in ("dataset", "out"):
        exporting.add_argument(name)
    exporting.add_argument("--format", default="records")
    exporting.add_argument("--files", default="parquet")
    options = parser.parse_args()
    known: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
        "create": create,
        "import": import_file,
        "copy": copy,
        "freeze": freeze,
        "export": export,
        "ask": ask,
    }
    floor = peak_mb()
    begun = time.monotonic()
    found = known[options.step](options)
    seconds = time.monotonic() - begun
    print(json.dumps({"seconds": round(seconds, 2), "peak_mb": round(peak_mb() - floor), **found}))


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
