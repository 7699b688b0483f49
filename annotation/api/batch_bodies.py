"""What programs send to make a batch and its tasks, and to change it."""

from typing import Any

from rest_framework import serializers

from annotation.api.assigning import NewAudience
from annotation.api.content import MAX_ROWS, MessagesField
from annotation.preferences.content_warnings import MAX_WARNINGS
from workspace.api.bodies import Body
from workspace.api.fields import rows_of
from workspace.models import MAX_OVERLAP

MAX_PRIORITY = 2**31 - 1
MAX_TASKS = MAX_ROWS


class AnswerRow(Body):
    """An answer to be judged: one that is there (`response_id`), or a new one (`text` or `turns`, and `source`)."""

    response_id = serializers.CharField(max_length=200, required=False)
    text = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False)
    turns = MessagesField(required=False)
    source: Any = serializers.CharField(max_length=120, required=False)


class TaskRow(Body):
    """A prompt, by its id or whole, and the answers to it."""

    prompt_id = serializers.CharField(max_length=200, required=False)
    messages = MessagesField(required=False)
    responses = rows_of(AnswerRow, min_length=1, max_length=9)
    priority = serializers.IntegerField(min_value=-MAX_PRIORITY, max_value=MAX_PRIORITY, required=False)


class NewBatch(Body):
    name = serializers.CharField(max_length=120)
    criterion = serializers.CharField(max_length=40, required=False, help_text="Where there are several.")
    responses_per_task = serializers.IntegerField(min_value=1, max_value=9, default=2)
    overlap = serializers.IntegerField(min_value=1, max_value=MAX_OVERLAP, required=False)
    quota = serializers.IntegerField(min_value=1, max_value=2**31 - 1, required=False)
    priority = serializers.IntegerField(min_value=-MAX_PRIORITY, max_value=MAX_PRIORITY, default=0)
    tasks = rows_of(TaskRow, required=False, max_length=MAX_TASKS)
    audience = NewAudience(required=False, help_text="Who gets its tasks; left out: everybody who judges.")
    open = serializers.BooleanField(default=False, help_text="Hand its tasks out at once.")


class NewTasks(Body):
    tasks = rows_of(TaskRow, min_length=1, max_length=MAX_TASKS)


class ChangedBatch(Body):
    overlap = serializers.IntegerField(
        min_value=1, max_value=MAX_OVERLAP, required=False, help_text="People per task."
    )
    content_warnings = serializers.ListField(
        child=serializers.CharField(max_length=30),
        max_length=MAX_WARNINGS,
        required=False,
        help_text="What its tasks may show; who does not want to see it is not offered them.",
    )
    expected_overlap = serializers.IntegerField(
        min_value=1, max_value=MAX_OVERLAP, required=False, help_text="Refused when it is another by now."
    )


class ReopenedBatch(Body):
    quota = serializers.IntegerField(min_value=1, max_value=2**31 - 1, required=False)
