"""manage.py export_texts PROJECT OUT [--split S] [--files parquet|jsonl]"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from annotation.datasets.shards import FILE_KINDS
from annotation.exporting.actions import export_texts
from annotation.text import safe_excerpt
from learning.interface.vocabulary import SPLITS
from workspace.commands import ProjectCommand
from workspace.models import Project, User


class Command(ProjectCommand):
    help = "Write the project's plain texts, with id, licence and split, as a folder that datasets.load_dataset reads."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("out", help="A folder that is not there yet.")
        parser.add_argument("--split", choices=SPLITS)
        parser.add_argument("--files", default="parquet", choices=FILE_KINDS)

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        out = Path(options["out"])
        manifest = export_texts(
            actor=actor, project=project, out=out, split=options["split"], files=options["files"]
        )
        self.stdout.write(f"{safe_excerpt(str(out))}: {manifest['counts']['rows']} texts.")
