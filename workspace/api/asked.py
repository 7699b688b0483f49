"""What is asked beside the order of the answers, in JSON: as it is sent, and as it is shown."""

from typing import Any

from rest_framework import serializers

from workspace.api.bodies import Body
from workspace.asked import (
    EVERY,
    GUIDED_FROM,
    MARK_KINDS,
    MARK_TASKS,
    MAX_CHOICES,
    MAX_LABEL_CHARACTERS,
    MAX_LISTED,
    MAX_MARKS,
    MAX_NAME_CHARACTERS,
    MAX_POINTS,
    RATIONALE_CASES,
)

_NAME: dict[str, Any] = {"max_length": MAX_NAME_CHARACTERS}
_WORDS: dict[str, Any] = {"max_length": MAX_LABEL_CHARACTERS}


class NamedBody(Body):
    """A flag or a reason: as files carry it, and as annotators read it."""

    name = serializers.RegexField("^[a-z][a-z0-9_]*$", **_NAME)
    label: Any = serializers.CharField(**_WORDS)


class MarkBody(Body):
    """One thing that is said of each answer."""

    name = serializers.RegexField("^[a-z][a-z0-9_]*$", **_NAME)
    label: Any = serializers.CharField(**_WORDS)
    kind = serializers.ChoiceField(list(MARK_KINDS))
    required: Any = serializers.BooleanField(default=False)
    points = serializers.IntegerField(
        min_value=0, max_value=MAX_POINTS, default=0, help_text="Of a scale (likert): 2 to 10."
    )
    low = serializers.CharField(allow_blank=True, default="", help_text="At the scale's end 1.", **_WORDS)
    high = serializers.CharField(allow_blank=True, default="", help_text="At its other end.", **_WORDS)
    choices = serializers.ListField(
        child=serializers.CharField(**_WORDS),
        max_length=MAX_CHOICES,
        default=list,
        help_text="The words of a choice, or the labels of passages (span).",
    )
    tasks = serializers.ChoiceField(
        list(MARK_TASKS), default=EVERY, help_text="every; one: answers alone (K = 1); several: two and more."
    )
    criteria = serializers.ListField(
        child=serializers.CharField(max_length=40),
        default=list,
        help_text="Names of the criteria whose tasks ask it; none: every one's.",
    )


class AskedBody(Body):
    """What is left out has its default: no marks, no confidence, the usual flags and reasons."""

    preset = serializers.CharField(
        required=False, allow_blank=True, max_length=MAX_NAME_CHARACTERS, help_text="As which it began."
    )
    marks = serializers.ListField(child=MarkBody(), required=False, max_length=MAX_MARKS)
    confidence_points = serializers.IntegerField(
        min_value=0,
        max_value=MAX_POINTS,
        required=False,
        help_text="How sure, of two and more answers; 0: not.",
    )
    rationale_for = serializers.ListField(
        child=serializers.ChoiceField(list(RATIONALE_CASES)),
        required=False,
        help_text="When a reason is required, where it is not with every judgment.",
    )
    flags = serializers.ListField(child=NamedBody(), required=False, max_length=MAX_LISTED)
    both_bad = serializers.BooleanField(required=False, help_text="Offers: none of the answers is good.")
    both_bad_reasons = serializers.ListField(child=NamedBody(), required=False, max_length=MAX_LISTED)
    guided_first = serializers.BooleanField(
        required=False,
        help_text=f"Rankings of {GUIDED_FROM} and more answers begin by questions about two of them.",
    )
    cannot_judge = serializers.ListField(
        child=NamedBody(), required=False, max_length=MAX_LISTED, help_text="Reasons for passing a task on."
    )


class NamedSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    label: Any = serializers.CharField()


class MarkSerializer(NamedSerializer):
    kind = serializers.ChoiceField(list(MARK_KINDS))
    required: Any = serializers.BooleanField()
    points = serializers.IntegerField()
    low = serializers.CharField()
    high = serializers.CharField()
    choices = serializers.ListField(child=serializers.CharField())
    tasks = serializers.ChoiceField(list(MARK_TASKS))
    criteria = serializers.ListField(child=serializers.CharField())


class AskedSerializer(serializers.Serializer[Any]):
    preset = serializers.CharField(help_text="It began as this one; may be empty.")
    marks = MarkSerializer(many=True)
    confidence_points = serializers.IntegerField()
    rationale_for = serializers.ListField(child=serializers.ChoiceField(list(RATIONALE_CASES)))
    flags = NamedSerializer(many=True)
    both_bad = serializers.BooleanField()
    both_bad_reasons = NamedSerializer(many=True)
    guided_first = serializers.BooleanField()
    cannot_judge = NamedSerializer(many=True)
