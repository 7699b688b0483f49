"""Every export format read by its real readers: all by datasets.load_dataset, TRL's by its trainers.

    .venv/bin/python benchmarks/export_readers.py --peer var/trl

A temporary installation gets 120 rankings of 2 to 5 answers with ties, strengths and several turns, as many of which
nobody said a strength, and 20 whose answers call tools; every format is exported in every kind of file, and with the
options that trainers ask for. In the peer's environment each folder is loaded and counted against its manifest, and
RewardTrainer, DPOTrainer, KTOTrainer and SFTTrainer make some steps on theirs, with a tiny Llama made there; losses
must be finite and weights move.

TRL comes from a virtual environment of its own, `python3 -m venv var/trl` and `var/trl/bin/pip install trl==1.16.0
torch==2.13.0 datasets==5.2.0`. The last line is JSON: exports, read, trained (runs of a trainer), failed.
"""

import argparse
import json
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from trainers.processes import machine_load, run_peer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
PAIRS, DPO, KTO, SFT = ["RewardTrainer"], ["DPOTrainer"], ["KTOTrainer"], ["SFTTrainer"]
# Format and options -> the trainers that read such rows.
TRAINED: list[tuple[str, dict[str, Any], list[str]]] = [
    ("trl", {}, PAIRS + DPO),
    ("trl", {"columns": "documented"}, PAIRS + DPO),
    ("trl", {"plain": True}, PAIRS + DPO),
    ("trl", {"margin": "none", "files": "jsonl"}, PAIRS + DPO),
    ("openrlhf", {"files": "jsonl"}, PAIRS + DPO),
    ("kto", {}, KTO),
    ("kto", {"plain": True}, KTO),
    ("sft", {}, SFT),
    ("sft", {"plain": True}, SFT),
]


def rows(count: int, *, calls: bool = False, strengths: bool = True) -> Iterator[dict[str, Any]]:
    rng = random.Random(count)
    for number in range(count):
        size = rng.randint(2, 5)
        ranks = [rng.randrange(size) for _ in range(size)]
        asked = [{"role": "user", "content": f"Question {number}, “ä” | 👩‍🍳?"}]
        if number % 3 == 0:
            asked = [
                *asked,
                {"role": "assistant", "content": "Which one?"},
                {"role": "user", "content": "That one."},
            ]
        texts = [f"answer {place} to {number}\n= + @ “quotes” & tabs\t" for place in range(size)]
        responses: list[Any] = list(texts)
        if calls:
            responses = [[call(text), {"role": "assistant", "content": text}] for text in texts]
        yield {
            "prompt": asked,
            "responses": responses,
            "ranks": ranks,
            "strengths": [rng.randint(0, 3) if strengths else None for _ in range(len(set(ranks)) - 1)],
            "annotator": f"w{number % 3}",
        }


def call(text: str) -> dict[str, Any]:
    function = {"name": "look", "arguments": json.dumps({"for": text})}
    return {
        "role": "assistant",
        "content": "",
        "tool_calls": [{"id": "c1", "type": "function", "function": function}],
    }


def write_exports(folder: Path) -> list[dict[str, Any]]:
    """The exports of a new installation below the folder: name, folder, rows by split, trainers."""
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "ROUNDTABLE_DATA_DIR": str(folder / "site"),
        "ROUNDTABLE_DEBUG": "1",
    }
    os.environ.pop("ROUNDTABLE_DATABASE_URL", None)
    import django

    django.setup()
    from django.core.management import call_command

    from annotation.datasets.actions import freeze_dataset
    from annotation.exporting.actions import export_preferences
    from annotation.exporting.formats.registry import EXPORT_FORMATS
    from annotation.importing.actions import import_comparisons
    from learning.interface.vocabulary import SPLITS
    from workspace.actions import create_project
    from workspace.models import User

    call_command("migrate", verbosity=0)
    manager = User.objects.create_superuser("manager", password=None)
    exports = []
    sets = {
        "graded": rows(120),
        "without strengths": rows(120, strengths=False),
        "calls": rows(20, calls=True),
    }
    for name, made in sets.items():
        project = create_project(actor=manager, name=name)
        path = folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in made))
        import_comparisons(actor=manager, project=project, path=path, format="ranked")
        dataset = freeze_dataset(actor=manager, project=project)
        asked = [
            (format, {"files": files}, [])
            for format, one in EXPORT_FORMATS.items()
            for files in one.file_kinds
            # What has calls is no transcript, no tree and no HelpSteer row: nothing is left of it.
            if not (name == "calls" and format in ("hh", "oasst", "helpsteer3"))
        ]
        if name == "graded":
            asked += TRAINED
        if name == "without strengths":
            # A margin that nobody gave is null, which RewardTrainer does not take.
            asked = [("trl", {"margin": "none"}, PAIRS + DPO), ("openrlhf", {}, DPO), ("nemo", {}, [])]
        for format, options, trainers in asked:
            title = " ".join([name, format, *(f"{key}={value}" for key, value in options.items())])
            out = folder / f"export {len(exports)}"
            manifest = export_preferences(actor=manager, dataset=dataset, out=out, format=format, **options)
            counts = {split: manifest["counts"][split] for split in SPLITS if split in manifest["counts"]}
            exports.append({"name": title, "folder": str(out), "rows": counts, "trainers": trainers})
    return exports


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer", type=Path, required=True, help="virtual environment with TRL and datasets")
    parser.add_argument("--steps", type=int, default=3, help="of each trainer (default: 3)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"Before: {machine_load()}.", flush=True)
        exports = write_exports(folder)
        report = run_peer(
            options.peer, "read_exports.py", folder, {"exports": exports, "steps": options.steps}
        )
    readers = ("load_dataset", "RewardTrainer", "DPOTrainer", "KTOTrainer", "SFTTrainer")
    failures = []
    trained = 0
    for result in report["results"]:
        outcomes = {reader: result[reader] for reader in readers if reader in result}
        trained += sum(isinstance(outcome, list) for outcome in outcomes.values())
        failures += [result["export"] for outcome in outcomes.values() if str(outcome).startswith("failed")]
        said = "; ".join(f"{reader} {outcome}" for reader, outcome in outcomes.items())
        print(f"{result['export']}: {result['rows']} rows; {said}")
    print(
        json.dumps(
            {
                "peer": report["version"],
                "exports": len(exports),
                "read": sum(result["load_dataset"] == "read" for result in report["results"]),
                "trained": trained,
                "failed": failures,
            }
        )
    )
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
