"""Who or what wrote a response, the responses, and the demonstrations people wrote."""

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy

from annotation.models.imports import Arrived, NotTakenBack, import_field, source_id_field
from annotation.models.prompts import Prompt, new_external_id
from learning.interface import vocabulary
from learning.interface.messages import Answer, stored_answer
from workspace.models import Project


class Source(models.Model):
    """Where a response came from. Annotators never learn it."""

    class Kind(models.TextChoices):
        POLICY = vocabulary.POLICY, gettext_lazy("Policy")
        PERSON = vocabulary.PERSON, gettext_lazy("Person")
        REFERENCE = vocabulary.REFERENCE, gettext_lazy("Reference")
        IMPORT = vocabulary.IMPORT, gettext_lazy("Import")

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="sources")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    name = models.CharField(max_length=120)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "kind", "name"], name="unique_source_per_project"),
            models.CheckConstraint(
                condition=Q(kind__in=list(vocabulary.SOURCE_KINDS)), name="source_kind_valid"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Response(models.Model):
    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="responses")
    external_id = models.CharField(
        max_length=200, default=new_external_id, help_text="`response_id` in files."
    )
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="responses")
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="responses")
    text = models.TextField()  # NUL is refused (PostgreSQL by itself, SQLite by a trigger)
    turns = models.JSONField(
        null=True,
        blank=True,
        help_text="A response with tool calls or several turns; empty where its text says all.",
    )
    sampling = models.JSONField(null=True, blank=True, help_text="temperature, top_p, seed, ...")
    token_ids = models.JSONField(null=True, blank=True, help_text="When sampled here.")
    logprobs = models.JSONField(null=True, blank=True, help_text="One for each token id.")
    from_import = import_field("responses")
    taken_back = models.BooleanField(default=False, editable=False)
    ended = models.BooleanField(
        null=True, blank=True, help_text="No: cut at the sampler's limit. Unknown counts as ended."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = NotTakenBack()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "external_id"],
                condition=Q(taken_back=False),
                name="unique_response_id_per_project",
            ),
            models.CheckConstraint(condition=~Q(external_id=""), name="response_id_not_empty"),
        ]

    def __str__(self) -> str:
        return self.external_id

    @property
    def answer(self) -> Answer:
        return stored_answer(self.text, self.turns)


class Demonstration(models.Model):
    """A response a person wrote to be imitated. Its split is its prompt's."""

    project = models.ForeignKey(Project, on_delete=models.PROTECT, related_name="demonstrations")
    external_id = models.CharField(max_length=200, default=new_external_id)
    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="demonstrations")
    response_text = models.TextField()
    turns = models.JSONField(null=True, blank=True, help_text="As those of a response.")
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    from_import = import_field("demonstrations")
    taken_back = models.BooleanField(default=False, editable=False)
    source_id = source_id_field()
    metadata = models.JSONField(null=True, blank=True, help_text="Further columns of the file it came from.")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = Arrived()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["project", "external_id"],
                condition=Q(taken_back=False),
                name="unique_demonstration_id_per_project",
            ),
            models.CheckConstraint(condition=~Q(response_text=""), name="demonstration_not_empty"),
        ]

    def __str__(self) -> str:
        return self.external_id
