"""manage.py benchmark_policy PROJECT POLICY [POLICY ...] --tasks FILE.jsonl | --name NAME"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from policy_training.benchmarks.actions import add_benchmark_file, benchmark_config, benchmark_policies
from policy_training.management.names import find_policy
from runs.management.command_line import queued_line
from workspace.commands import ProjectCommand
from workspace.errors import ActionError
from workspace.models import Project, User


class Command(ProjectCommand):
    help = "Queue the measurement of policies on tasks (perplexity, choices, generated answers); a worker executes it."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("policy", nargs="+")
        parser.add_argument("--tasks", type=Path, metavar="FILE", help="JSON Lines, stored under --name")
        parser.add_argument(
            "--name", help="of tasks that are stored already, or of the new ones (default: the file's name)"
        )
        parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="values of the config")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        path, name = options["tasks"], options["name"]
        config = benchmark_config(options["set"])
        policies = [find_policy(project, given) for given in options["policy"]]
        if path is not None:
            try:
                content = path.read_text("utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise ActionError(f"{path} cannot be read as UTF-8 text: {error}.", code="no_file") from error
            file = add_benchmark_file(actor=actor, project=project, name=name or path.stem, content=content)
        else:
            found = project.benchmark_files.filter(name=name or "").first()
            if found is None:
                raise ActionError(
                    f"The project has no tasks named “{name or ''}”: give a file with --tasks.",
                    code="no_file",
                )
            file = found
        for run in benchmark_policies(
            actor=actor, project=project, policies=policies, file=file, config=config
        ):
            self.stdout.write(queued_line(run))
