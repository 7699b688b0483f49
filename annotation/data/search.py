"""Words in prompts, demonstrations and texts: anywhere in the text, in any case, or the thing's own id."""

from typing import Any

from django.db.models import Q, QuerySet

from annotation.models.said_in_turns import SaidInTurns


def search_prompts(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    return rows.filter(Q(SaidInTurns("messages", text)) | Q(external_id=text) | Q(source_id=text))


def search_demonstrations(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    named = Q(external_id=text) | Q(source_id=text)
    said = Q(response_text__icontains=text) | Q(SaidInTurns("prompt__messages", text))
    return rows.filter(said | named)


def search_texts(rows: QuerySet[Any], text: str) -> QuerySet[Any]:
    return rows.filter(Q(text__icontains=text) | Q(external_id=text) | Q(source_id=text))
