"""manage.py open_live_batch PROJECT NAME --policy A [--policy B] [--temperature T ...] --quota N"""

from argparse import ArgumentParser
from typing import Any

from annotation.conversation.batches import LivePlan, open_live_batch
from annotation.models import Source
from workspace.commands import ProjectCommand
from workspace.criteria import find_criterion
from workspace.errors import ActionError
from workspace.models import Project, User


class Command(ProjectCommand):
    help = (
        "Open a batch of live conversations: two policies, or one at two temperatures, answer side by side."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="of the new batch")
        parser.add_argument(
            "--policy", action="append", required=True, metavar="NAME", help="once, or once for each side"
        )
        parser.add_argument(
            "--temperature",
            action="append",
            type=float,
            help="once for both, or once for each side (default: 1)",
        )
        parser.add_argument("--quota", type=int, required=True, help="how many judged turns are asked for")
        parser.add_argument("--criterion", help="name (default: the only one)")
        parser.add_argument("--top-p", type=float, default=1.0)
        parser.add_argument("--system-prompt", default="", help="what both policies are told")
        parser.add_argument("--instruction", default="", help="what annotators are asked to talk about")
        parser.add_argument(
            "--opener", action="append", default=[], help="a first message to choose (repeatable)"
        )
        parser.add_argument("--max-turns", type=int, default=10)
        parser.add_argument("--max-response-tokens", type=int, default=256)
        parser.add_argument("--max-message-characters", type=int, default=4000)

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        sources = [_find_source(project, name) for name in _both("--policy", options["policy"])]
        temperatures = _both("--temperature", options["temperature"] or [1.0])
        batch = open_live_batch(
            actor=actor,
            project=project,
            criterion=find_criterion(project, options["criterion"]),
            name=options["name"],
            quota=options["quota"],
            plan=LivePlan(
                first_source=sources[0],
                second_source=sources[1],
                first_temperature=temperatures[0],
                second_temperature=temperatures[1],
                top_p=options["top_p"],
                system_prompt=options["system_prompt"],
                instruction=options["instruction"],
                openers=options["opener"],
                max_turns=options["max_turns"],
                max_response_tokens=options["max_response_tokens"],
                max_message_characters=options["max_message_characters"],
            ),
        )
        self.stdout.write(
            f"The batch “{batch.name}” is open for conversations, until {batch.quota} turns are judged."
        )


def _both(option: str, values: list[Any]) -> list[Any]:
    if len(values) > 2:
        raise ActionError(f"{option} is given once for both sides, or once for each.", code="too_many")
    return [values[0], values[-1]]


def _find_source(project: Project, name: str) -> Source:
    found = project.sources.filter(name=name, kind=Source.Kind.POLICY).first()
    if found is None:
        raise ActionError(f"The project has no policy “{name}”.", code="no_source")
    return found
