"""Who gets what: groups and skills, for whom a batch is, how much a person does in a day; who has read what."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy

from annotation.models.tasks import Batch
from workspace.models import Membership, Project


class MemberTag(models.Model):
    """A group that a member is in, or a skill or language of theirs."""

    class Kind(models.TextChoices):
        GROUP = "group", gettext_lazy("Group")
        SKILL = "skill", gettext_lazy("Skill or language")

    membership = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="tags")
    kind = models.CharField(max_length=6, choices=Kind.choices)
    name = models.CharField(max_length=40)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["membership", "kind", "name"], name="unique_member_tag"),
            models.CheckConstraint(condition=Q(kind__in=["group", "skill"]), name="member_tag_kind_valid"),
            models.CheckConstraint(condition=~Q(name=""), name="member_tag_has_a_name"),
        ]

    def __str__(self) -> str:
        return self.name


class DailyLimit(models.Model):
    """Tasks that a member judges in a day of the project's time zone; without a member: who has none of their own."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="daily_limits")
    membership = models.OneToOneField(
        Membership, on_delete=models.CASCADE, null=True, blank=True, related_name="daily_limit"
    )
    tasks = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project"], condition=Q(membership__isnull=True), name="unique_daily_limit_of_project"
            ),
            models.CheckConstraint(condition=Q(tasks__gte=1), name="daily_limit_is_positive"),
        ]


class DayCount(models.Model):
    """How many tasks a person judged on a day of the project's time zone. A trigger counts; nobody counts rows for it.

    What is changed or taken back later stays counted: the work was done. Practice tasks are not.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    annotator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    day = models.DateField()
    judged = models.PositiveIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "annotator", "day"], name="unique_day_count"),
        ]


class BatchAudience(models.Model):
    """For whom a batch is: a person, a group, or (of the skills it asks for) one skill."""

    class Kind(models.TextChoices):
        PERSON = "person", gettext_lazy("Person")
        GROUP = "group", gettext_lazy("Group")
        SKILL = "skill", gettext_lazy("Skill or language")

    batch = models.ForeignKey(Batch, on_delete=models.CASCADE, related_name="audience")
    kind = models.CharField(max_length=6, choices=Kind.choices)
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True, related_name="+"
    )
    name = models.CharField(max_length=40, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["batch", "person"], condition=Q(kind="person"), name="unique_person_of_batch"
            ),
            models.UniqueConstraint(
                fields=["batch", "kind", "name"], condition=~Q(kind="person"), name="unique_tag_of_batch"
            ),
            models.CheckConstraint(
                condition=Q(kind="person", person__isnull=False, name="")
                | (Q(kind__in=["group", "skill"], person__isnull=True) & ~Q(name="")),
                name="batch_audience_valid",
            ),
        ]


class ToAcknowledge(models.Model):
    """A version of the guideline that everybody confirms before their next task."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="to_acknowledge")
    version = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "version"], name="unique_version_to_acknowledge"),
        ]


class Acknowledgement(models.Model):
    """Somebody has read a version of the guideline, and the earlier ones with it."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="acknowledgements")
    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    version = models.PositiveIntegerField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "person", "version"], name="unique_acknowledgement_per_person"
            ),
        ]
