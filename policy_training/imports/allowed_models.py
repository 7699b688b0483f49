"""Which models a manager may import by a page or a program: those that an operator's settings name, nothing else of
the machine or the network. Whoever has a shell imports what they like (`manage.py import_policy`).
"""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext

from policy_training.imports.hub_models import HUB, HUB_ID
from policy_training.imports.preparation import ADAPTER_CONFIG, NotAPolicy

MAX_DEPTH = 3  # folders below one of the setting's
MAX_LISTED = 500


def allowed_folders() -> list[str]:
    """The models beneath MODEL_FOLDERS, by their paths; links in them are not followed."""
    found: list[str] = []
    for root in _roots():
        for folder in _models(root, MAX_DEPTH):
            found.append(str(folder))
            if len(found) == MAX_LISTED:
                return found
    return found


def _roots() -> Iterator[Path]:
    for name in settings.MODEL_FOLDERS:
        if (root := _resolved_folder(name)) is not None:
            yield root


def _resolved_folder(name: str) -> Path | None:
    """The folder of an absolute path, links followed; None for what is none, cannot be one or cannot be looked at."""
    try:
        path = Path(name)
        found = path.resolve()
        return found if path.is_absolute() and found.is_dir() else None
    except (OSError, ValueError, RuntimeError):  # too long, not readable; NUL; links in a circle
        return None


def _models(folder: Path, depth: int) -> Iterator[Path]:
    try:
        if (folder / "config.json").is_file() or (folder / ADAPTER_CONFIG).is_file():
            yield folder
            return
        if depth == 0:
            return
        inner = sorted(entry for entry in folder.iterdir() if entry.is_dir() and not entry.is_symlink())
    except OSError:
        return
    for one in inner:
        if not one.name.startswith("."):
            yield from _models(one, depth - 1)


def require_allowed(source: str) -> None:
    """A folder's path, or hub:owner/model. Raises NotAPolicy, alike for what is not there and what is not allowed."""
    if source.startswith(HUB):
        hub_id = source.removeprefix(HUB)
        if not HUB_ID.fullmatch(hub_id):
            raise NotAPolicy(
                gettext("%(source)s: a model of the hub is written %(hub)sowner/model.")
                % {"source": source, "hub": HUB}
            )
        if not any(fnmatchcase(hub_id, pattern) for pattern in settings.HUB_MODELS):
            raise NotAPolicy(
                gettext(
                    "%(hub_id)s is none of the hub's models that may be imported here: ask an operator, "
                    "who names them in ROUNDTABLE_HUB_MODELS."
                )
                % {"hub_id": hub_id},
                code="not_allowed",
            )
        return
    # Resolved: neither .. nor a link leads out of the folders that were named.
    path = _resolved_folder(source)
    if path is None or not any(path != root and path.is_relative_to(root) for root in _roots()):
        raise NotAPolicy(
            gettext(
                "%(source)s is none of the folders that may be imported here: ask an operator, who "
                "names them in ROUNDTABLE_MODEL_FOLDERS."
            )
            % {"source": source},
            code="not_allowed",
        )
