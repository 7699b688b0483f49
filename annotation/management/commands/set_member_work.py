"""manage.py set_member_work PROJECT USERNAME [--groups A,B] [--skills A,B] [--daily-limit N]"""

from argparse import ArgumentParser
from typing import Any

from annotation.assigning.actions import set_member_work
from annotation.management.audience_arguments import split_names
from workspace.commands import ProjectCommand
from workspace.errors import ActionError
from workspace.models import Project, User


class Command(ProjectCommand):
    help = (
        "Set the groups, skills and daily limit of a member; what is not given stays. Batches can be for groups, and "
        "ask for skills (set_audience)."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username", metavar="USERNAME", help="of a member of the project")
        parser.add_argument("--groups", metavar="A,B", help="these and no others; '' for none")
        parser.add_argument("--skills", metavar="A,B", help="skills and languages, these and no others")
        parser.add_argument(
            "--daily-limit", type=int, metavar="N", help="tasks a day; 0: the project's limit"
        )

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        name = options["username"]
        membership = project.memberships.filter(user__username=name).first()
        if membership is None:
            raise ActionError(f"The project {project.slug} has no member {name}.", code="not_a_member")
        now = set_member_work(
            actor=actor,
            project=project,
            membership=membership,
            groups=split_names(options["groups"]),
            skills=split_names(options["skills"]),
            daily_limit=options["daily_limit"],
        )
        limit = f"{now['daily_limit']} tasks a day" if now["daily_limit"] else "the project's daily limit"
        groups, skills = (", ".join(now[kind]) or "none" for kind in ("groups", "skills"))
        self.stdout.write(f"{name}: groups {groups}; skills {skills}; {limit}.")
