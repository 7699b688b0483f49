"""What annotators ask about a task, and what they were answered."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from annotation.models.assignments import Assignment
from annotation.models.tasks import Task


class TaskQuestion(models.Model):
    """Asked by an annotator of a task that was given to them.

    The last answer counts; those before are in the audit trail.
    """

    task = models.ForeignKey(Task, on_delete=models.PROTECT, related_name="questions")
    assignment = models.ForeignKey(Assignment, on_delete=models.PROTECT, related_name="questions")
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="task_questions"
    )
    text = models.TextField()
    answer = models.TextField(blank=True, default="")
    answered_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    answered_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            # Sent twice it is one question.
            models.UniqueConstraint(fields=["assignment", "text"], name="unique_question_per_assignment"),
            models.CheckConstraint(condition=~Q(text=""), name="task_question_not_empty"),
            models.CheckConstraint(
                condition=Q(answer="", answered_by__isnull=True, answered_at__isnull=True)
                | (~Q(answer="") & Q(answered_by__isnull=False, answered_at__isnull=False)),
                name="task_question_answer_valid",
            ),
        ]
        indexes = [models.Index(fields=["author", "-id"], name="task_question_by_author")]

    def __str__(self) -> str:
        return self.text[:60]
