"""manage.py correct_project PROJECT [--name NAME] [--description TEXT] [--question CRITERION=TEXT] [--overlap N] ..."""

from argparse import ArgumentParser
from typing import Any

from django.db import transaction

from annotation.batches.corrections import correct_project_and_batches, correct_questions
from workspace.commands import ProjectCommand
from workspace.errors import ActionError
from workspace.models import MAX_LEASE_MINUTES, MAX_OVERLAP, Project, User


class Command(ProjectCommand):
    help = (
        "Correct a project: its name, description, questions, people per task and lease. What is not given stays. Its "
        "address stays; judgments keep the question they answered."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--name", help="everybody on the project sees it at once")
        parser.add_argument("--description", help="annotators read it on the project's first page")
        parser.add_argument(
            "--question",
            action="append",
            default=[],
            metavar="CRITERION=TEXT",
            help="the question of a criterion, in force from the next task on; may be given several times",
        )
        parser.add_argument(
            "--overlap",
            type=int,
            metavar="N",
            help=f"people per task, 1 to {MAX_OVERLAP}, of batches to come",
        )
        parser.add_argument(
            "--batches-too",
            action="store_true",
            help="also of batches that are not closed; without --overlap they get the project's",
        )
        parser.add_argument(
            "--lease",
            type=int,
            metavar="MINUTES",
            help=f"minutes a task stays reserved, 1 to {MAX_LEASE_MINUTES}",
        )

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        values = {
            "name": options["name"],
            "description": options["description"],
            "overlap": options["overlap"],
            "lease_minutes": options["lease"],
        }
        questions = dict(map(_question, options["question"]))
        if not (questions or options["batches_too"] or any(value is not None for value in values.values())):
            raise ActionError("Say what to correct: --name, --description, --question, --overlap or --lease.")
        with transaction.atomic():
            project = correct_project_and_batches(
                actor=actor, project=project, adjust_batches=options["batches_too"], **values
            )
            if questions:
                correct_questions(actor=actor, project=project, questions=questions)
        self.stdout.write(
            f"{project.name}: {project.overlap} per task, reserved for {project.lease_minutes} minutes."
        )
        for criterion in project.criteria.order_by("pk"):
            self.stdout.write(f"{criterion.name}: {criterion.question}")


def _question(given: str) -> tuple[str, str]:
    criterion, equals, text = given.partition("=")
    if not equals or not text.strip():
        raise ActionError(
            f"“{given}”: a question is given as CRITERION=TEXT, for example helpful=Which helps more?"
        )
    return criterion.strip(), text.strip()
