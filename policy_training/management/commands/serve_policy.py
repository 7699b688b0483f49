"""manage.py serve_policy PROJECT NAME [--start [--max-prompt-tokens N] [--max-response-tokens N] | --stop]"""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from policy_training.serving.actions import start_policy_serving, stop_policy_serving
from policy_training.serving.presentation import serving_of, state_words
from workspace.commands import ProjectCommand
from workspace.models import Project, User


class Command(ProjectCommand):
    help = "Whether a policy is loaded for live conversations; have a worker load it, or unload it."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="of the policy")
        wanted = parser.add_mutually_exclusive_group()
        wanted.add_argument("--start", action="store_true", help="have a worker load it")
        wanted.add_argument("--stop", action="store_true", help="unload it when what it writes is written")
        for name, of in (
            ("prompt", "longer conversations lose their earliest turns"),
            ("response", "what one answer may have"),
        ):
            parser.add_argument(
                f"--max-{name}-tokens",
                type=int,
                metavar="N",
                help=f"of --start: {of}; none: what the model's context allows",
            )

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        policy = project.policies.filter(name=options["name"]).first()
        if policy is None:
            raise CommandError(f"“{options['name']}” is no policy of the project “{project.slug}”.")
        lengths = {name: options[name] for name in ("max_prompt_tokens", "max_response_tokens")}
        if options["start"]:
            start_policy_serving(actor=actor, policy=policy, **lengths)
        elif any(tokens is not None for tokens in lengths.values()):
            raise CommandError("Lengths are set by a start: add --start.")
        elif options["stop"]:
            stop_policy_serving(actor=actor, policy=policy)
        serving = serving_of(policy)
        said = [f"{policy.name}: {state_words(serving)}"]
        if serving.error:
            said.append(serving.error)
        if serving.ready_at and serving.state == serving.State.READY:
            said.append(f"{serving.n_requests:,} answers, {serving.n_tokens:,} tokens")
        self.stdout.write(". ".join(part.rstrip(".") for part in said) + ".")
