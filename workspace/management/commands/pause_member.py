"""manage.py pause_member PROJECT USERNAME [--undo]"""

from argparse import ArgumentParser
from typing import Any

from workspace.commands import ProjectCommand
from workspace.errors import ActionError
from workspace.members import pause_member, resume_member
from workspace.models import Project, User


class Command(ProjectCommand):
    help = (
        "Pause somebody of a project: they get no tasks; what they have on the screen, and all else of theirs, stays. "
        "--undo: they get tasks again."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username", metavar="USERNAME", help="of a member of the project")
        parser.add_argument("--undo", action="store_true", help="resume: tasks again")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        membership = (
            project.memberships.select_related("user").filter(user__username=options["username"]).first()
        )
        if membership is None:
            raise ActionError(
                f"The project {project.slug} has no member {options['username']}.", code="not_a_member"
            )
        change = resume_member if options["undo"] else pause_member
        change(actor=actor, project=project, user=membership.user)
        gets = "gets tasks again" if options["undo"] else "gets no tasks"
        self.stdout.write(f"{membership.user.username} {gets} on {project.name}.")
