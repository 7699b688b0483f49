"""One project: its resources, and what takes several requests."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar, Unpack, cast

from roundtable.client.errors import RoundtableError, WaitedTooLong, WorkFailed
from roundtable.client.resources.everything import ProjectResources
from roundtable.client.streams import bar
from roundtable.client.transport import Transport
from roundtable.client.types import (
    Dataset,
    Event,
    GetEventsQuery,
    Judgment,
    ListJudgmentsQuery,
    NewDatasetRequest,
    OneRound,
    OneRun,
    Upload,
    UploadSettingsRequest,
)
from roundtable.client.uploading import hash_file, send_file

Found = TypeVar("Found")

_FAILED_RUNS = {"failed", "user_error", "cancelled"}
_ENDED_ROUNDS = {"done", "failed", "cancelled"}


class Project(ProjectResources):
    """`client.project("kitchen")`. Each attribute is a kind of things: `project.batches.list(state="open")`."""

    def __init__(self, transport: Transport, slug: str, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(transport, slug)
        self.slug, self._sleep = slug, sleep

    def send_file(
        self,
        path: str | Path,
        *,
        name: str | None = None,
        part_of: str | None = None,
        progress: bool | None = None,
    ) -> Upload:
        """Sends a file in pieces, or goes on with one that broke off; then `uploads.start_import` brings it in.

        `part_of`: the id of another upload, of whose import it is one more file.
        """
        return send_file(self.uploads, Path(path), name=name, part_of=part_of, progress=progress)

    def import_file(
        self,
        path: str | Path | Sequence[str | Path],
        *,
        progress: bool | None = None,
        timeout: float | None = None,
        **settings: Unpack[UploadSettingsRequest],
    ) -> Upload:
        """Sends a file, or several as one import, and imports it as `settings` say; returns when it is in. A large one
        takes a worker of the site.

        Raises WorkFailed with the site's sentence where it does not come in, WaitedTooLong after `timeout` seconds.
        """
        first, *further = [path] if isinstance(path, str | Path) else path
        upload = self.send_file(first, progress=progress)
        for one in further:
            self.send_file(one, part_of=upload["id"], progress=progress)
        upload = self.uploads.start_import(upload["id"], **settings)
        upload = self._wait(
            lambda: self.uploads.get(upload["id"]), lambda found: found["state"] != "at_work", timeout, upload
        )
        outcome = upload["outcome"] or {}
        if upload["state"] != "imported" and not settings.get("check_only"):
            raise WorkFailed(f"The import of {upload['name']}", upload["state"], outcome.get("sentence", ""))
        return upload

    def freeze_dataset(self, *, timeout: float | None = None, **asked: Unpack[NewDatasetRequest]) -> Dataset:
        """`datasets.create`, and the dataset when it is there. One of many judgments takes a worker of the site.

        Raises WorkFailed where that fails, WaitedTooLong after `timeout` seconds: it goes on, and in the end
        `datasets.list` has it.
        """
        made = self.datasets.create(**asked)
        if "manifest_sha256" in made:
            return cast(Dataset, made)
        run = self.wait_for_run(made["id"], timeout=timeout)
        return self.datasets.get(self.runs.result(run["id"])["result"]["dataset"])

    def wait_for_run(self, id: int, *, timeout: float | None = None) -> OneRun:
        """The run when it is done. Raises WorkFailed when it failed or was cancelled, WaitedTooLong."""
        run = self._wait(
            lambda: self.runs.get(id), lambda found: found["state"] in _FAILED_RUNS | {"done"}, timeout
        )
        if run["state"] != "done":
            raise WorkFailed(f"Run {id} ({run['title']})", run["state"], run["error"])
        return run

    def wait_for_round(self, number: int, *, timeout: float | None = None) -> OneRound:
        """The round when it is done. Raises WorkFailed when it failed or was cancelled, WaitedTooLong."""
        round_ = self._wait(
            lambda: self.rounds.get(number), lambda found: found["stage"] in _ENDED_ROUNDS, timeout
        )
        if round_["stage"] != "done":
            raise WorkFailed(f"Round {number}", round_["stage"], round_["error"])
        return round_

    def _wait(
        self,
        look: Callable[[], Found],
        is_over: Callable[[Found], bool],
        timeout: float | None,
        found: Found | None = None,
    ) -> Found:
        """Looks again and again, more seldom with time."""
        waited, pause = 0.0, 0.2
        found = look() if found is None else found
        while not is_over(found):
            if timeout is not None and waited >= timeout:
                raise WaitedTooLong(f"It had not ended after {waited:.0f} seconds; it goes on.")
            self._sleep(pause)
            waited, pause = waited + pause, min(5.0, pause * 1.3)
            found = look()
        return found

    def follow_events(
        self,
        *,
        after: str = "",
        kinds: str | None = None,
        poll_seconds: float = 2.0,
        timeout: float | None = None,
    ) -> Iterator[Event]:
        """Events in their order, as they come: those after the cursor `after` ("": all there are). Each has its own
        `cursor`, from which a later call goes on and misses none. Ends after `timeout` seconds without one.
        """
        query: GetEventsQuery = {"after": after} if after else {}
        if kinds is not None:
            query["kinds"] = kinds
        quiet = 0.0
        while timeout is None or quiet < timeout:
            page = self.events.get(**query)
            yield from page["results"]
            query["after"] = page["next_cursor"]
            quiet = 0.0 if page["results"] else quiet + poll_seconds
            if not page["more"]:
                self._sleep(poll_seconds)

    def follow_judgments(
        self, *, poll_seconds: float = 2.0, timeout: float | None = None, **query: Unpack[ListJudgmentsQuery]
    ) -> Iterator[Judgment]:
        """Judgments as they come, those that are there first, each once; stop going through it when you have enough,
        or after `timeout` seconds without a new one. The list is read anew each time: of a large project follow its
        events instead.
        """
        seen: set[int] = set()
        quiet = 0.0
        query = {**query, "order": "id"}
        while True:
            new = [judgment for judgment in self.judgments.list(**query) if judgment["id"] not in seen]
            for judgment in new:
                seen.add(judgment["id"])
                yield judgment
            quiet = 0.0 if new else quiet + poll_seconds
            if timeout is not None and quiet >= timeout:
                return
            self._sleep(poll_seconds)

    def download_dataset(self, id: int, folder: str | Path, *, progress: bool | None = None) -> Path:
        """Writes the dataset's files and manifest.json into `folder`, each checked by its sha256; those that are there
        already and the same are not sent again. Raises StreamCut.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        dataset = self.datasets.get(id)
        wanted = {file["name"]: file["sha256"] for file in self.datasets.files(id)["files"]}
        wanted["manifest.json"] = dataset["manifest_sha256"]
        with bar(progress, dataset["name"], len(wanted), " files") as shown:
            for name, sha256 in wanted.items():
                if Path(name).name != name or name in ("", ".", ".."):
                    raise RoundtableError(f"The site names a file “{name}”, which leads out of the folder.")
                target = folder / name
                if not (target.is_file() and hash_file(target) == sha256):
                    self.datasets.file(id, name).save(target, sha256=sha256, progress=False)
                shown.update(1)
        return folder
