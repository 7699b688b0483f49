"""manage.py judge_batch PROJECT BATCH --server NAME --model MODEL"""

from argparse import ArgumentParser
from typing import Any

from annotation.management.names import find_batch
from policy_training.judging.actions import judge_batch, judge_config
from runs.management.command_line import queued_line
from workspace.commands import ProjectCommand
from workspace.models import Project, User


class Command(ProjectCommand):
    help = (
        "Queue the judging of a batch by a language model on one of the site's servers (ROUNDTABLE_MODEL_SERVERS); "
        "a worker executes it."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("batch")
        parser.add_argument("--server", required=True, metavar="NAME")
        parser.add_argument("--model", required=True, help="as the server calls it")
        parser.add_argument("--question", help="what it is asked (default: the criterion's question)")
        parser.add_argument(
            "--tasks", type=int, help="how many of those that it has not judged (default: all, up to 10,000)"
        )
        parser.add_argument(
            "--in-place-of-people",
            action="store_true",
            help="its judgments are some of those the tasks ask for (default: they stand beside people's)",
        )
        parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="values of the config")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        batch = find_batch(project, options["batch"])
        run = judge_batch(
            actor=actor,
            project=project,
            batch=batch,
            config=judge_config(
                server=options["server"],
                model=options["model"],
                question=options["question"] or batch.criterion.question,
                assignments=options["set"],
            ),
            takes_slots=options["in_place_of_people"],
            tasks=options["tasks"],
        )
        self.stdout.write(queued_line(run))
