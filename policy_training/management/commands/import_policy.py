"""manage.py import_policy PROJECT NAME PATH_OR_HUB_ID"""

import re
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings

from policy_training.actions import NotAPolicy, import_policy
from workspace.commands import ProjectCommand
from workspace.models import Project, User


class Command(ProjectCommand):
    help = "Take a language model (a folder, or a model of the Hugging Face hub) into a project as a policy."

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the policy's name in the project")
        parser.add_argument("source", help="a folder, or a hub id such as owner/model")
        parser.add_argument("--revision", help="of the hub model")
        parser.add_argument("--notes", default="")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        path = Path(options["source"])
        if not path.exists() and re.fullmatch(r"[\w.-]+/[\w.-]+", options["source"]):
            path = download(options["source"], options["revision"])
        policy = import_policy(
            actor=actor, project=project, name=options["name"], path=path.resolve(), notes=options["notes"]
        )
        self.stdout.write(f"Imported {policy.name} from {path}.")


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
