"""What was brought in from files: one row an import; prompts, demonstrations, batches and judgments name theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy

from runs.models import Run
from workspace.models import Project

Row = TypeVar("Row", bound=models.Model)
FIRST_COUNTS = ("judgments", "tasks", "annotators", "new prompts", "new demonstrations", "new texts")


class ImportQuerySet(models.QuerySet["Import"]):
    def finished(self) -> ImportQuerySet:
        """Imports whose rows count: all in, and not taken back."""
        return self.filter(state=Import.State.DONE)

    def unfinished(self) -> ImportQuerySet:
        return self.filter(state=Import.State.RUNNING)


def arrived(rows: models.QuerySet[Row]) -> models.QuerySet[Row]:
    """Without those of an import that still comes in."""
    return rows.exclude(from_import__in=Import.objects.unfinished())


class Import(models.Model):
    """One file, or several of one command. Rows of an import that is not done are nobody's to read."""

    class Kind(models.TextChoices):
        COMPARISONS = "comparisons", gettext_lazy("Comparisons")
        PROMPTS = "prompts", gettext_lazy("Prompts")
        DEMONSTRATIONS = "demonstrations", gettext_lazy("Demonstrations")
        TASKS = "tasks", gettext_lazy("Tasks to judge")
        TEXTS = "texts", gettext_lazy("Texts")

    class State(models.TextChoices):
        # Its rows come in. Its judgments can be deleted (trigger): it may break off, and then nothing stays of it.
        RUNNING = "running", gettext_lazy("Running")
        DONE = "done", gettext_lazy("Done")  # never running again (trigger)
        TAKEN_BACK = "taken_back", gettext_lazy("Taken back")  # its rows stay, and no reader sees them

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="imports")
    kind = models.CharField(max_length=20, choices=Kind.choices)
    format = models.CharField(max_length=40, blank=True)
    files: Any = models.JSONField(default=list, help_text="[{name, bytes, sha256}, ...]")
    counts: Any = models.JSONField(default=dict)
    notes: Any = models.JSONField(default=list, help_text="Sentences for whoever looks at it later.")
    # Rows of the files, and how many of them were left out as bad; null for imports from before they were counted.
    rows = models.PositiveBigIntegerField(null=True, blank=True)
    bad_rows = models.PositiveBigIntegerField(null=True, blank=True)
    run = models.ForeignKey(
        Run,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="imports",
        help_text="That brought it in.",
    )
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    state = models.CharField(max_length=12, choices=State.choices, default=State.RUNNING)
    # Who is bringing it in: host, pid, and what tells the process from a later one of that number.
    process: Any = models.JSONField(default=dict, blank=True)
    heartbeat_at = models.DateTimeField(auto_now_add=True)
    used_for = models.CharField(
        max_length=200, blank=True, help_text="The first run or round that read it; then it stays."
    )
    taken_back_at = models.DateTimeField(null=True, blank=True)
    taken_back_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = ImportQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["running", "done", "taken_back"]), name="import_state_valid"
            ),
            models.CheckConstraint(
                condition=Q(state="taken_back", taken_back_at__isnull=False, taken_back_by__isnull=False)
                | (~Q(state="taken_back") & Q(taken_back_at__isnull=True, taken_back_by__isnull=True)),
                name="import_taken_back_valid",
            ),
        ]
        indexes = [models.Index(fields=["project", "-id"], name="import_newest_first")]

    @property
    def bad_rows_path(self) -> Path:
        """JSON Lines of the rows that were left out; no file where there were none."""
        return Path(settings.DATA_DIR) / "imports" / f"{self.pk}-bad-rows.jsonl"

    def counts_in_order(self) -> dict[str, int]:
        """The counts, what everybody asks for first; PostgreSQL does not keep the order of a JSON object's keys."""
        names = [name for name in FIRST_COUNTS if name in self.counts]
        names += sorted(name for name in self.counts if name not in FIRST_COUNTS)
        return {name: self.counts[name] for name in names}

    def __str__(self) -> str:
        return (
            f"import {self.pk} ({', '.join(file['name'] for file in self.files) or self.get_kind_display()})"
        )


class NotTakenBack(models.Manager[Any]):
    """Leaves out rows of an import that was taken back: their ids are free again, and nobody looks them up."""

    def get_queryset(self) -> models.QuerySet[Any]:
        return super().get_queryset().filter(taken_back=False)


class Arrived(NotTakenBack):
    """Leaves out rows of an import that still comes in, too: it may break off, and then they are deleted. Whoever
    stores such rows looks for them by the base manager, since their ids are taken.
    """

    def get_queryset(self) -> models.QuerySet[Any]:
        return arrived(super().get_queryset())


def import_field(related_name: str) -> models.ForeignKey[Import | None, Import | None]:
    """The import that brought a row in; null for rows made here."""
    return models.ForeignKey(
        Import, on_delete=models.PROTECT, null=True, blank=True, related_name=related_name, editable=False
    )


def source_id_field() -> models.CharField[str | None, str | None]:
    return models.CharField(
        max_length=200,
        null=True,
        blank=True,
        editable=False,
        help_text="What the row is called in the file it came from.",
    )
