"""Opening a batch of live conversations."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction
from django.utils.translation import gettext, gettext_lazy

from annotation.batches.actions import create_batch
from annotation.conversation.generation import generator
from annotation.errors import InvalidBatch
from annotation.models import Batch, LiveBatch, Source
from annotation.text import clean_text
from workspace.actions import record_audit
from workspace.models import Criterion, Project, User

MAX_OPENERS = 200
MAX_TURNS = 50
MAX_RESPONSE_TOKENS = 1024
MAX_MESSAGE_CHARACTERS = 20_000
# Of LivePlan: what the form calls them, and what they are at most.
LIMITS = {
    "max_turns": (gettext_lazy("Turns of a conversation, at most"), MAX_TURNS),
    "max_response_tokens": (gettext_lazy("Tokens of an answer, at most"), MAX_RESPONSE_TOKENS),
    "max_message_characters": (gettext_lazy("Characters of a message, at most"), MAX_MESSAGE_CHARACTERS),
}


@dataclass(frozen=True, kw_only=True)
class LivePlan:
    """How conversations are led; the two sides are sources at a temperature."""

    first_source: Source
    second_source: Source
    first_temperature: float = 1.0
    second_temperature: float = 1.0
    top_p: float = 1.0
    system_prompt: str = ""
    instruction: str = ""
    openers: Sequence[str] = ()
    max_turns: int = 10
    max_response_tokens: int = 256
    max_message_characters: int = 4000


@transaction.atomic
def open_live_batch(
    *, actor: User, project: Project, criterion: Criterion, name: str, quota: int, plan: LivePlan
) -> Batch:
    """A batch that hands out conversations at once, until `quota` turns are judged.

    Raises InvalidBatch, naming the field, and ConversationRefused where nothing on the site writes answers.
    """
    _require_valid(project, plan)
    batch = create_batch(actor=actor, project=project, criterion=criterion, name=name, overlap=1, quota=quota)
    LiveBatch.objects.create(
        batch=batch,
        first_source=plan.first_source,
        second_source=plan.second_source,
        first_temperature=plan.first_temperature,
        second_temperature=plan.second_temperature,
        top_p=plan.top_p,
        system_prompt=plan.system_prompt.strip(),
        instruction=plan.instruction.strip(),
        openers=[opener.strip() for opener in plan.openers],
        max_turns=plan.max_turns,
        max_response_tokens=plan.max_response_tokens,
        max_message_characters=plan.max_message_characters,
    )
    batch.state = Batch.State.OPEN
    batch.save(update_fields=["state"])
    record_audit(actor=actor, action="batch.open", project=project, target=batch, quota=quota, live=True)
    return batch


def _require_valid(project: Project, plan: LivePlan) -> None:
    for field, source in (("first_source", plan.first_source), ("second_source", plan.second_source)):
        if source.project_id != project.pk:
            raise InvalidBatch(
                gettext("The policy is of another project."), fields={field: gettext("Of another project")}
            )
        if refusal := generator().refusal(source):
            raise InvalidBatch(refusal, fields={field: refusal})
    for field in ("first_temperature", "second_temperature"):
        value = getattr(plan, field)
        # Far below, the scaled logits are no numbers any more.
        if not (math.isfinite(value) and 0.01 <= value <= 10.0):
            raise InvalidBatch(gettext("A temperature is 0.01 to 10."), fields={field: gettext("0.01 to 10")})
    if not 0.0 < plan.top_p <= 1.0:
        raise InvalidBatch(
            gettext("Top-p is above 0 and at most 1."), fields={"top_p": gettext("Above 0, at most 1")}
        )
    for field, (label, most) in LIMITS.items():
        if not 1 <= getattr(plan, field) <= most:
            sentence = gettext("Give a whole number from %(least)s to %(most)s.") % {"least": 1, "most": most}
            raise InvalidBatch(f"{label}: {sentence}", fields={field: sentence})
    if len(plan.openers) > MAX_OPENERS:
        sentence = gettext("At most %(most)s first messages.") % {"most": MAX_OPENERS}
        raise InvalidBatch(sentence, fields={"openers": sentence})
    clean_text(plan.system_prompt, "The system prompt", allow_empty=True)
    clean_text(plan.instruction, "The instruction", allow_empty=True)
    for opener in plan.openers:
        clean_text(opener, "A first message")
        if len(opener) > plan.max_message_characters:
            sentence = gettext("A first message has more than %(most)s characters.") % {
                "most": f"{plan.max_message_characters:,}"
            }
            raise InvalidBatch(sentence, fields={"openers": sentence})
