"""The feed: what happened, in order, from a cursor on."""

from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from events.feed import BEGINNING, NOW, describe, read_feed
from events.kinds import GROUPS, KINDS, parse_kinds
from learning.interface.options import UserError
from workspace.api.base import ProjectApiView
from workspace.api.bodies import Query
from workspace.api.fields import JsonValue
from workspace.api.operations import operation
from workspace.roles import Capability


class EventSerializer(serializers.Serializer[Any]):
    id = serializers.CharField(help_text="The webhook-id of the same event.")
    cursor = serializers.CharField(help_text="From which to go on after it.")
    type = serializers.ChoiceField(list(KINDS.items()))
    timestamp = serializers.DateTimeField(help_text="When it happened.")
    data = JsonValue(help_text="By type: docs/events.md.")  # type: ignore[assignment]


class FeedSerializer(serializers.Serializer[Any]):
    results = EventSerializer(many=True)
    next_cursor = serializers.CharField(help_text="`after` of the next request, also where nothing came.")
    more = serializers.BooleanField(help_text="There are further ones already.")


class FeedQuery(Query):
    after = serializers.CharField(
        max_length=40,
        default=BEGINNING,
        help_text=f"`next_cursor` of the answer before; {BEGINNING}: all there are; {NOW}: none.",
    )
    kinds = serializers.CharField(
        max_length=500,
        required=False,
        help_text=f"With commas between: types, or all of {', '.join(GROUPS)}.",
    )
    limit = serializers.IntegerField(min_value=1, max_value=200, default=100)


class Events(ProjectApiView):
    @operation(Capability.REVIEW, answers=FeedSerializer, query=FeedQuery)
    def get(self, request: Request) -> dict[str, Any]:
        """What happened, the oldest first, in an order that never changes.

        An event that is committed later comes later: whoever goes on from `next_cursor` misses none.
        """
        query = self.query
        try:
            kinds = parse_kinds(query.get("kinds", ""))
        except UserError as error:
            raise ValidationError({"kinds": [str(error)]}) from error
        try:
            page = read_feed(self.project, after=query["after"], kinds=kinds, limit=query["limit"])
        except UserError as error:
            raise ValidationError({"after": [str(error)]}) from error
        return {
            "results": describe(page.events, self.capabilities),
            "next_cursor": page.cursor,
            "more": page.more,
        }
