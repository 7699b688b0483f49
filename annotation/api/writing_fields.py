"""What operations of writing take and answer."""

from typing import Any

from rest_framework import serializers

from annotation.models import Prompt, WritingItem, WritingReview, WritingSkip, WritingWork
from annotation.writing.actions import MAX_REASON_CHARACTERS
from annotation.writing.checking import MAX_REMARK_CHARACTERS
from annotation.writing.texts import MAX_CHARACTERS, MAX_TURNS
from annotation.writing.works import MAX_COPIES, MAX_INSTRUCTION_CHARACTERS, MAX_ITEMS, MAX_WORDS
from workspace.api.bodies import Body, OrderField, PageQuery
from workspace.api.fields import KEY, NATURAL

_TEXT: dict[str, Any] = {"trim_whitespace": False, "max_length": MAX_CHARACTERS}
_TURNS = "The texts in their order: one, or those of a dialogue, the user's first."


class WritingWorkSerializer(serializers.ModelSerializer[WritingWork]):
    prompt_set: Any = serializers.IntegerField(source="prompt_set_id", allow_null=True)

    class Meta:
        model = WritingWork
        fields = [
            "id",
            "name",
            "kind",
            "state",
            "instruction",
            "prompt_kind",
            "prompt_set",
            "min_words",
            "max_words",
            "created_at",
        ]
        read_only_fields = fields


class WritingWorkQuery(PageQuery):
    order = OrderField("id")
    state = serializers.ChoiceField(WritingWork.State.choices, required=False)
    kind = serializers.ChoiceField(WritingWork.Kind.choices, required=False)


class TextCountsSerializer(serializers.Serializer[Any]):
    waiting = serializers.IntegerField(help_text="For a writer.")
    writing = serializers.IntegerField()
    checking = serializers.IntegerField(help_text="Sent, and to be checked.")
    returned = serializers.IntegerField()
    accepted = serializers.IntegerField()


class WriterCountsSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    sent = serializers.IntegerField()
    accepted = serializers.IntegerField()
    returned = serializers.IntegerField()


class OneWritingWorkSerializer(serializers.Serializer[Any]):
    work = WritingWorkSerializer()
    texts = TextCountsSerializer(help_text="How many are in which state.")
    writers = WriterCountsSerializer(many=True)


class NewWritingWork(Body):
    name = serializers.CharField(max_length=120)
    kind = serializers.ChoiceField(WritingWork.Kind.choices)
    instruction = serializers.CharField(
        max_length=MAX_INSTRUCTION_CHARACTERS, default="", allow_blank=True, help_text="Markdown."
    )
    prompt_set = serializers.IntegerField(
        default=None,
        allow_null=True,
        help_text="Answers: whose prompts are answered. Prompts and dialogues: where accepted prompts go.",
        **KEY,
    )
    prompt_kind = serializers.ChoiceField(
        Prompt.Kind.choices, default="", allow_blank=True, help_text="Of prompts that are asked for."
    )
    items = serializers.IntegerField(
        min_value=1,
        max_value=MAX_ITEMS,
        default=None,
        allow_null=True,
        help_text="How many prompts or dialogues.",
    )
    copies = serializers.IntegerField(
        min_value=1, max_value=MAX_COPIES, default=1, help_text="Of answers: people a prompt."
    )
    min_words = serializers.IntegerField(min_value=1, max_value=MAX_WORDS, default=1)
    max_words = serializers.IntegerField(min_value=1, max_value=MAX_WORDS, default=2000)


class TextSerializer(serializers.ModelSerializer[WritingItem]):
    work: Any = serializers.IntegerField(source="work_id")
    prompt: Any = serializers.IntegerField(source="prompt_id", allow_null=True)
    writer: Any = serializers.CharField(source="writer.pseudonym", default=None, allow_null=True)
    late: Any = serializers.BooleanField(
        source="is_late", help_text="Somebody else was asked for the same meanwhile."
    )

    class Meta:
        model = WritingItem
        fields = ["id", "work", "prompt", "state", "writer", "leased_until", "late", "created_at"]
        read_only_fields = fields


class TextQuery(PageQuery):
    order = OrderField("id")
    state = serializers.ChoiceField(WritingItem.State.choices, required=False)
    work = serializers.IntegerField(source="work_id", required=False, **KEY)


class SaidOfVersionSerializer(serializers.ModelSerializer[WritingReview]):
    """What was said of a version; not by whom."""

    class Meta:
        model = WritingReview
        fields = ["outcome", "remark", "created_at"]
        read_only_fields = fields


class TextReviewSerializer(serializers.ModelSerializer[WritingReview]):
    reviewer: Any = serializers.CharField(source="reviewer.pseudonym")

    class Meta:
        model = WritingReview
        fields = ["outcome", "remark", "reviewer", "created_at"]
        read_only_fields = fields


