"""manage.py set_audience PROJECT BATCH [--people A,B] [--groups A,B] [--skills A,B] [--all-skills] ..."""

from argparse import ArgumentParser
from typing import Any

from annotation.assigning.actions import ALL, ANY, set_batch_audience
from annotation.assigning.words import audience_words
from annotation.management.audience_arguments import split_names
from annotation.management.names import find_batch
from annotation.models import Batch
from workspace.commands import ProjectCommand
from workspace.models import Project, User


class Command(ProjectCommand):
    help = (
        "Say who gets a batch: named people and the members of groups (neither: everybody), of these who have the "
        "skills it asks for. What is not given stays; what people have open stays theirs."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("batch", metavar="BATCH", help="its name")
        parser.add_argument("--people", metavar="A,B", help="user names, these and no others; '' for none")
        parser.add_argument("--groups", metavar="A,B", help="these and no others")
        parser.add_argument("--skills", metavar="A,B", help="skills and languages, these and no others")
        rule = parser.add_mutually_exclusive_group()
        rule.add_argument(
            "--any-skill", dest="rule", action="store_const", const=ANY, help="one of them is enough"
        )
        rule.add_argument("--all-skills", dest="rule", action="store_const", const=ALL, help="all are needed")
        parser.add_argument("--person-quota", type=int, metavar="N", help="tasks a person; 0: no such limit")
        parser.add_argument("--priority", type=int, metavar="N", help="the highest is handed out first")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        batch = find_batch(project, options["batch"])
        set_batch_audience(
            actor=actor,
            batch=batch,
            people=split_names(options["people"]),
            groups=split_names(options["groups"]),
            skills=split_names(options["skills"]),
            skills_asked=options["rule"],
            person_quota=options["person_quota"],
            priority=options["priority"],
        )
        now = Batch.objects.get(pk=batch.pk)
        self.stdout.write(f"The batch “{now.name}”: {audience_words(now)}; priority {now.priority}.")
