"""Mixtures of prompt sets on the command line."""

from argparse import ArgumentParser
from collections.abc import Mapping
from typing import Any

from policy_training.mixtures.fields import NUMBERS, WEIGHTS, mixture_of, parsed_shares
from policy_training.mixtures.options import REFUSE, REPEAT, TOP_UP, PromptMixture

COMPARED, TRAINED = "compared", "trained"
WHAT = {COMPARED: "that people compare", TRAINED: "that the policy is trained on"}


def add_mixture_arguments(parser: ArgumentParser, use: str) -> None:
    parser.add_argument(
        f"--{use}-set",
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help=f"a set of the prompts {WHAT[use]}, and its share (repeatable; default: --prompt-set alone)",
    )
    parser.add_argument(
        f"--{use}-are", choices=[WEIGHTS, NUMBERS], default=WEIGHTS, help="what those numbers are"
    )
    again = ", prompts of earlier rounds" if use == COMPARED else ""
    parser.add_argument(
        f"--{use}-short",
        choices=[REFUSE, TOP_UP, *([REPEAT] if use == COMPARED else [])],
        default=REFUSE,
        help=f"when a set has too few: nothing starts, more of the other sets{again}",
    )
    if use == TRAINED:
        parser.add_argument(
            "--trained-prompts",
            type=int,
            help="of shares: how many (default: as many as the smallest set allows)",
        )


def mixture_from_options(options: Mapping[str, Any], use: str) -> PromptMixture:
    """Raises UserError."""
    return mixture_of(
        parsed_shares("\n".join(options[f"{use}_set"])),
        by_numbers=options[f"{use}_are"] == NUMBERS,
        when_short=options[f"{use}_short"],
        prompts=options["trained_prompts"] if use == TRAINED else None,
    )
