"""A file sent to a site in pieces: what is lost on the way is sent again, and what the site has is not."""

import hashlib
from pathlib import Path

from roundtable.client.errors import Conflict, RoundtableError
from roundtable.client.resources.uploads import UploadsResource
from roundtable.client.streams import bar
from roundtable.client.types import Upload

PIECE_BYTES = 1_000_000  # the most that the site takes at once


def send_file(
    uploads: UploadsResource,
    path: Path,
    *,
    name: str | None = None,
    part_of: str | None = None,
    progress: bool | None = None,
    piece_bytes: int = PIECE_BYTES,
) -> Upload:
    """The upload, complete. Where the same file was begun before and broke off, it goes on from what the site has.
    `part_of`: the id of the upload of whose import it is one more file.

    Raises ConnectionLost when the site stays away; calling it again goes on.
    """
    name = name or path.name
    size = path.stat().st_size
    sha256 = hash_file(path)
    with path.open("rb") as file:
        begun = _begun(uploads, name, size, sha256, part_of)
        if begun is not None:
            upload = begun
        elif part_of is None:
            upload = uploads.create(name=name, size=size, sha256=sha256)
        else:
            upload = uploads.create(name=name, size=size, sha256=sha256, part_of=part_of)
        with bar(progress, name, size) as shown:
            shown.update(upload["received_bytes"])
            refused = 0
            while upload["state"] == "receiving":
                before = upload["received_bytes"]
                file.seek(before)
                piece = file.read(min(piece_bytes, size - before))
                if not piece:
                    raise RoundtableError(f"{path} has become shorter while it was sent.")
                try:
                    upload = uploads.send_piece(upload["id"], piece, offset=before)
                    refused = 0
                except Conflict as conflict:
                    # An attempt whose answer was lost had been carried out, or another program sends the same file.
                    refused += 1
                    if conflict.code != "wrong_offset" or refused > 3:
                        raise
                    upload = uploads.get(upload["id"])
                shown.update(upload["received_bytes"] - before)
    return upload


def _begun(uploads: UploadsResource, name: str, size: int, sha256: str, part_of: str | None) -> Upload | None:
    for upload in uploads.list(state="receiving"):
        known = (upload["name"], upload["size_bytes"], upload["sha256"], upload.get("part_of"))
        if known == (name, size, sha256, part_of):
            return upload
    return None


def hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
