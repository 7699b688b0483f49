"""manage.py import_demonstrations PROJECT FILE ... [--map field=column ...] [--min-tokens N --tokenizer POLICY]"""

from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from annotation.importing.contents.actions import import_demonstrations
from annotation.importing.lengths import LengthLimits
from annotation.importing.readers.registry import DEMONSTRATION_READERS
from annotation.management.command_line import (
    add_import_arguments,
    add_split_arguments,
    importing,
    parse_column_map,
    parse_split_names,
    print_import_report,
)
from annotation.management.hub_sources import source_paths
from policy_training.management.names import find_policy
from workspace.commands import ProjectCommand
from workspace.errors import ActionError
from workspace.models import Project, User


class Command(ProjectCommand):
    help = "Import demonstrations: all rows or none, unless --skip-bad."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        add_import_arguments(parser, DEMONSTRATION_READERS)
        add_split_arguments(parser)
        parser.add_argument("--prompt-set", default="demonstrations", metavar="NAME")
        parser.add_argument(
            "--min-tokens",
            type=int,
            metavar="N",
            help="Leave out demonstrations whose response has fewer tokens (its end not counted); needs --tokenizer.",
        )
        parser.add_argument("--max-tokens", type=int, metavar="N", help="The same for more tokens.")
        parser.add_argument(
            "--tokenizer", metavar="POLICY", help="Name of the policy whose tokens are counted."
        )

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        with importing(self.stdout, actor=actor, project=project), source_paths(options) as paths:
            report = import_demonstrations(
                actor=actor,
                project=project,
                path=paths,
                format=options["format"],
                mapping=parse_column_map(options["map"]),
                prompt_set=options["prompt_set"],
                skip_bad=options["skip_bad"],
                again=options["again"],
                split_names=parse_split_names(options["split_name"]),
                project_splits=options["project_splits"],
                lengths=length_limits(project, options),
            )
        print_import_report(self.stdout, report, destination=f"the prompt set “{options['prompt_set']}”")


def length_limits(project: Project, options: Mapping[str, Any]) -> LengthLimits | None:
    """Raises ActionError for limits without a tokenizer, and the other way round."""
    least, most, name = options["min_tokens"], options["max_tokens"], options["tokenizer"]
    if least is None and most is None:
        if name is not None:
            raise ActionError("--tokenizer is read only with --min-tokens or --max-tokens: give one of them.")
        return None
    if name is None:
        raise ActionError(
            "--min-tokens and --max-tokens need --tokenizer POLICY, whose tokens are counted; `fine_tune` has the same "
            "limits and counts by the policy it starts from."
        )
    return LengthLimits(
        count=token_counter(find_policy(project, name).artifact.absolute_path),
        counted_by=f"the policy “{name}”",
        least=least or 0,
        most=most,
    )


def token_counter(folder: Path) -> Callable[[str], int]:
    """Tokens of a text as training counts them: nothing in it is taken for a special token."""
    # The tokenizer's library comes with the training packages, which a web machine may do without.
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the library raises nothing more precise
        raise ActionError(
            f"{folder}: its tokenizer.json cannot be read ({error}).", code="unreadable"
        ) from error
    tokenizer.no_truncation()
    tokenizer.encode_special_tokens = True
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)
