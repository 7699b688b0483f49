"""manage.py ask PROJECT [--preset NAME | --file FILE] [--ties yes|no] [--reason yes|no]: what is asked, or show it."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from workspace.actions import change_question_settings
from workspace.asked import Asked
from workspace.commands import ProjectCommand
from workspace.errors import ActionError
from workspace.models import Project, User
from workspace.question_presets import PRESETS, find_preset

_YES_NO = ("yes", "no")


class Command(ProjectCommand):
    help = (
        "Set what annotators are asked beside the order of the answers: marks of each, confidence, flags, reasons. A "
        "change is a new version of the question's settings. Without --preset, --file, --ties and --reason what is "
        "asked now is written as JSON, as --file takes it."
    )

    def add_command_arguments(self, parser: ArgumentParser) -> None:
        asked = parser.add_mutually_exclusive_group()
        asked.add_argument("--preset", choices=list(PRESETS), help="as a published project asked it")
        asked.add_argument(
            "--file", type=Path, help="JSON with marks, confidence_points, flags, ... (docs/asked.md)"
        )
        parser.add_argument("--ties", choices=_YES_NO, help="whether ties are allowed")
        parser.add_argument("--reason", choices=_YES_NO, help="whether every judgment needs a reason")

    def run(self, *, actor: User, project: Project, **options: Any) -> None:
        now = project.question_settings.latest_version()
        if not any(options[name] for name in ("preset", "file", "ties", "reason")):
            asks = now.asks if now else Asked()
            self.stdout.write(json.dumps(asks.as_json(), ensure_ascii=False, indent=2))
            return
        ties = now is None or now.allow_ties
        if options["preset"]:
            ties = find_preset(options["preset"]).allow_ties
        new = change_question_settings(
            actor=actor,
            project=project,
            allow_ties=options["ties"] == "yes" if options["ties"] else ties,
            ask_rationale=options["reason"] == "yes"
            if options["reason"]
            else now is not None and now.ask_rationale,
            asked=_read(options["file"]) if options["file"] else None,
            preset=options["preset"] or "",
        )
        marks = ", ".join(mark.name for mark in new.asks.marks) or "none"
        self.stdout.write(
            f"Version {new.version} of the question is in force. Marks of each answer: {marks}."
        )


def _read(path: Path) -> Any:
    """Raises ActionError."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ActionError(f"{path} cannot be read: {error.strerror}.", code="file_unreadable") from error
    except (ValueError, RecursionError) as error:
        raise ActionError(f"{path} is not JSON: {error}.", code="file_unreadable") from error
