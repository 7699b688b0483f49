"""manage.py qualify PROJECT TRAINING USERNAME [--again] [--note TEXT]"""

from argparse import ArgumentParser
from typing import Any

from annotation.qualification.actions import ask_again, let_through
from workspace.commands import ProjectCommand
from workspace.errors import ActionError
from workspace.models import Project, User


class Command(ProjectCommand):
    help = "Give somebody the work without passing its training; --again: ask them for the training again."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("training", metavar="TRAINING", help="its name")
        parser.add_argument("username", metavar="USERNAME", help="of a member of the project")
        parser.add_argument("--again", action="store_true", help="ask for it again")
        parser.add_argument("--note", default="", help="why; managers read it")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        training = project.trainings.filter(name=options["training"]).first()
        if training is None:
            raise ActionError(f"The project has no training “{options['training']}”.", code="no_training")
        person = User.objects.filter(username=options["username"], memberships__project=project).first()
        if person is None:
            raise ActionError(
                f"The project {project.slug} has no member {options['username']}.", code="not_a_member"
            )
        change = ask_again if options["again"] else let_through
        change(actor=actor, training=training, annotator=person, note=options["note"])
        said = "is asked for it again" if options["again"] else "gets the work"
        self.stdout.write(f"{person.username} {said} ({training.name}).")
