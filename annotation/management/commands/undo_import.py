"""manage.py undo_import PROJECT [IMPORT]: take an import back, or list the imports there are"""

from argparse import ArgumentParser
from typing import Any

from annotation.importing.actions import clear_unfinished, take_back_import
from annotation.importing.report import describe_counts
from annotation.importing.take_back import reason_to_keep
from annotation.models import Import
from workspace.commands import ProjectCommand
from workspace.errors import ActionError
from workspace.models import Project, User


class Command(ProjectCommand):
    help = (
        "Take an import back as a whole: nobody sees its rows any more and the file can be imported again. Without a "
        "number the project's imports are listed. Once a dataset, a run or a round was made with it, an import stays; "
        "`manage.py exclude_batch` keeps its judgments out of later datasets."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("number", nargs="?", type=int, metavar="IMPORT", help="its number")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        for sentence in clear_unfinished(actor=actor, project=project):
            self.stdout.write(sentence)
        if options["number"] is None:
            self._list(project)
            return
        imported = project.imports.filter(pk=options["number"]).first()
        if imported is None:
            raise ActionError(
                f"The project {project.slug} has no import {options['number']}: `manage.py undo_import {project.slug}` "
                "lists those it has."
            )
        hidden = take_back_import(actor=actor, imported=imported)
        counts = describe_counts(hidden) or "nothing"
        self.stdout.write(f"Took back {imported}: {counts}.")

    def _list(self, project: Project) -> None:
        imports = project.imports.select_related("actor").order_by("pk")
        for imported in imports:
            files = ", ".join(file["name"] for file in imported.files)
            counts = describe_counts(imported.counts_in_order())
            state = "" if imported.state == Import.State.DONE else f", {imported.get_state_display().lower()}"
            used = "" if not reason_to_keep(imported) or state else ", in use"
            self.stdout.write(
                f"{imported.pk}  {imported.created_at:%Y-%m-%d %H:%M}  {imported.actor.username}  "
                f"{imported.kind}  {files}: {counts}{state}{used}"
            )
        if not imports:
            self.stdout.write(f"Nothing was imported into {project.slug} yet.")
