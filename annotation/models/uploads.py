"""Files on their way in: sent in pieces, looked at, then imported."""

import uuid
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy

from annotation.models.imports import Import
from runs.models import Run
from workspace.models import Project

# What a reader tells a file's form by; its other letters are nobody's to choose on our disk.
_SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".arrow", ".txt", ".xlsx", ".zip")


class Upload(models.Model):
    """One file of one person. It lies in DATA_DIR/uploads under a name of ours until it is imported or forgotten."""

    class State(models.TextChoices):
        RECEIVING = "receiving", gettext_lazy("Being sent")
        COMPLETE = "complete", gettext_lazy("Ready to import")
        AT_WORK = "at_work", gettext_lazy("Being imported")  # its run, or a request, reads it
        IMPORTED = "imported", gettext_lazy("Imported")  # the file is gone

    public_id = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="uploads")
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    name = models.CharField(max_length=200, help_text="As its owner calls it.")
    # Several files are one import: its page, settings and outcome are those of the first.
    # {dataset, config, splits, revision}: a dataset of the hub, which a run fetches. Null: a file.
    hub: Any = models.JSONField(null=True, blank=True)
    part_of = models.ForeignKey("self", on_delete=models.CASCADE, null=True, blank=True, related_name="parts")
    size_bytes = models.PositiveBigIntegerField()
    received_bytes = models.PositiveBigIntegerField(default=0)
    sha256 = models.CharField(
        max_length=64, blank=True, help_text="As the sender said, else of what arrived."
    )
    fingerprint = models.CharField(
        max_length=200, blank=True, help_text="By which a browser knows the same file again after a break."
    )
    state = models.CharField(max_length=12, choices=State.choices, default=State.RECEIVING)
    settings: Any = models.JSONField(default=dict, help_text="How it is to be read, as the form has it.")
    # Of the check of the whole file under these settings; empty before it.
    outcome: Any = models.JSONField(default=dict)
    run = models.ForeignKey(
        Run, on_delete=models.PROTECT, null=True, blank=True, related_name="uploads", help_text="The latest."
    )
    imported = models.ForeignKey(
        Import, on_delete=models.PROTECT, null=True, blank=True, related_name="uploads"
    )
    touched_at = models.DateTimeField(auto_now_add=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["receiving", "complete", "at_work", "imported"]),
                name="upload_state_valid",
            ),
            models.CheckConstraint(
                condition=Q(received_bytes__lte=F("size_bytes")), name="upload_received_within_size"
            ),
            models.CheckConstraint(condition=Q(size_bytes__gte=1), name="upload_not_empty"),
        ]
        indexes = [models.Index(fields=["project", "owner", "-id"], name="upload_newest_first")]

    def __str__(self) -> str:
        return self.name

    @property
    def folder(self) -> Path:
        return Path(settings.DATA_DIR) / "uploads" / self.public_id.hex

    @property
    def path(self) -> Path:
        """The file, under a name of ours with the ending by which readers tell its form; of the hub, the folder."""
        if self.hub:
            return self.folder / self.hub["dataset"].replace("/", "--")
        name = self.name.lower()
        packed = ".gz" if name.endswith(".gz") else ""
        bare = name.removesuffix(".gz")
        return self.folder / f"file{next((s for s in _SUFFIXES if bare.endswith(s)), '')}{packed}"

    def files(self) -> list["Upload"]:
        """This one and the others of its import, in the order in which they are read."""
        return [self, *self.parts.order_by("pk")]

    @property
    def title(self) -> str:
        further = self.parts.count()
        return f"{self.name} and {further} more" if further else self.name

    @property
    def bad_rows_path(self) -> Path:
        return self.folder / "bad-rows.jsonl"

    @property
    def percent(self) -> int:
        return 100 * self.received_bytes // self.size_bytes
