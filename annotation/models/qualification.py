"""Training before the work: what has to be passed, and who has."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy

from annotation.models.assignments import Assignment
from annotation.models.tasks import Batch
from workspace.models import Project


class Training(models.Model):
    """Practice tasks with known answers. A try is so many of them, `needed` of which have to be right."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="trainings")
    name = models.CharField(max_length=80)
    batch = models.OneToOneField(Batch, on_delete=models.PROTECT, related_name="training")
    items = models.PositiveSmallIntegerField(help_text="Tasks of a try.")
    needed = models.PositiveSmallIntegerField(help_text="So many of them right to pass.")
    max_tries = models.PositiveSmallIntegerField(default=3)
    is_on = models.BooleanField(default=False, help_text="Off: nobody is asked for it.")
    for_everybody = models.BooleanField(
        default=True, help_text="Before any work of the project, not only of batches that require it."
    )
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="unique_training_name_per_project"),
            models.CheckConstraint(
                condition=Q(items__gte=1, needed__gte=1, needed__lte=F("items"), max_tries__gte=1),
                name="training_pass_mark_valid",
            ),
            models.CheckConstraint(condition=~Q(name=""), name="training_name_not_empty"),
        ]

    def __str__(self) -> str:
        return self.name


class Qualification(models.Model):
    """Where a person stands in a training. Without a row they have not begun. The search for tasks joins it."""

    class State(models.TextChoices):
        OPEN = "open", gettext_lazy("In training")
        PASSED = "passed", gettext_lazy("Passed")
        FAILED = (
            "failed",
            gettext_lazy("Not passed"),
        )  # the last try is over; the next begins when they say so
        LET_THROUGH = "let_through", gettext_lazy("Let through")  # by a manager

    # In these the work that requires it is handed out.
    QUALIFIED = (State.PASSED, State.LET_THROUGH)

    training = models.ForeignKey(Training, on_delete=models.PROTECT, related_name="qualifications")
    annotator = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="qualifications"
    )
    state = models.CharField(max_length=12, choices=State.choices, default=State.OPEN)
    try_number = models.PositiveSmallIntegerField(default=1)
    tries_allowed = models.PositiveSmallIntegerField()
    # Of this try.
    answered = models.PositiveSmallIntegerField(default=0)
    right = models.PositiveSmallIntegerField(default=0)
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=300, blank=True, help_text="Of the manager; only managers see it.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["training", "annotator"], name="unique_qualification_per_annotator"
            ),
            models.CheckConstraint(
                condition=Q(state__in=["open", "passed", "failed", "let_through"]),
                name="qualification_state_valid",
            ),
            models.CheckConstraint(
                condition=Q(right__lte=F("answered"), try_number__gte=1), name="qualification_counts_valid"
            ),
            models.CheckConstraint(
                condition=Q(state="open") | Q(decided_at__isnull=False), name="qualification_decided_valid"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.annotator}: {self.get_state_display()}"


class TrainingAnswer(models.Model):
    """One task of a try, and whether what was said of it was right by what was known then."""

    qualification = models.ForeignKey(Qualification, on_delete=models.PROTECT, related_name="answers")
    try_number = models.PositiveSmallIntegerField()
    assignment = models.OneToOneField(Assignment, on_delete=models.PROTECT, related_name="training_answer")
    is_right = models.BooleanField()
    created_at = models.DateTimeField(auto_now_add=True)
