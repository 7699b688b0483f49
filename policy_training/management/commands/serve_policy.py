"""manage.py serve_policy PROJECT NAME [--start [--max-prompt-tokens N] [--max-waiting-requests N] ... | --stop]"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from policy_training.serving.actions import start_policy_serving, stop_policy_serving
from policy_training.serving.limits import NAMES, ServingLimits
from policy_training.serving.presentation import serving_of, state_words
from workspace.commands import ProjectCommand
from workspace.models import Project, User

_USUAL = ServingLimits()


class Command(ProjectCommand):
    help = "Whether a policy is loaded for live conversations; have a worker load it, or unload it."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="of the policy")
        wanted = parser.add_mutually_exclusive_group()
        wanted.add_argument("--start", action="store_true", help="have a worker load it")
        wanted.add_argument("--stop", action="store_true", help="unload it when what it writes is written")
        context = "what the model's context allows"
        for name, of, usual in (
            ("max_prompt_tokens", "longer conversations lose their earliest turns", context),
            ("max_response_tokens", "what one answer may have", context),
            ("max_waiting_requests", "answers that may wait; more are refused", _USUAL.max_waiting_requests),
            (
                "abandoned_after_seconds",
                "an answer that nobody has asked about for so long is ended",
                _USUAL.abandoned_after_seconds,
            ),
        ):
            parser.add_argument(
                f"--{name.replace('_', '-')}",
                type=int,
                metavar="N",
                help=f"of --start: {of}; none: {usual}",
            )

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        policy = project.policies.filter(name=options["name"]).first()
        if policy is None:
            raise CommandError(f"“{options['name']}” is no policy of the project “{project.slug}”.")
        limits = {name: options[name] for name in NAMES}
        if options["start"]:
            start_policy_serving(actor=actor, policy=policy, **limits)
        elif any(value is not None for value in limits.values()):
            raise CommandError("Limits are set by a start: add --start.")
        elif options["stop"]:
            stop_policy_serving(actor=actor, policy=policy)
        serving = serving_of(policy)
        said = [f"{policy.name}: {state_words(serving)}"]
        if serving.error:
            said.append(serving.error)
        if serving.ready_at and serving.state == serving.State.READY:
            said.append(f"{serving.n_requests:,} answers, {serving.n_tokens:,} tokens")
        self.stdout.write(". ".join(part.rstrip(".") for part in said) + ".")
