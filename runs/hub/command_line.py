"""Pushes by command: carried out at once by the command itself, on the machine where an operator is."""

import os
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from django.conf import settings
from django.db.models import Model

from learning.interface.options import UserError
from runs.hub.outgoing import OutgoingModels
from runs.hub.pushes import Push, carry_out, clean_repository
from runs.hub.tokens import clean_token, refusal_of_site_token, site_token_for
from runs.hub.upload import Watcher
from workspace.actions import record_audit
from workspace.commands import ProjectCommand
from workspace.errors import ActionError
from workspace.models import Project, User


class Output(Protocol):
    """Where a command writes: its stdout."""

    def write(self, msg: str, /) -> object: ...


def add_push_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("repository", help="owner/name on the Hub; made where it is not there")
    parser.add_argument(
        "--public",
        action="store_true",
        help="everybody may read it (default: private, and a public one is refused)",
    )
    parser.add_argument("--dry-run", action="store_true", help="list what would be sent, and send nothing")
    parser.add_argument(
        "--token-file",
        metavar="FILE",
        help="a file with the Hub's token, - for standard input (default: HF_TOKEN of the environment, else "
        "ROUNDTABLE_HUB_TOKEN, for repositories of ROUNDTABLE_HUB_REPOSITORIES). "
        "A token on the command line would be seen by everybody on the machine",
    )


class PushModelCommand(ProjectCommand):
    """The command that pushes a model; subclasses name its `models`."""

    models: OutgoingModels

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help=f"of the {self.models.label}")
        add_push_arguments(parser)

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        found = self.models.rows(project).filter(name=options["name"]).first()
        if found is None:
            raise ActionError(
                f"The project {project.slug} has no {self.models.label} named {options['name']}."
            )
        push_here(
            actor=actor,
            project=project,
            target=found,
            options=options,
            prepare=lambda folder: self.models.contents(found),
            output=self.stdout,
        )


def push_here(
    *,
    actor: User,
    project: Project,
    target: Model,
    options: Mapping[str, Any],
    prepare: Callable[[Path], Push],
    output: Output,
) -> None:
    """Sends what `prepare` makes in a folder, or lists it. Raises UserError, ActionError."""
    asked = {
        "repository": clean_repository(options["repository"]),
        "public": options["public"],
        "dry_run": options["dry_run"],
    }
    token = "" if asked["dry_run"] else _read_token(options["token_file"], asked["repository"])
    downloads = Path(settings.DATA_DIR) / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=downloads, prefix=".", suffix=".partial") as folder:
        push = prepare(Path(folder) / "to_send")
        if not asked["dry_run"]:
            record_audit(
                actor=actor, action="hub.push", project=project, target=target, repository=asked["repository"]
            )
        found = carry_out(push, asked, token=token, watcher=Watcher(say=_teller(output)))
    for file in found["files"]:
        output.write(f"{file['bytes']:>15,}  {file['name']}\n")
    total = sum(file["bytes"] for file in found["files"])
    sent = "would be sent to" if asked["dry_run"] else "were sent to"
    where = found.get("url", found["repository"])
    output.write(f"{len(found['files'])} files, {total:,} bytes, {sent} {where}.\n")


def _read_token(token_file: str | None, repository: str) -> str:
    if token_file == "-":
        token = sys.stdin.readline()
    elif token_file is not None:
        try:
            token = Path(token_file).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise UserError(f"{token_file} cannot be read as a token: {error}.") from error
    else:
        token = os.environ.get("HF_TOKEN", "") or site_token_for(repository)
        if not token and settings.HUB_TOKEN:
            raise UserError(refusal_of_site_token(repository))
    token = clean_token(token)
    if not token:
        raise UserError("There is no token: set HF_TOKEN, or name a file with --token-file.")
    return token


def _teller(output: Output) -> Callable[[str, int, int | None], None]:
    """Each tenth of the way as a line."""
    said = -1

    def tell(stage: str, done: int, total: int | None) -> None:
        nonlocal said
        tenth = 10 * done // total if total else 0
        if tenth > said:
            said = tenth
            output.write(f"{stage}: {done:,} of {total or 0:,}\n")

    return tell
