"""manage.py decide_task PROJECT TASK [--order "B > A" --kind KIND [--strengths 2] [--because TEXT] [--supersedes N]]"""

from argparse import ArgumentParser
from typing import Any

from annotation.adjudication.actions import current_decision, decide_task
from annotation.adjudication.listing import answers_to_decide
from annotation.errors import InvalidDecision
from annotation.models import DisagreementKind, Judgment, Task
from annotation.preferences.scale import labels_to_responses, tiers_to_labels
from workspace.commands import ProjectCommand
from workspace.errors import ActionError
from workspace.models import Project, User


class Command(ProjectCommand):
    help = "Show what annotators said of a task, without their names; with --order, decide it."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("task", type=int, help="its number, as `disagreements` lists it")
        parser.add_argument("--order", metavar="ORDER", help="the best first, a tie by =: 'B > A = C'")
        parser.add_argument("--kind", choices=DisagreementKind.values, help="why the annotators disagreed")
        parser.add_argument(
            "--strengths", nargs="+", type=int, metavar="N", help="of each > from the left: 0 to 3"
        )
        parser.add_argument("--because", default="", metavar="TEXT", help="for who reads the decision later")
        parser.add_argument(
            "--supersedes", type=int, metavar="N", help="the decision that it takes the place of"
        )

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        task = Task.objects.filter(batch__project=project, batch__visible=True, pk=options["task"]).first()
        if task is None:
            raise ActionError(f"The project {project.slug} has no task {options['task']}.")
        answers = answers_to_decide(task)
        keys = [response.pk for response in answers]
        if options["order"] is None:
            self._show(task, keys, [response.text for response in answers])
            return
        if options["kind"] is None:
            raise InvalidDecision(f"Say why they disagreed, --kind: {', '.join(DisagreementKind.values)}.")
        tiers = _read_order(options["order"], labels_to_responses(keys))
        made = decide_task(
            actor=actor,
            task=task,
            order_shown=keys,
            tiers=tiers,
            strengths=options["strengths"] or [None] * (len(tiers) - 1),
            kind=options["kind"],
            rationale=options["because"],
            expected=options["supersedes"],
        )
        self.stdout.write(f"Task {task.pk} is decided: decision {made.pk}.")

    def _show(self, task: Task, keys: list[int], texts: list[str]) -> None:
        for label, text in zip(labels_to_responses(keys), texts, strict=True):
            self.stdout.write(f"{label}: {text}")
        for judgment in Judgment.objects.current().filter(task=task).order_by("pk"):
            self.stdout.write(f"judgment {judgment.pk}: {_in_letters(judgment, keys)}")
        if (decision := current_decision(task)) is not None:
            stands = Judgment.objects.current().filter(task=decision.decision_task_id).first()
            said = _in_letters(stands, keys) if stands else "withdrawn"
            self.stdout.write(f"decision {decision.pk} ({decision.kind}): {said}")


def _in_letters(judgment: Judgment, keys: list[int]) -> str:
    tiers = tiers_to_labels(keys, judgment.tiers)
    return " > ".join(" = ".join(tier) for tier in tiers)


def _read_order(order: str, key_of: dict[str, int]) -> list[list[int]]:
    tiers = [[label.strip().upper() for label in tier.split("=")] for tier in order.split(">")]
    if sorted(label for tier in tiers for label in tier) != sorted(key_of):
        raise InvalidDecision(
            f"“{order}” is no order of {', '.join(key_of)}: name each once, the best first, as in "
            f"'{' > '.join(key_of)}'."
        )
    return [[key_of[label] for label in tier] for tier in tiers]
