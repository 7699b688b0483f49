"""manage.py select_policy PROJECT [POLICY ...] --rule RULE"""

from argparse import ArgumentParser
from typing import Any

from policy_training.management.names import find_policy
from policy_training.models import Policy, PolicySelection
from policy_training.selecting.actions import select_policy
from policy_training.selecting.queries import comparisons_of, evaluations_of, newest_evaluations
from policy_training.selecting.wording import reason_of, settled_text
from workspace.commands import ProjectCommand
from workspace.errors import ActionError
from workspace.models import Project, User


class Command(ProjectCommand):
    help = (
        "Choose one of several policies by a rule, from evaluations or comparisons on the same prompts; record why. "
        "Without --evaluations and --comparisons each policy's newest evaluation counts."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("policies", nargs="*", metavar="POLICY", help="default: all that were measured")
        parser.add_argument("--rule", required=True, choices=PolicySelection.Rule.values)
        parser.add_argument("--max-kl", type=float, metavar="NATS", help="of reward_within_kl")
        parser.add_argument(
            "--judged-by",
            default="",
            choices=PolicySelection.JudgedBy.values,
            help="who says who wins, of best_win_rate (default: the reward model)",
        )
        parser.add_argument("--reward-model", default="", metavar="NAME", help="of the newest evaluations")
        parser.add_argument("--prompt-set", default="", metavar="NAME", help="of the newest evaluations")
        parser.add_argument("--evaluations", nargs="+", type=int, default=[], metavar="NUMBER")
        parser.add_argument("--comparisons", nargs="+", type=int, default=[], metavar="NUMBER")
        parser.add_argument("--pin", action="store_true", help="make it the project's selected policy")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        policies = [find_policy(project, name) for name in options["policies"]]
        evaluations = _named(evaluations_of(project), options["evaluations"])
        comparisons = _named(comparisons_of(project), options["comparisons"])
        which = {name: options[name] for name in ("reward_model", "prompt_set")}
        if evaluations or comparisons:
            if any(which.values()):
                raise ActionError(
                    "--reward-model and --prompt-set say which evaluations count; these are named already.",
                    code="unread_option",
                )
        else:
            among = policies or list(Policy.objects.filter(project=project).order_by("pk"))
            evaluations = newest_evaluations(project, among, **which)
            if options["rule"] == PolicySelection.Rule.LAST and not any(which.values()):
                # The newest is chosen measured or not.
                evaluations, policies = [], among
        selection = select_policy(
            actor=actor,
            project=project,
            rule=options["rule"],
            policies=policies,
            evaluations=evaluations,
            comparisons=comparisons,
            max_kl=options["max_kl"],
            judged_by=options["judged_by"],
            pin=options["pin"],
        )
        pinned = " It is the project's selected policy now." if options["pin"] else ""
        self.stdout.write(f"Selected {selection.policy.name}: {reason_of(selection)}.{pinned}")
        if settled := settled_text(selection):
            self.stdout.write(settled)


def _named(rows: list[Any], numbers: list[int]) -> list[Any]:
    found = {row.pk: row for row in rows}
    for number in numbers:
        if number not in found:
            raise ActionError(
                f"The project has no measurement {number} of this kind; it has "
                f"{', '.join(map(str, sorted(found))) or 'none'}.",
                code="not_measured",
            )
    return [found[number] for number in dict.fromkeys(numbers)]
