"""Models of the Hugging Face hub, fetched at one commit into DATA_DIR/models."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings

from policy_training.imports.preparation import NotAPolicy

HUB = "hub:"
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")


@dataclass(frozen=True, kw_only=True)
class HubModel:
    model: str  # owner/name
    commit: str
    revision: str | None  # as asked for


def find_folder(source: str, hub: dict[str, HubModel], part: str, revision: str | None = None) -> Path:
    """The folder itself, or for hub:owner/model the hub's in DATA_DIR/models, which is noted in `hub` under `part`.

    A name is never tried at the hub unless the hub is asked for: a misspelt folder would fetch a stranger's model.
    """
    if not source.startswith(HUB):
        path = Path(source)
        try:
            is_folder = path.is_dir()
        except OSError as error:
            raise NotAPolicy(f"{source} cannot be read: {error.strerror}.") from error
        if not is_folder and HUB_ID.fullmatch(source):
            option = "--base " if part == "base" else ""
            raise NotAPolicy(
                f"{source} is not a folder; for the model of this name of the hub write {option}{HUB}{source}."
            )
        return path
    hub_id = source.removeprefix(HUB)
    if not HUB_ID.fullmatch(hub_id):
        raise NotAPolicy(f"{source}: a model of the hub is written {HUB}owner/model.")
    folder, hub[part] = download(hub_id, revision)
    return folder


def download(hub_id: str, revision: str | None) -> tuple[Path, HubModel]:
    """The hub's model as of one commit in DATA_DIR/models; safetensors, configuration and tokenizer only.

    A folder a commit: what was imported from an earlier commit stays as it is.
    """
    # The hub's client comes with the training packages, which a web machine may do without.
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HFValidationError, HTTPError  # type: ignore[attr-defined]  # its HTTP library, by its own name for it

    try:
        commit = HfApi().model_info(hub_id, revision=revision).sha
        if commit is None:
            raise NotAPolicy(f"{hub_id}: the hub names no commit of it.")
        target = settings.DATA_DIR / "models" / f"{hub_id.replace('/', '--')}--{commit[:12]}"
        if not target.is_dir():
            unfinished = target.with_name(f"{target.name}.unfinished")
            snapshot_download(
                hub_id,
                revision=commit,
                local_dir=unfinished,
                allow_patterns=["*.safetensors", "*.json", "*.jinja", "*.model"],
            )
            shutil.rmtree(unfinished / ".cache", ignore_errors=True)  # the client's own notes
            unfinished.rename(target)
    except (HFValidationError, HTTPError, OSError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise NotAPolicy(
            f"{hub_id} could not be fetched from the hub ({type(error).__name__}): {reason}"
        ) from error
    return target, HubModel(model=hub_id, commit=commit, revision=revision)
