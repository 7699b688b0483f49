"""Files as one commit of a repository of the Hugging Face Hub: all of them are seen there, or none.

Sent over HTTP with sizes that are counted, so that it can be watched and stopped in the middle of a file; the library's
other way (Xet) can be neither.
"""

import io
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, Any

from learning.interface.options import UserError
from runs.hub.files import HubFile

CHUNK_BYTES = 1 << 20
REPOSITORY_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)


class UploadStopped(Exception):
    """It was asked to stop; nothing of it is seen on the Hub."""


@dataclass(kw_only=True)
class Target:
    """Where to: `owner/name`, what kind of repository, and whether everybody may read it."""

    repository: str
    repository_type: str  # dataset or model
    public: bool = False
    # What an earlier push may have left there that this one has not: patterns of file names.
    replaces: Sequence[str] = ()
    endpoint: str = field(default_factory=lambda: os.environ.get("HF_ENDPOINT") or "https://huggingface.co")

    @property
    def url(self) -> str:
        kind = "datasets/" if self.repository_type == "dataset" else ""
        return f"{self.endpoint.rstrip('/')}/{kind}{self.repository}"


@dataclass(kw_only=True)
class Watcher:
    """Hears of bytes that were sent, and says when to stop."""

    say: Callable[[str, int, int | None], None] = lambda stage, done, total: None
    stop_requested: Callable[[], bool] = lambda: False
    total: int = 0
    before: int = 0  # bytes of the files that are through

    def look(self, sent: int) -> None:
        if self.stop_requested():
            raise UploadStopped
        self.say("sending bytes", min(self.before + sent, self.total), self.total)


class _SentFile(io.BufferedIOBase):
    """A file that is opened when it is read, and tells how far it is."""

    def __init__(self, path: Path, watcher: Watcher) -> None:
        self._path, self._watcher = path, watcher
        self._file: IO[bytes] | None = None
        self.is_sent = False

    def _opened(self) -> IO[bytes]:
        if self._file is None:
            self._file = self._path.open("rb")
        return self._file

    def read(self, size: int | None = -1, /) -> bytes:
        if self.is_sent:
            self._watcher.look(self._opened().tell())
        elif self._watcher.stop_requested():  # while it is hashed
            raise UploadStopped
        return self._opened().read(-1 if size is None else size)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._opened().seek(offset, whence)

    def tell(self) -> int:
        return self._opened().tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def let_go(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def push_files(
    files: Sequence[HubFile], target: Target, *, token: str, message: str, watcher: Watcher
) -> dict[str, Any]:
    """The commit's address and identity. Raises UserError, one sentence that never has the token, and UploadStopped."""
    try:
        # Not among the imports above: the library is of no use to the site's web processes.
        from huggingface_hub import HfApi
        from huggingface_hub.utils import logging
        from huggingface_hub.utils.tqdm import disable_progress_bars
    except ImportError as error:
        raise UserError("huggingface_hub is not installed on this machine: install it there.") from error
    disable_progress_bars()
    logging.set_verbosity_error()
    api = HfApi(endpoint=target.endpoint, token=token, library_name="roundtable")
    watcher.total = sum(file.size for file in files)
    try:
        return _push(api, files, target, message, watcher)
    except UploadStopped:
        raise
    except Exception as error:
        # What stops a file from being read comes back wrapped by the library.
        if watcher.stop_requested():
            raise UploadStopped from None
        if (sentence := _sentence(error, target)) is None:
            raise
        raise UserError(sentence) from None


def _push(
    api: Any, files: Sequence[HubFile], target: Target, message: str, watcher: Watcher
) -> dict[str, Any]:
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    repository, kind = target.repository, target.repository_type
    _require_repository(api, target)
    operations: list[Any] = []
    for file in files:
        content: Any = file.content if isinstance(file.content, bytes) else _SentFile(file.content, watcher)
        addition = CommitOperationAdd(path_in_repo=file.name, path_or_fileobj=content)
        if isinstance(content, _SentFile):
            addition.upload_info.sha256  # noqa: B018  # read once to be hashed, and from then on to be sent
            content.is_sent = True
        api.preupload_lfs_files(repository, [addition], repo_type=kind, free_memory=False)
        watcher.before += file.size
        watcher.look(0)
        if isinstance(content, _SentFile):
            content.is_sent = False
            content.let_go()
        operations.append(addition)
    names = {file.name for file in files}
    for name in api.list_repo_files(repository, repo_type=kind):
        if name not in names and any(fnmatchcase(name, pattern) for pattern in target.replaces):
            operations.append(CommitOperationDelete(path_in_repo=name))
    watcher.say("committing", watcher.total, watcher.total)
    commit = api.create_commit(repository, operations, commit_message=message, repo_type=kind)
    return {"repository": repository, "url": target.url, "commit": commit.oid}


def _require_repository(api: Any, target: Target) -> None:
    """Made where it is not there. One that everybody can read takes nothing that was meant to be private."""
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        found = api.repo_info(target.repository, repo_type=target.repository_type)
    except RepositoryNotFoundError:
        api.create_repo(
            target.repository, repo_type=target.repository_type, private=not target.public, exist_ok=True
        )
        return
    if not found.private and not target.public:
        raise UserError(
            f"Everybody can read {target.repository}: name another repository, or say that the push is public."
        )


def _sentence(error: Exception, target: Target) -> str | None:
    """What went wrong, for the person who asked; None for what nobody foresaw."""
    from huggingface_hub.errors import (  # type: ignore[attr-defined]  # its HTTP library, by its own name for it
        HfHubHTTPError,
        HTTPError,
        OfflineModeIsEnabled,
    )

    seen: BaseException | None = error
    while seen is not None:  # the library wraps what goes wrong in a thread of its own
        if isinstance(seen, HfHubHTTPError):
            status = seen.response.status_code if seen.response is not None else 0
            if status == 401:
                return "The Hub does not know the token, or it has ended: make a new one there."
            if status in (403, 404):
                return f"The token may not write to {target.repository}: it needs write access there."
            return f"The Hub refused the push to {target.repository} ({status}): {seen.server_message or 'no reason'}"
        if isinstance(seen, OfflineModeIsEnabled):
            return "HF_HUB_OFFLINE is set where pushes are carried out: nothing may go to the Hub from there."
        if isinstance(seen, (HTTPError, ConnectionError, TimeoutError)):
            return f"The Hub cannot be reached at {target.endpoint} ({type(seen).__name__}): try again later."
        seen = seen.__cause__ or seen.__context__
    return str(error) if isinstance(error, ValueError) else None
