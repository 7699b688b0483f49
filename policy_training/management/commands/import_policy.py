"""manage.py import_policy PROJECT NAME PATH_OR_HUB_ID"""

import json
import re
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings

from policy_training.actions import import_policy
from policy_training.preparation import NotAPolicy, adapter_base
from workspace.commands import ProjectCommand
from workspace.errors import ActionError
from workspace.models import Project, User


class Command(ProjectCommand):
    help = (
        "Take a language model (a folder, or a model of the Hugging Face hub) into a project as a policy. A LoRA "
        "adapter is merged into its base; a chat template that asks for today's date keeps today's."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the policy's name in the project")
        parser.add_argument("source", help="a folder, or a hub id such as owner/model")
        parser.add_argument("--revision", help="of the hub model")
        parser.add_argument(
            "--base",
            help="of a LoRA adapter: its base model, a folder or a hub id (default: what the adapter names)",
        )
        parser.add_argument(
            "--chat-template-kwargs",
            nargs="+",
            default=[],
            metavar="NAME=VALUE",
            help="what the chat template is to be given always, for example enable_thinking=false",
        )
        parser.add_argument(
            "--own-tokenizer",
            action="store_true",
            help="take a tokenizer that AutoTokenizer reads by its architecture's rules and not by tokenizer.json",
        )
        parser.add_argument("--notes", default="")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        path = find_folder(options["source"], options["revision"])
        base = options["base"] or (adapter_base(path) if path.is_dir() else None)
        policy = import_policy(
            actor=actor,
            project=project,
            name=options["name"],
            path=path.resolve(),
            base=find_folder(base).resolve() if base else None,
            chat_template_kwargs=parse_values(options["chat_template_kwargs"]),
            own_tokenizer=options["own_tokenizer"],
            notes=options["notes"],
        )
        self.stdout.write(f"Imported {policy.name} from {path}.")
        imported = policy.report["imported"]
        if "template_date" in imported:
            self.stdout.write(
                f"Its chat template asks for the date: it is {imported['template_date']} from now on."
            )


def find_folder(source: str, revision: str | None = None) -> Path:
    """The folder itself, or the hub's model of this id in DATA_DIR/models."""
    path = Path(source)
    if not path.exists() and re.fullmatch(r"[\w.-]+/[\w.-]+", source):
        return download(source, revision)
    return path


def parse_values(pairs: list[str]) -> dict[str, Any]:
    """NAME=VALUE, the values as JSON where they are JSON (true, 3, "x"), else as text."""
    values: dict[str, Any] = {}
    for pair in pairs:
        name, found, value = pair.partition("=")
        if not found:
            raise ActionError(f"--chat-template-kwargs {pair}: write NAME=VALUE.", code="bad_option")
        try:
            values[name] = json.loads(value)
        except ValueError:
            values[name] = value
    return values


def download(hub_id: str, revision: str | None) -> Path:
    """The hub's model in DATA_DIR/models; safetensors, configuration and tokenizer only."""
    # The hub's client comes with the training packages, which a web machine may do without.
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    target = settings.DATA_DIR / "models" / hub_id.replace("/", "--")
    try:
        snapshot_download(
            hub_id,
            revision=revision,
            local_dir=target,
            allow_patterns=["*.safetensors", "*.json", "*.jinja", "*.model"],
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise NotAPolicy(
            f"{hub_id} could not be fetched from the hub ({type(error).__name__}): {error}"
        ) from error
    return target
