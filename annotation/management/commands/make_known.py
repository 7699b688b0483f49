"""manage.py make_known PROJECT BATCH [--training NAME]"""

from argparse import ArgumentParser
from typing import Any

from annotation.judging.gold import MAX_AT_ONCE, make_known_tasks
from annotation.management.names import find_batch
from annotation.models import Judgment
from annotation.qualification.actions import add_practice
from workspace.commands import ProjectCommand
from workspace.errors import ActionError
from workspace.models import Project, User


class Command(ProjectCommand):
    help = (
        "Copy the judged tasks of a batch as tasks whose answer is known: what was judged there is right. They are "
        f"mixed in among other tasks, or become the tasks of a training. At most {MAX_AT_ONCE} at once."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("batch", metavar="BATCH", help="its name")
        parser.add_argument("--training", metavar="NAME", help="for this training")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        batch = find_batch(project, options["batch"])
        judgments = list(
            Judgment.objects.counted()
            .in_batch(batch)
            .select_related("task__batch__criterion")
            .order_by("-pk")[:MAX_AT_ONCE]
        )
        if options["training"]:
            training = (
                project.trainings.select_related("batch__criterion").filter(name=options["training"]).first()
            )
            if training is None:
                raise ActionError(f"The project has no training “{options['training']}”.", code="no_training")
            made = add_practice(actor=actor, training=training, judgments=judgments)
        else:
            made = make_known_tasks(actor=actor, project=project, judgments=judgments)
        self.stdout.write(
            f"{made} new tasks whose answer is known; {len(judgments) - made} were there already."
        )
