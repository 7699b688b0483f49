"""manage.py fine_tune PROJECT NAME: a policy from the project's demonstrations."""

import json
import math
from argparse import ArgumentParser
from typing import Any

from annotation.batches.exclusion import find_batches
from learning.interface.vocabulary import ANNOTATOR_KINDS, PERSON
from policy_training.chaining.actions import Recipe, start_or_chain
from policy_training.management.language_models import add_language_model_arguments, language_model_options
from policy_training.management.starting import what_was_started
from policy_training.supervised.preferred_answers import PreferredAnswers
from policy_training.supervised.rated_answers import RatedAnswers
from workspace.commands import ProjectCommand
from workspace.criteria import find_criterion
from workspace.errors import ActionError
from workspace.models import Project, User


class Command(ProjectCommand):
    help = "Queue supervised fine-tuning on the project's demonstrations; a worker executes it."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        add_language_model_arguments(parser)
        parser.add_argument(
            "--pretrain",
            action="store_true",
            help="as `pretrain --data demonstrations`: the loss counts every token, not the responses only",
        )

        parser.add_argument(
            "--every-assistant-turn",
            action="store_true",
            help="learn every assistant turn of a demonstration, not only its last (data.every_assistant_turn)",
        )
        parser.add_argument(
            "--texts-share", type=float, metavar="S", help="of the rows: pretraining texts (data.texts_share)"
        )
        parser.add_argument(
            "--min-tokens",
            type=int,
            metavar="N",
            help="leave out demonstrations whose response has fewer tokens of the policy's tokenizer",
        )
        parser.add_argument("--max-tokens", type=int, metavar="N", help="the same for more tokens")
        parser.add_argument(
            "--rated",
            nargs=2,
            metavar=("MARK", "AT_LEAST"),
            help="learn also from answers whose mean of this mark, over the people who gave it, is at least so much",
        )

        parser.add_argument(
            "--put-first",
            type=float,
            metavar="SHARE",
            help="learn also from answers that at least this share (0.5: half) of those who compared them put first",
        )
        parser.add_argument("--put-first-by", metavar="CRITERION", help="by this criterion (default: by any)")
        parser.add_argument(
            "--batch",
            action="append",
            metavar="NAME",
            help="rated or put first in this batch (repeatable; default: in any that is not excluded)",
        )
        parser.add_argument(
            "--annotator-kinds",
            nargs="+",
            default=[PERSON],
            choices=ANNOTATOR_KINDS,
            help="by annotators of these kinds (default: person)",
        )

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        data = {
            "every_assistant_turn": options["every_assistant_turn"] or None,
            "texts_share": options["texts_share"],
            "min_demonstration_tokens": options["min_tokens"],
            "max_demonstration_tokens": options["max_tokens"],
        }
        options["set"] = [
            f"data.{name}={json.dumps(value)}" for name, value in data.items() if value is not None
        ] + options["set"]
        arguments = {"actor": actor, "project": project, **language_model_options(project, options)}
        rated = _rated(options["rated"])
        preferred = _preferred(project, options["put_first"], options["put_first_by"])
        if options["pretrain"]:
            batches, kinds = options["batch"], options["annotator_kinds"]
            for name, value in (
                ("--rated", rated),
                ("--put-first", preferred),
                ("--batch", batches),
                ("--annotator-kinds", None if kinds == [PERSON] else kinds),
            ):
                if value is not None:
                    raise ActionError(f"{name} is for fine-tuning: leave --pretrain out.", code="bad_option")
            started = start_or_chain(Recipe.PRETRAIN, **arguments, data="demonstrations")
        else:
            started = start_or_chain(
                Recipe.SFT,
                **arguments,
                rated=rated,
                preferred=preferred,
                batches=find_batches(project, options["batch"]),
                annotator_kinds=options["annotator_kinds"],
            )
        self.stdout.write(what_was_started(started))


def _rated(given: list[str] | None) -> RatedAnswers | None:
    if given is None:
        return None
    mark, least = given
    try:
        at_least = float(least)
    except ValueError:
        at_least = math.nan
    if not math.isfinite(at_least):
        raise ActionError(f"--rated {mark} {least}: the second is a number.", code="bad_option")
    return RatedAnswers(mark=mark, at_least=at_least)


def _preferred(project: Project, share: float | None, criterion: str | None) -> PreferredAnswers | None:
    if share is None:
        if criterion is not None:
            raise ActionError("--put-first-by needs --put-first SHARE.", code="bad_option")
        return None
    by = find_criterion(project, criterion).name if criterion is not None else ""
    return PreferredAnswers(at_least=share, criterion=by)
