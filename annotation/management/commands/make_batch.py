"""manage.py make_batch PROJECT NAME --prompt-set SET [--source NAME ...] [--answers N] [--open]"""

from argparse import ArgumentParser
from typing import Any

from annotation.making.finding import Answers
from annotation.making.queueing import make_or_queue
from annotation.management.audience_arguments import add_audience_arguments, chosen_audience
from annotation.management.names import find_prompt_set
from runs.models import Run
from workspace.commands import ProjectCommand
from workspace.criteria import find_criterion
from workspace.errors import ActionError
from workspace.models import Project, User


class Command(ProjectCommand):
    help = (
        "Make a batch of answers that are there already: a task for each prompt of a set with two or more of them, or "
        "for each answer that is to be rated."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="of the new batch")
        parser.add_argument("--prompt-set", required=True, metavar="NAME")
        parser.add_argument("--prompts", type=int, help="how many of its prompts (default: all)")
        parser.add_argument(
            "--source",
            action="append",
            default=[],
            metavar="NAME",
            help="whose answers: a policy, a file, a person (repeatable; default: everybody's)",
        )
        parser.add_argument(
            "--answers",
            type=int,
            default=2,
            help="of a task, at most (default: 2); 1: every answer alone, to be rated",
        )
        parser.add_argument("--criterion", help="name (default: the only one)")
        parser.add_argument("--overlap", type=int, help="how many people judge each task")
        parser.add_argument(
            "--asked-too", action="store_true", help="also prompts that a batch of the criterion has already"
        )
        parser.add_argument(
            "--priority", type=int, default=0, help="batches with a higher one are handed out first"
        )
        add_audience_arguments(parser)
        parser.add_argument("--open", action="store_true", help="hand the tasks out at once; else a draft")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        prompt_set = find_prompt_set(project, options["prompt_set"])
        sources = list(project.sources.filter(name__in=options["source"]))
        if missing := set(options["source"]) - {source.name for source in sources}:
            raise ActionError(f"Nothing of the project has answers by “{min(missing)}”.", code="no_source")
        made = make_or_queue(
            actor=actor,
            answers=Answers(
                project=project,
                prompt_set=prompt_set,
                sources=sources,
                prompts=options["prompts"],
                most=options["answers"],
                skip_asked=not options["asked_too"],
            ),
            criterion=find_criterion(project, options["criterion"]),
            name=options["name"],
            overlap=options["overlap"],
            priority=options["priority"],
            audience=chosen_audience(options),
            open_at_once=options["open"],
        )
        if isinstance(made, Run):
            self.stdout.write(
                f"There are many answers to look at: a worker makes the batch (run {made.pk}; manage.py worker)."
            )
            return
        state = "open" if options["open"] else "a draft"
        self.stdout.write(f"The batch “{made.name}” has {made.tasks.count()} tasks; it is {state}.")
