"""Options of whoever asks a server of language models that speaks the OpenAI protocol. Light: no torch."""

from dataclasses import dataclass
from typing import Literal

from learning.interface.training_options import ModelSource, require_at_least


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

    def require_outside(self, where: str) -> None:
        """Raises ValueError where it cannot be asked for the answers of a model that is no policy here: that one has a
        template and tokens of its own.
        """
        if not self.name or not self.model:
            raise ValueError(f"{where}: name the server (name) and what it calls the outside model (model)")
        if "{policy}" in self.model:
            raise ValueError(
                f"{where}.model has {{policy}} in it, and an outside model is no policy: write its name"
            )
        if self.protocol != "chat":
            raise ValueError(
                f"{where}.protocol is {self.protocol!r}, which sends prompts in the policy's template; an outside "
                "model has its own: use 'chat'"
            )
        for option in ("returns_token_ids", "returns_logprobs"):
            if getattr(self, option):
                raise ValueError(f"{where}.{option} is true; an outside model has other tokens: leave it out")

    def require_policy_itself(self, where: str) -> None:
        """Raises ValueError where a policy that is measured would read prompts in another template than its own, or its
        answers would end otherwise.
        """
        if self.name and self.protocol != "completions":
            raise ValueError(
                f"{where}.protocol is {self.protocol!r}, and a policy is measured on prompts in its own template: use "
                "'completions'"
            )
        if self.name and self.stop:
            raise ValueError(f"{where}.stop must be empty: a policy that is measured ends its answers itself")

    def require_checked_tokens(self, where: str) -> None:
        """Raises ValueError where the server's tokens would be learned without the text that they are checked by."""
        if self.name and self.protocol != "completions" and self.returns_token_ids:
            raise ValueError(
                f"{where}.returns_token_ids is true and {where}.protocol is {self.protocol!r}, in which tokens are not "
                "checked; choose 'completions', or leave returns_token_ids out"
            )

    def require_model_of_each(self, where: str, policies: int) -> None:
        """Raises ValueError where one model would be asked for the answers of several policies."""
        if policies > 1 and self.model and "{policy}" not in self.model:
            raise ValueError(
                f"{where}.model is {self.model!r}, and {policies} policies answer: write {{policy}} in it, which is "
                "each one's name"
            )

    def model_called(self, name: str, source: ModelSource) -> str:
        """What the server is asked for as this policy; without a name (a run made by hand) it has its folder's."""
        if not self.model:
            return source.location
        return self.model.replace("{policy}", name or source.short_name)
