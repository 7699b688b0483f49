"""manage.py compare_conversations PROJECT NAME [--batch LIVE ...] [--answers N] [--least-turns N] [--open]"""

from argparse import ArgumentParser
from typing import Any

from annotation.conversation.comparing import ComparedConversations, make_batch_from_conversations
from annotation.models import LiveBatch
from workspace.commands import ProjectCommand
from workspace.criteria import find_criterion
from workspace.errors import ActionError
from workspace.models import Project, User


class Command(ProjectCommand):
    help = (
        "Make a batch that compares whole live conversations which begin with the same message, from the first answer "
        "to the last."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="of the new batch")
        parser.add_argument(
            "--batch",
            action="append",
            default=[],
            metavar="NAME",
            help="whose conversations: a batch of live conversations (repeatable; default: all)",
        )
        parser.add_argument(
            "--answers", type=int, default=2, help="conversations of a task, at most (default: 2)"
        )
        parser.add_argument(
            "--least-turns", type=int, default=2, help="leave out shorter conversations (default: 2)"
        )
        parser.add_argument("--criterion", help="name (default: the only one)")
        parser.add_argument("--overlap", type=int, help="how many people judge each task")
        parser.add_argument(
            "--compared-too",
            action="store_true",
            help="also conversations that a batch of the criterion compares already",
        )
        parser.add_argument("--open", action="store_true", help="hand the tasks out at once; else a draft")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        found = LiveBatch.objects.select_related("batch").filter(
            batch__project=project, batch__name__in=options["batch"]
        )
        if missing := set(options["batch"]) - {live.batch.name for live in found}:
            raise ActionError(f"The project has no live conversations “{min(missing)}”.", code="no_batch")
        batch = make_batch_from_conversations(
            actor=actor,
            chosen=ComparedConversations(
                project=project,
                live=list(found),
                most=options["answers"],
                least_turns=options["least_turns"],
                skip_compared=not options["compared_too"],
            ),
            criterion=find_criterion(project, options["criterion"]),
            name=options["name"],
            overlap=options["overlap"],
            open_at_once=options["open"],
        )
        state = "open" if options["open"] else "a draft"
        self.stdout.write(f"The batch “{batch.name}” has {batch.tasks.count()} tasks; it is {state}.")
