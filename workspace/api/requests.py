"""What programs may send about projects, their settings and people."""

from rest_framework import serializers

from workspace.api.asked import AskedBody
from workspace.api.bodies import Body, OrderField, PageQuery
from workspace.models import MAX_LEASE_MINUTES, MAX_OVERLAP, Membership
from workspace.question_presets import PRESETS


class ProjectQuery(PageQuery):
    order = OrderField("id", "name")


class NewestQuery(PageQuery):
    order = OrderField("id")


class NewProject(Body):
    name = serializers.CharField(max_length=120)
    description = serializers.CharField(required=False, allow_blank=True)
    criterion_name = serializers.CharField(max_length=40, required=False)
    question = serializers.CharField(max_length=300, required=False)
    guideline = serializers.CharField(required=False, allow_blank=True, trim_whitespace=False)
    overlap = serializers.IntegerField(min_value=1, max_value=MAX_OVERLAP, required=False)
    lease_minutes = serializers.IntegerField(min_value=1, max_value=MAX_LEASE_MINUTES, required=False)
    allow_ties = serializers.BooleanField(required=False)
    ask_rationale = serializers.BooleanField(required=False)
    preset = serializers.ChoiceField(
        list(PRESETS),
        required=False,
        help_text="What is asked, ties included, as a published project had it; its criteria come, too.",
    )


class ChangedProject(Body):
    """What is left out stays as it is. Those of the splits go together: what is left out of them stays, too."""

    name = serializers.CharField(max_length=120, required=False)
    description = serializers.CharField(required=False, allow_blank=True)
    overlap = serializers.IntegerField(
        min_value=1, max_value=MAX_OVERLAP, required=False, help_text="Of batches made from now on."
    )
    lease_minutes = serializers.IntegerField(min_value=1, max_value=MAX_LEASE_MINUTES, required=False)
    expected_version = serializers.IntegerField(
        min_value=1,
        max_value=2**31 - 1,
        required=False,
        help_text="Of name, description, overlap and lease; refused when somebody has changed them since.",
    )
    time_zone = serializers.CharField(max_length=64, required=False)
    train_share = serializers.FloatField(min_value=0, max_value=1, required=False)
    validation_share = serializers.FloatField(min_value=0, max_value=1, required=False)
    test_per_tag = serializers.DictField(
        child=serializers.IntegerField(min_value=0, max_value=2**31 - 1), required=False
    )
    near_duplicates_together = serializers.BooleanField(required=False)


class NewCriterion(Body):
    name = serializers.SlugField(max_length=40)
    question = serializers.CharField(max_length=300)


class NewQuestionSettings(Body):
    allow_ties = serializers.BooleanField()
    ask_rationale = serializers.BooleanField()
    questions = serializers.DictField(
        child=serializers.CharField(max_length=300),
        required=False,
        help_text="{name of a criterion: its new question}; the others stay.",
    )
    asked = AskedBody(
        required=False, help_text="What is asked beside the order, whole; left out, it stays as it is."
    )
    preset = serializers.ChoiceField(
        list(PRESETS), required=False, help_text="Says what is asked in the place of `asked`."
    )
    expected_version = serializers.IntegerField(
        min_value=0, max_value=2**31 - 1, required=False, help_text="Refused when it is not the newest."
    )


class NewGuideline(Body):
    text = serializers.CharField(allow_blank=True, trim_whitespace=False)
    expected_version = serializers.IntegerField(
        min_value=0, max_value=2**31 - 1, required=False, help_text="Refused when it is not the newest."
    )


class ChangedMember(Body):
    """What is left out stays as it is."""

    role = serializers.ChoiceField(Membership.Role.choices, required=False)
    paused = serializers.BooleanField(required=False, help_text="Gets no tasks while it is true.")


class NewInvitation(Body):
    role = serializers.ChoiceField(Membership.Role.choices)
    note = serializers.CharField(max_length=120, required=False, allow_blank=True)
