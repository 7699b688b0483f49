"""What goes on in a site while it is backed up: people judge, and a run writes checkpoints and drops old ones."""

import hashlib
import json
import shutil
import threading
import time
import uuid
from pathlib import Path

from django.db import connections

from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.queue.actions import claim_task


class Judge(threading.Thread):
    """Claims and submits until stopped; knows when each judgment was acknowledged, by this process's clock."""

    def __init__(self, person, project) -> None:
        super().__init__(daemon=True)
        self.person, self.project = person, project
        self.acknowledged: dict[str, float] = {}
        self.error: BaseException | None = None
        self.stop = threading.Event()

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                assignment = claim_task(actor=self.person, project=self.project)
                if assignment is None:
                    return
                key = uuid.uuid4().hex
                content = JudgmentInput(tiers=[["A"], ["B"]], strengths=[2])
                submit_judgment(
                    actor=self.person, assignment=assignment, content=content, idempotency_key=key
                )
                self.acknowledged[key] = time.monotonic()
        except BaseException as error:
            self.error = error
        finally:
            connections.close_all()


class Trainer(threading.Thread):
    """Writes a run directory as learning/checkpoints.py does: temporary folder, complete.json, rename; two are kept."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.folder = folder
        self.step = 0
        self.stop = threading.Event()
        (folder / "checkpoints").mkdir(parents=True)
        (folder / "config.json").write_text("{}")

    def run(self) -> None:
        while not self.stop.is_set():
            self.step += 1
            with (self.folder / "metrics.jsonl").open("ab") as metrics:
                metrics.write(json.dumps({"step": self.step}).encode() + b"\n")
                offset = metrics.tell()
            name = f"step-{self.step:06d}.f1"
            partial = self.folder / "checkpoints" / f"tmp-{name}"
            partial.mkdir()
            files = {}
            for part in ("state.json", "state.safetensors"):
                content = f"{part} {self.step} ".encode() * 20_000
                (partial / part).write_bytes(content)
                files[part] = {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            complete = {"step": self.step, "files": files, "offsets": {"metrics.jsonl": offset}}
            (partial / "complete.json").write_text(json.dumps(complete))
            partial.rename(self.folder / "checkpoints" / name)
            for old in sorted((self.folder / "checkpoints").glob("step-*"))[:-2]:
                shutil.rmtree(old)


def checkpoints_of(folder: Path) -> list[dict]:
    """complete.json of each checkpoint of a run directory; each file in them is compared with it."""
    found = []
    for path in sorted(folder.glob("checkpoints/*")):
        complete = json.loads((path / "complete.json").read_text())
        assert {file.name for file in path.iterdir()} == {"complete.json", *complete["files"]}
        for name, entry in complete["files"].items():
            assert hashlib.sha256((path / name).read_bytes()).hexdigest() == entry["sha256"]
        found.append(complete)
    return found
