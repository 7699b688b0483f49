"""manage.py queue PROJECT [--release ID | --task ID --priority N | --task ID --one-more]"""

from argparse import ArgumentParser
from typing import Any

from annotation.models import Task
from annotation.queue.managing import ask_one_more, change_task_priority, release_lease
from annotation.review.queue import held_tasks, stuck_tasks
from workspace.commands import ProjectCommand
from workspace.errors import ActionError
from workspace.models import Project, User

SHOWN = 100


class Command(ProjectCommand):
    help = "Who holds which task and what is stuck; or end a lease, change a task's priority, ask one more person."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--release", type=int, metavar="ID", help="end this lease, as the list names it")
        parser.add_argument(
            "--task", type=int, metavar="ID", help="which task --priority and --one-more are for"
        )
        parser.add_argument("--priority", type=int, metavar="N", help="higher ones are given out first")
        parser.add_argument("--one-more", action="store_true", help="have one more person judge the task")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        changes = options["priority"] is not None or options["one_more"]
        if changes != (options["task"] is not None):
            raise ActionError("--task says of which task --priority or --one-more speaks: give both.")
        if options["release"] is not None:
            lease = held_tasks(project).filter(pk=options["release"]).first()
            if lease is None:
                raise ActionError(f"Nobody holds a task by the lease {options['release']} in {project.slug}.")
            release_lease(actor=actor, assignment=lease)
            self.stdout.write(f"{lease.annotator.username} does not hold task {lease.task_id} any more.")
        if changes:
            task = Task.objects.filter(
                batch__project=project, batch__visible=True, pk=options["task"]
            ).first()
            if task is None:
                raise ActionError(f"The project {project.slug} has no task {options['task']}.")
            if options["priority"] is not None:
                change_task_priority(actor=actor, task=task, priority=options["priority"])
                self.stdout.write(f"Task {task.pk} has the priority {options['priority']}.")
            if options["one_more"]:
                ask_one_more(actor=actor, task=task)
                self.stdout.write(f"One more person is asked to judge task {task.pk}.")
        if not changes and options["release"] is None:
            self._show(project)

    def _show(self, project: Project) -> None:
        held, stuck = held_tasks(project), stuck_tasks(project)
        for lease in held.order_by("leased_until")[:SHOWN]:
            until = lease.leased_until.isoformat(" ", "minutes")
            name, batch = lease.annotator.username, lease.task.batch.name
            self.stdout.write(f"lease {lease.pk}: task {lease.task_id} of “{batch}”, {name}, until {until}")
        for task in stuck.order_by("pk")[:SHOWN]:
            trouble = task.trouble
            self.stdout.write(
                f"stuck: task {task.pk} of “{task.batch.name}”, skipped by {trouble.skipped}, given back unjudged "
                f"{trouble.expired} times"
            )
        self.stdout.write(f"{held.count()} held, {stuck.count()} stuck (at most {SHOWN} of each are listed).")
