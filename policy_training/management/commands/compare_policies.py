"""manage.py compare_policies PROJECT POLICY --with POLICY [POLICY ...] --reward-model NAME --prompt-set NAME"""

from argparse import ArgumentParser
from typing import Any

from annotation.models import Source
from policy_training.comparing.actions import compare_policies
from policy_training.management.comparing import add_measuring_arguments, measuring_options
from policy_training.management.names import find_policy
from runs.management.command_line import queued_line
from workspace.commands import ProjectCommand
from workspace.errors import ActionError
from workspace.models import Project, User


class Command(ProjectCommand):
    help = (
        "Queue the comparison of a policy with others on held-out prompts, by reward models, a judge and people; a "
        "worker executes it."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("policy")
        parser.add_argument("--with", nargs="+", default=[], metavar="POLICY", dest="others")
        parser.add_argument("--sources", nargs="+", default=[], metavar="NAME", help="of answers from files")
        parser.add_argument("--outside-server", default="", metavar="NAME", help="that has outside models")
        parser.add_argument(
            "--outside-models", nargs="+", default=[], metavar="MODEL", help="as their server calls them"
        )
        parser.add_argument("--with-reference", action="store_true", help="with what people wrote")
        add_measuring_arguments(parser)

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        sources = []
        for name in options["sources"]:
            found = project.sources.filter(kind=Source.Kind.IMPORT, name=name).first()
            if found is None:
                raise ActionError(f"No file has brought answers of “{name}”.", code="no_source")
            sources.append(found)
        run = compare_policies(
            actor=actor,
            project=project,
            policy=find_policy(project, options["policy"]),
            others=[find_policy(project, name) for name in options["others"]],
            sources=sources,
            outside_models=options["outside_models"],
            with_reference=options["with_reference"],
            **measuring_options(project, options),
        )
        self.stdout.write(queued_line(run))
