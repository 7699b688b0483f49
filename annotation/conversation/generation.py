"""What a live conversation asks of whoever writes its answers. The writer is handed in from above (`use_generator`):
annotation knows sources, not policies.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from django.utils.translation import gettext

from annotation.errors import ConversationRefused
from annotation.models import Source
from workspace.models import User


@dataclass(frozen=True, kw_only=True)
class AnswerRequest:
    """One answer to a conversation. The same id and seed again is the same answer."""

    id: str
    source: Source
    messages: Sequence[dict[str, str]]
    seed: str
    max_tokens: int
    temperature: float
    top_p: float


@dataclass(frozen=True, kw_only=True)
class AnswerProgress:
    """How far it is. `state`: loading (the model), writing, done or failed.

    `message` says in a sentence what is waited for or what went wrong. Tokens come with `done` alone.
    """

    state: str
    text: str = ""
    message: str = ""
    token_ids: Sequence[int] = ()
    logprobs: Sequence[float] = ()
    ended: bool | None = None
    # With `done`, where the writer says it: how many tokens it could have had, and whether the beginning of the
    # conversation did not fit the model.
    max_tokens: int | None = None
    prompt_cut: bool | None = None


class Generator(Protocol):
    def advance(self, actor: User, request: AnswerRequest) -> AnswerProgress:
        """Begin the answer if nobody has, and say how far it is. Bounded in time (a second or so), raises nothing."""
        ...

    def cancel(self, request: AnswerRequest) -> None:
        """Nobody wants it any more."""
        ...

    def refusal(self, source: Source) -> str:
        """Why this source cannot answer in conversations, as a sentence; empty: it can."""
        ...

    def sources(self, project_id: int) -> Sequence[Source]:
        """Those that can answer, by name."""
        ...


_in_use: list[Generator] = []


def use_generator(generator: Generator) -> None:
    """Who writes the answers from now on."""
    _in_use[:] = [generator]


def generator() -> Generator:
    """Raises ConversationRefused where nobody does."""
    if not _in_use:
        raise ConversationRefused(gettext("Nothing on this site writes answers for conversations."))
    return _in_use[0]
