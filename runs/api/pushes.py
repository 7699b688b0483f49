"""What a program says of a push to the Hub."""

from typing import Any

from django.db.models import Model
from rest_framework import serializers

from runs.model_cards import DESCRIBED
from workspace.api.bodies import Body
from workspace.shown_values import values_of


class NewPush(Body):
    repository = serializers.CharField(max_length=200, help_text="owner/name; made where it is not there.")
    public = serializers.BooleanField(default=False, help_text="Else private, and a public one is refused.")
    token = serializers.CharField(
        max_length=500,
        default="",
        allow_blank=True,
        write_only=True,
        help_text="Of the Hub, used once and kept nowhere; without it the site's own, for repositories that its "
        "operators name.",
    )
    dry_run = serializers.BooleanField(
        default=False, help_text="Only list what would be sent, in the run's result."
    )


def card_values(model: Model) -> dict[str, Any]:
    return values_of(model, DESCRIBED)


class ModelDescription(Body):
    licence = serializers.CharField(max_length=100, required=False, allow_blank=True)
    notes = serializers.CharField(max_length=100_000, required=False, allow_blank=True)
