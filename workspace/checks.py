"""What the site needs before it can serve a page, said at start instead of at the first request."""

import stat
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning, register

from workspace.static_files import describe_missing_static_files


@register("roundtable")
def static_files_are_collected(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """For `check` alone: `serve` refuses to start without them, and a machine with workers only needs none."""
    if sys.argv[1:2] != ["check"] or "--deploy" in sys.argv:
        return []
    sentence = describe_missing_static_files()
    return [Warning(sentence, id="roundtable.W001")] if sentence else []


@register("roundtable")
def variables_are_known(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    return [
        Warning(
            f"The environment variable {name} is no setting.",
            hint=(f"Perhaps {meant} was meant. " if meant else "")
            + "docs/settings.md lists them; other programs' variables do no harm.",
            id="roundtable.W002",
        )
        for name, meant in settings.UNKNOWN_VARIABLES
    ]


@register("roundtable")
def data_folder_is_closed(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Who may not enter the folder reaches nothing in it, whatever the modes of the files are."""
    folder = Path(settings.DATA_DIR)
    try:
        open_to = stat.S_IMODE(folder.stat().st_mode) & settings.FILE_UMASK
    except OSError:
        return []
    if not open_to:
        return []
    who = "every account of this machine" if open_to & 0o007 else "the folder's group"
    return [
        Warning(
            f"The data folder {folder} is open to {who}: it holds password hashes, sessions and models.",
            hint=f"Run `chmod {0o777 & ~settings.FILE_UMASK:o} {folder}` (`make setup` does), or see "
            "ROUNDTABLE_FILE_ACCESS in docs/settings.md.",
            id="roundtable.W003",
        )
    ]
