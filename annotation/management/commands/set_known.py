"""manage.py set_known PROJECT TASK ORDER [--also ORDER ...] [--tolerance N] [--least-pairs PERCENT]"""

from argparse import ArgumentParser
from typing import Any

from annotation.judging.gold import MAX_ORDERS, set_gold_judgment
from annotation.models import GoldJudgment, Task
from annotation.preferences.scale import RESPONSE_LABELS
from annotation.preferences.written_orders import parse_order, write_order
from workspace.commands import ProjectCommand
from workspace.errors import ActionError
from workspace.models import Project, User


class Command(ProjectCommand):
    help = (
        "Say what is right of a task whose answer is known. An order names the answers as its page does: “A > B = C”, "
        "with how much better where that is known (0 to 3): “A >2 B”."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "task", type=int, metavar="TASK", help="its number, as in the address of its page"
        )
        parser.add_argument("order", metavar="ORDER")
        parser.add_argument(
            "--also",
            action="append",
            default=[],
            metavar="ORDER",
            help=f"another order that is right as well (repeatable, at most {MAX_ORDERS} times)",
        )
        parser.add_argument(
            "--tolerance",
            type=int,
            metavar="N",
            help="places of the scale that a pair may be off (default: which is better is enough)",
        )
        parser.add_argument(
            "--least-pairs",
            type=float,
            default=100,
            metavar="PERCENT",
            help="of its pairs that must be right",
        )
        parser.add_argument("--explanation", help="why, for who is in training (default: stays as it is)")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        known = (Task.Purpose.GOLD, Task.Purpose.PRACTICE)
        task = Task.objects.filter(
            pk=options["task"], batch__project=project, batch__visible=True, purpose__in=known
        ).first()
        if task is None:
            raise ActionError(
                f"The project has no task {options['task']} whose answer is known.", code="no_such_task"
            )
        keys = list(task.task_responses.order_by("position").values_list("response_id", flat=True))
        key_of = dict(zip(RESPONSE_LABELS, keys, strict=False))

        def order(text: str) -> tuple[list[list[int]], list[int | None]]:
            try:
                tiers, strengths = parse_order(text, list(key_of))
            except ValueError as error:
                raise ActionError(str(error), code="bad_order") from error
            return [[key_of[label] for label in tier] for tier in tiers], strengths

        there = GoldJudgment.objects.filter(task=task).first()
        explanation = options["explanation"]
        if explanation is None:
            explanation = there.explanation if there else ""
        tiers, strengths = order(options["order"])
        also = [order(text) for text in options["also"]]
        gold = set_gold_judgment(
            actor=actor,
            task=task,
            tiers=tiers,
            strengths=strengths,
            also_right=[{"tiers": one, "strengths": steps} for one, steps in also],
            tolerance=options["tolerance"],
            least_pairs=options["least_pairs"] / 100,
            explanation=explanation,
            expected_version=there.version if there else 0,
        )
        label_of = {key: label for label, key in key_of.items()}
        written = [
            write_order([[label_of[key] for key in tier] for tier in one], steps)
            for one, steps in (
                (gold.tiers, gold.strengths),
                *((o["tiers"], o["strengths"]) for o in gold.also_right),
            )
        ]
        self.stdout.write(f"Right of task {task.pk}: {' or '.join(written)}.")
