"""Options of whoever asks a server of language models that speaks the OpenAI protocol. Light: no torch."""

from dataclasses import dataclass
from typing import Literal

from learning.interface.training_options import require_at_least


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """Which server answers, and how it is asked. Without a name none is."""

    name: str = ""  # of those in ROUNDTABLE_MODEL_SERVERS; empty: no server, the program samples itself
    # What the server calls the model. {policy} stands for the policy's name. Empty: the policy's folder, which servers
    # that load a model by its path take (`transformers serve`).
    model: str = ""
    # completions: the prompt as text, in the policy's own template. chat: the messages, in the server's template.
    protocol: Literal["completions", "chat"] = "completions"
    # The server says the ids of its tokens when asked (vLLM: return_token_ids). Else the text is tokenized again.
    returns_token_ids: bool = False
    returns_logprobs: bool = False  # the server says log-probs when asked
    stop: tuple[str, ...] = ()  # an answer ends before one of these
    samples_per_request: int = (
        1  # how many answers one request asks for (n); a server that gives fewer is asked again
    )
    concurrent_requests: int = 8
    attempts: int = 6  # of a request, with growing waits between them
    timeout_seconds: float = 120.0  # of one attempt, to the end of the answer

    def __post_init__(self) -> None:
        for name in ("samples_per_request", "concurrent_requests", "attempts"):
            require_at_least(name, getattr(self, name), 1)
        if not 0 < self.timeout_seconds <= 86_400:
            raise ValueError(
                f"timeout_seconds must be above 0 and at most 86400, found {self.timeout_seconds}"
            )
        if any(not text for text in self.stop):
            raise ValueError("stop has an empty text; leave it out")
        if self.model and not self.name:
            raise ValueError(f"model is {self.model!r} and name is empty; name the server that has it")

    def model_called(self, *, policy: str, path: str) -> str:
        return self.model.replace("{policy}", policy) if self.model else path
