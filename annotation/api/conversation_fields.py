"""What operations of live conversations take and answer."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from annotation.conversation.batches import (
    MAX_MESSAGE_CHARACTERS,
    MAX_OPENERS,
    MAX_RESPONSE_TOKENS,
    MAX_TURNS,
)
from annotation.conversation.comparing import MAX_ANSWERS
from annotation.models import Batch, Conversation, ConversationTurn, LiveBatch, TurnAnswer
from workspace.api.bodies import Body, OrderField, PageQuery
from workspace.api.fields import KEY, rows_of
from workspace.models import MAX_OVERLAP
from workspace.roles import Capability

_TEXT: dict[str, Any] = {"trim_whitespace": False, "max_length": MAX_MESSAGE_CHARACTERS}
_LIMIT: dict[str, Any] = {"min_value": 1, "required": False}
FOR_MANAGERS = "For managers; else null."


class SideSerializer(serializers.Serializer[Any]):
    policy = serializers.CharField()
    temperature = serializers.FloatField()


class LiveBatchSerializer(serializers.ModelSerializer[LiveBatch]):
    id: Any = serializers.IntegerField(source="batch_id", help_text="The batch's.")
    name: Any = serializers.CharField(source="batch.name")
    state: Any = serializers.ChoiceField(Batch.State.choices, source="batch.state")
    criterion: Any = serializers.CharField(source="batch.criterion.name")
    quota: Any = serializers.IntegerField(
        source="batch.quota", help_text="How many judged turns are asked for."
    )
    sides = serializers.SerializerMethodField(help_text="For managers; else empty.")

    class Meta:
        model = LiveBatch
        fields = [
            "id", "name", "state", "criterion", "quota", "sides", "top_p", "system_prompt", "instruction", "openers",
            "max_turns", "max_response_tokens", "max_message_characters", "created_at",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(SideSerializer(many=True))
    def get_sides(self, live: LiveBatch) -> Any:
        if Capability.MANAGE not in self.context["view"].capabilities:
            return []
        sides = [{"policy": source.name, "temperature": temperature} for source, temperature in live.sides]
        return SideSerializer(sides, many=True).data


class LiveBatchQuery(PageQuery):
    order = OrderField("id")
    state = serializers.ChoiceField(Batch.State.choices, source="batch__state", required=False)


class NewSide(Body):
    policy = serializers.CharField(max_length=120, help_text="Its name.")
    temperature = serializers.FloatField(default=1.0, min_value=0.01, max_value=10)


class NewLiveBatch(Body):
    name = serializers.CharField(max_length=120)
    criterion = serializers.CharField(max_length=40, required=False, help_text="Where there are several.")
    quota = serializers.IntegerField(min_value=1, max_value=1_000_000, help_text="Judged turns.")
    sides = rows_of(
        NewSide, min_length=2, max_length=2, help_text="Two policies, or one at two temperatures."
    )
    top_p = serializers.FloatField(min_value=0.01, max_value=1, required=False)
    system_prompt = serializers.CharField(max_length=20_000, required=False, allow_blank=True)
    instruction = serializers.CharField(max_length=5_000, required=False, allow_blank=True)
    openers = serializers.ListField(
        child=serializers.CharField(max_length=MAX_MESSAGE_CHARACTERS),
        max_length=MAX_OPENERS,
        required=False,
        help_text="First messages to choose from.",
    )
    max_turns = serializers.IntegerField(max_value=MAX_TURNS, **_LIMIT)
    max_response_tokens = serializers.IntegerField(max_value=MAX_RESPONSE_TOKENS, **_LIMIT)
    max_message_characters = serializers.IntegerField(max_value=MAX_MESSAGE_CHARACTERS, **_LIMIT)


class BatchFromConversations(Body):
    name = serializers.CharField(max_length=120)
    criterion = serializers.CharField(max_length=40, required=False, help_text="Where there are several.")
    live_batches = serializers.ListField(
        child=serializers.IntegerField(**KEY), default=list, max_length=200, help_text="None named: all."
    )
    most = serializers.IntegerField(
        min_value=2, max_value=MAX_ANSWERS, default=2, help_text="Conversations of a task, at most."
    )
    least_turns = serializers.IntegerField(min_value=1, max_value=MAX_TURNS, default=2)
    skip_compared = serializers.BooleanField(
        default=True, help_text="Leave out what a batch of the criterion compares already."
    )
    overlap = serializers.IntegerField(min_value=1, max_value=MAX_OVERLAP, required=False)
    open = serializers.BooleanField(default=False, help_text="Hand its tasks out at once.")


class ConversationSerializer(serializers.ModelSerializer[Conversation]):
    annotator: Any = serializers.CharField(source="annotator.pseudonym")
    turns = serializers.IntegerField(source="n_turns")
    judged = serializers.IntegerField(source="n_judged")

    class Meta:
        model = Conversation
        fields = ["id", "annotator", "turns", "judged", "ended_at", "created_at"]
        read_only_fields = fields


class ConversationQuery(PageQuery):
    order = OrderField("id")
    annotator = serializers.CharField(source="annotator__pseudonym", required=False)
    ended = serializers.ChoiceField(["true", "false"], required=False)


class ReadAnswerSerializer(serializers.Serializer[Any]):
    label: Any = serializers.CharField(help_text="A stood first on the screen.")
    state = serializers.ChoiceField(TurnAnswer.State.choices)
    text = serializers.CharField()
    error = serializers.CharField()
    chosen = serializers.BooleanField(help_text="The conversation goes on with it.")
    policy = serializers.CharField(allow_null=True, help_text=FOR_MANAGERS)
    temperature = serializers.FloatField(allow_null=True, help_text=FOR_MANAGERS)
    response_id = serializers.CharField(allow_null=True, help_text=FOR_MANAGERS)


class ReadTurnSerializer(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    message = serializers.CharField()
    outcome = serializers.ChoiceField(ConversationTurn.Outcome.choices)
    chosen_at_random = serializers.BooleanField(help_text="After a tie, or without a judgment.")
    task = serializers.IntegerField(allow_null=True)
    answers = ReadAnswerSerializer(many=True)


class OneConversationSerializer(serializers.Serializer[Any]):
    conversation = ConversationSerializer()
    turns = ReadTurnSerializer(many=True)


class OpenLiveBatchSerializer(serializers.Serializer[Any]):
    batch = serializers.IntegerField()
    criterion = serializers.CharField()
    instruction = serializers.CharField()
    openers = serializers.ListField(child=serializers.CharField(), help_text="First messages to choose from.")
    conversation = serializers.UUIDField(allow_null=True, help_text="The caller's own that is not ended.")
    had = serializers.IntegerField(help_text="Conversations of the caller's that are ended.")


class ToTalkSerializer(serializers.Serializer[Any]):
    batches = OpenLiveBatchSerializer(many=True)
    refused = serializers.CharField(help_text="Why the caller gets nothing new at present; else empty.")


class NewConversation(Body):
    batch = serializers.IntegerField(**KEY)


class OwnConversationRowSerializer(serializers.ModelSerializer[Conversation]):
    conversation = serializers.UUIDField(source="public_id")
    batch: Any = serializers.IntegerField(source="live.batch_id")

    class Meta:
        model = Conversation
        fields = ["conversation", "batch", "ended_at", "created_at"]
        read_only_fields = fields


class OwnConversationQuery(PageQuery):
    order = OrderField("id")


class SaidTurnSerializer(serializers.Serializer[Any]):
    message = serializers.CharField()
    answer = serializers.CharField(help_text="The one that the conversation went on with.")


class WrittenAnswerSerializer(serializers.Serializer[Any]):
    label: Any = serializers.CharField()
    state = serializers.ChoiceField(["loading", "writing", "done", "failed"])
    text = serializers.CharField(help_text="What is written so far.")
    message = serializers.CharField(help_text="What is waited for, or what went wrong.")


class OpenTurnSerializer(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    message = serializers.CharField()
    assignment = serializers.UUIDField(
        allow_null=True, help_text="When both answers are there: the handle to judge them by (`assignments`)."
    )
    answers = WrittenAnswerSerializer(
        many=True, help_text="While they are written; then the assignment has them."
    )


class OwnConversationSerializer(serializers.Serializer[Any]):
    conversation = serializers.UUIDField()
    batch = serializers.IntegerField()
    instruction = serializers.CharField()
    turns = SaidTurnSerializer(many=True, help_text="Those that are finished.")
    open_turn = OpenTurnSerializer(allow_null=True)
    ended = serializers.BooleanField()
    may_write = serializers.BooleanField(help_text="Whether it waits for the caller's message.")
    max_turns = serializers.IntegerField()
    max_message_characters = serializers.IntegerField()


class SentMessage(Body):
    text = serializers.CharField(**_TEXT)
    number = serializers.IntegerField(
        min_value=1, max_value=MAX_TURNS, help_text="Of its turn, from 1: the same again is sent once."
    )
