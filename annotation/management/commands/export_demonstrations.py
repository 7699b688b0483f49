"""manage.py export_demonstrations PROJECT OUT [--format records|sft] [--plain] [--prompt-set NAME] [--split S]"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from annotation.datasets.shards import FILE_KINDS
from annotation.exporting.demonstrations import FORMATS, export_demonstrations
from annotation.models import PromptSet
from annotation.text import safe_excerpt
from learning.interface.vocabulary import SPLITS
from workspace.commands import ProjectCommand
from workspace.errors import ActionError
from workspace.models import Project, User


class Command(ProjectCommand):
    help = (
        "Write the project's demonstrations as a folder that datasets.load_dataset reads: our own records, or messages "
        "as SFT trainers read them. import_demonstrations reads both."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("out", help="A folder that is not there yet.")
        parser.add_argument("--format", default=FORMATS[0], choices=FORMATS)
        parser.add_argument(
            "--plain", action="store_true", help="Of sft: prompt and completion as texts instead of messages."
        )
        parser.add_argument("--prompt-set", help="Only demonstrations of its prompts.")
        parser.add_argument("--split", choices=SPLITS)
        parser.add_argument("--files", default="parquet", choices=FILE_KINDS)

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        out = Path(options["out"])
        manifest = export_demonstrations(
            actor=actor, project=project, out=out, format=options["format"], plain=options["plain"],
            prompt_set=_prompt_set(project, options["prompt_set"]), split=options["split"], files=options["files"],
        )  # fmt: skip
        losses = "".join(f" {loss['count']} {loss['meaning']}." for loss in manifest["losses"].values())
        self.stdout.write(f"{safe_excerpt(str(out))}: {manifest['counts']['rows']} demonstrations.{losses}")


def _prompt_set(project: Project, name: str | None) -> PromptSet | None:
    if name is None:
        return None
    found = project.prompt_sets.filter(name=name).first()
    if found is None:
        names = ", ".join(project.prompt_sets.order_by("name").values_list("name", flat=True)[:20]) or "none"
        raise ActionError(f"There is no prompt set “{name}”; there is {names}.", code="no_prompt_set")
    return found
