"""A token on its way from the request that brought it to the run that uses it: a file that its reader removes.

It is in no row, no run's folder, no log, no command line and no backup. It lies below DATA_DIR/handover, readable for
the installation's user alone (for its group where workers have users of their own: ROUNDTABLE_FILE_ACCESS), until the
run begins, an hour at most; the run removes it before it does anything else. A run that starts a second time has none.
"""

import os
import re
import time
from fnmatch import fnmatchcase
from pathlib import Path

from django.conf import settings

from learning.interface.options import UserError
from runs.models import Run
from workspace.errors import ActionError

FOLDER = "handover"
PATIENCE_SECONDS = 3600.0


def clean_token(token: str) -> str:
    """Raises ActionError for what is no token; the sentence does not repeat it."""
    token = token.strip()
    if token and not re.fullmatch(r"[\x21-\x7e]{1,500}", token):
        raise ActionError(
            "A token is one word of letters, digits and signs: copy it again.", code="bad_token"
        )
    return token


def may_use_site_token(repository: str) -> bool:
    """Whether an operator named it: the site's token can write more than its managers may."""
    return any(fnmatchcase(repository, pattern) for pattern in settings.HUB_REPOSITORIES)


def site_token_for(repository: str) -> str:
    """Empty without one, and for a repository that no operator named. Not what may lie in the environment for other
    purposes (HF_TOKEN): a token that an operator named for this.
    """
    return str(settings.HUB_TOKEN) if may_use_site_token(repository) else ""


def refusal_of_site_token(repository: str) -> str:
    return (
        f"Give a token: the site's own may not be used for {repository}. Operators name the repositories that it is "
        "for in ROUNDTABLE_HUB_REPOSITORIES."
    )


def hand_over(run: Run, token: str) -> None:
    """For the run's process, once. Within the transaction that queues the run: a worker finds it there."""
    forget_old_tokens()
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)
    # Made with these rights, less what settings.FILE_UMASK takes.
    descriptor = os.open(
        _path(run), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o660 & ~settings.FILE_UMASK
    )
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(token)


def take_token(run: Run) -> str:
    """What was handed over, which is gone then; the site's own where none was given. Raises UserError for neither."""
    path = _path(run)
    try:
        with path.open(encoding="ascii") as file:
            path.unlink()
            written_at, token = os.fstat(file.fileno()).st_mtime, file.read()
    except FileNotFoundError:
        # Not for a push that came with a token and is started again: it would be in another's name.
        if run.parameters.get("site_token") and (site_token := site_token_for(run.parameters["repository"])):
            return site_token
        raise UserError(
            "There is no token: it is kept for one start and for an hour. Push again and give it again."
        ) from None
    if time.time() - written_at > PATIENCE_SECONDS:
        raise UserError("The token waited longer than an hour for a worker and is gone: push again.")
    return token


def drop_token(run: Run) -> None:
    _path(run).unlink(missing_ok=True)


def forget_old_tokens() -> None:
    """Removes those whose run did not begin within the hour."""
    if not _folder().is_dir():
        return
    for path in _folder().iterdir():
        try:
            if time.time() - path.stat().st_mtime > PATIENCE_SECONDS:
                path.unlink()
        except FileNotFoundError:  # its run began at this moment
            continue


def _folder() -> Path:
    return Path(settings.DATA_DIR) / FOLDER


def _path(run: Run) -> Path:
    return _folder() / run.directory