class TextVersionSerializer(serializers.Serializer[Any]):
    number = serializers.IntegerField(help_text="From 1.")
    turns = serializers.ListField(child=serializers.CharField(), help_text=_TURNS)
    written_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    review = TextReviewSerializer(allow_null=True)
    demonstrations = serializers.ListField(
        child=serializers.IntegerField(), help_text="What it became, once accepted."
    )
    prompts = serializers.ListField(child=serializers.IntegerField())


class GivenBackSerializer(serializers.ModelSerializer[WritingSkip]):
    class Meta:
        model = WritingSkip
        fields = ["reason", "created_at"]
        read_only_fields = fields


class OneTextSerializer(serializers.Serializer[Any]):
    row = TextSerializer()
    messages = serializers.JSONField(allow_null=True, help_text="The conversation that is answered.")
    to_correct = serializers.CharField(allow_null=True, help_text="The answer that is corrected.")
    versions = TextVersionSerializer(many=True)
    given_back = GivenBackSerializer(many=True)


class SaidOfText(Body):
    version = serializers.IntegerField(
        min_value=1, max_value=32_767, help_text="The one that was read: refused when a newer one is there."
    )
    outcome = serializers.ChoiceField(WritingReview.Outcome.choices)
    remark = serializers.CharField(
        max_length=MAX_REMARK_CHARACTERS,
        default="",
        allow_blank=True,
        help_text="The writer reads it; needed to send a text back.",
    )
    turns = serializers.ListField(
        child=serializers.CharField(**_TEXT),
        min_length=1,
        max_length=MAX_TURNS,
        default=None,
        allow_null=True,
        help_text="The corrected text, for `edit` alone.",
    )


class WorkToWriteSerializer(serializers.ModelSerializer[WritingWork]):
    class Meta:
        model = WritingWork
        fields = ["id", "name", "kind", "instruction", "prompt_kind", "min_words", "max_words"]
        read_only_fields = fields


class OwnTextQuery(PageQuery):
    order = OrderField("id")


class OwnTextRowSerializer(serializers.ModelSerializer[WritingItem]):
    text: Any = serializers.UUIDField(source="public_id", help_text="The handle of this text for its writer.")
    work: Any = serializers.IntegerField(source="work_id")
    kind: Any = serializers.ChoiceField(WritingWork.Kind.choices, source="work.kind")

    class Meta:
        model = WritingItem
        fields = ["text", "work", "kind", "state", "leased_until", "created_at"]
        read_only_fields = fields


class OwnVersionSerializer(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    turns = serializers.ListField(child=serializers.CharField(), help_text=_TURNS)
    own = serializers.BooleanField(help_text="No: a reviewer's correction.")
    created_at = serializers.DateTimeField()
    review = SaidOfVersionSerializer(allow_null=True)


class OwnTextSerializer(serializers.Serializer[Any]):
    row = OwnTextRowSerializer()
    instruction = serializers.CharField(help_text="Markdown.")
    prompt_kind = serializers.CharField(help_text="Of prompts that are asked for; else empty.")
    min_words = serializers.IntegerField(help_text="Of each text; the user's of a dialogue may be shorter.")
    max_words = serializers.IntegerField()
    messages = serializers.JSONField(allow_null=True, help_text="The conversation to answer.")
    to_correct = serializers.CharField(allow_null=True, help_text="The answer to begin with.")
    draft = serializers.ListField(child=serializers.CharField(), allow_null=True)
    draft_number = serializers.IntegerField(help_text="Sent with the next draft.")
    seen_version = serializers.IntegerField(help_text="Sent with the text; 0: nothing was sent yet.")
    versions = OwnVersionSerializer(many=True)


class ClaimedTextSerializer(serializers.Serializer[Any]):
    text = OwnTextSerializer(allow_null=True, help_text="null: nothing is left for the caller.")


class WrittenDraft(Body):
    turns = serializers.ListField(
        child=serializers.CharField(allow_blank=True, **_TEXT), max_length=MAX_TURNS, help_text=_TURNS
    )
    draft_number = serializers.IntegerField(
        help_text="Of the draft that the caller saw: refused when another window kept something else.",
        **NATURAL,
    )


class DraftNumberSerializer(serializers.Serializer[Any]):
    draft_number = serializers.IntegerField()


class SentText(Body):
    turns = serializers.ListField(
        child=serializers.CharField(**_TEXT), min_length=1, max_length=MAX_TURNS, help_text=_TURNS
    )
    seen_version = serializers.IntegerField(
        min_value=0, max_value=32_767, default=0, help_text="The last version that the caller saw."
    )


class SentTextSerializer(serializers.Serializer[Any]):
    text = serializers.UUIDField()
    version = serializers.IntegerField()
    late = serializers.BooleanField()


class WhyGivenBack(Body):
    reason = serializers.CharField(max_length=MAX_REASON_CHARACTERS)
