"""Attention over prompts and their responses without what no token may see.

One product over a whole row with a mask computes every pair of its tokens: of a prompt of 160 tokens with four
responses of 64, 64 % of the pairs are masked. Here the prompts attend causally, and the responses to their prompt and
to themselves: two calls of the same kernels, on what is seen. Padded rows need no mask at all, because their padding
stands behind what is read.

On a CPU only: kernels of a GPU skip masked blocks, or are slower on many small pieces.

Suffixes: B rows, T tokens of a row, E examples, P tokens of the longest prompt, N responses, R tokens of the longest,
H heads, D width of a head.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar, Token
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from learning.models.architectures import backbone

ATTENTION = "branch_attention"
# Gathering and scattering cost about as much as this share of the whole row's pairs.
WORTHWHILE_SHARE = 0.8


@dataclass(frozen=True)
class Branches:
    """Where the prompts and responses of shared-prompt rows are. Places are indices in the flattened (B, T); what pads
    a prompt or a response points to the place 0, and nothing reads what comes of it.
    """

    prompt_EP: Tensor
    response_NR: Tensor
    example_N: Tensor
    hidden_N1RK: Tensor  # added to the scores: 0 or -inf, of R queries over K = P + R keys
    place_BT: Tensor  # of each token of the rows in the flat list [prompts, responses]

    def attend(self, module: Any, query: Tensor, key: Tensor, value: Tensor, **options: Any) -> Tensor:
        """(B, T, H, D) from (B, H, T, D) each."""
        B, H, T, D = query.shape
        prompt, response = [], []
        for states_BHTD in (query, key, value):
            flat = states_BHTD.transpose(1, 2).reshape(B * T, *states_BHTD.shape[1:2], D)
            prompt.append(_pick(flat, self.prompt_EP))
            response.append(_pick(flat, self.response_NR))
        of_prompts, _ = sdpa_attention_forward(module, *prompt, None, is_causal=True, **options)
        keys, values = (
            torch.cat([shared[self.example_N], own], dim=2)
            for shared, own in zip(prompt[1:], response[1:], strict=True)
        )
        mask = self.hidden_N1RK.to(query.dtype)
        of_responses, _ = sdpa_attention_forward(module, response[0], keys, values, mask, **options)
        both = torch.cat([of_prompts.reshape(-1, H, D), of_responses.reshape(-1, H, D)])
        return both.index_select(0, self.place_BT.flatten()).view(B, T, H, D)


def _pick(flat: Tensor, places: Tensor) -> Tensor:
    """(rows, H, length, D) of the flat (tokens, H, D)."""
    rows, length = places.shape
    return flat.index_select(0, places.flatten()).view(rows, length, *flat.shape[1:]).transpose(1, 2)


class CausalRows:
    """Padded rows: their padding is behind every token that is read, so that causal order hides it."""

    def attend(self, module: Any, query: Tensor, key: Tensor, value: Tensor, **options: Any) -> Tensor:
        return sdpa_attention_forward(module, query, key, value, None, is_causal=True, **options)[0]


def find_branches(
    rows: Sequence[Sequence[tuple[int, Sequence[int]]]], tokens: int, device: str | torch.device
) -> Branches | None:
    """Of rows that hold, for each of their examples, the length of its prompt and those of its responses, behind one
    another. None where that is no less work than the whole rows of `tokens` tokens.
    """
    starts: list[tuple[int, int]] = []  # (place, length) of each prompt
    responses: list[tuple[int, int, int]] = []  # (place, length, example)
    for row, examples in enumerate(rows):
        place = row * tokens
        for prompt, lengths in examples:
            starts.append((place, prompt))
            place += prompt
            for length in lengths:
                responses.append((place, length, len(starts) - 1))
                place += length
    P, R = max(length for _, length in starts), max(length for _, length, _ in responses)
    pairs = len(starts) * P * P / 2 + len(responses) * R * (P + R)
    if pairs > WORTHWHILE_SHARE * len(rows) * tokens * tokens:
        return None
    prompt_EP, is_prompt_EP = _places([start for start, _ in starts], [n for _, n in starts], P, device)
    response_NR, is_response_NR = _places(
        [start for start, _, _ in responses], [n for _, n, _ in responses], R, device
    )
    example_N = torch.tensor([example for _, _, example in responses], device=device)
    causal_RR = torch.ones(R, R, dtype=torch.bool, device=device).tril()
    # A response's padding sees its own prompt, so that no query sees nothing: that softmax would be NaN.
    sees_prompt_NRP = is_prompt_EP[example_N][:, None, :].expand(-1, R, -1)
    sees_own_NRR = causal_RR.expand(len(responses), R, R)
    sees_NRK = torch.cat([sees_prompt_NRP, sees_own_NRR], dim=2)
    hidden = torch.zeros(sees_NRK.shape, device=device).masked_fill_(~sees_NRK, float("-inf"))
    place_BT = torch.zeros(len(rows) * tokens, dtype=torch.long, device=device)
    place_BT[prompt_EP[is_prompt_EP]] = is_prompt_EP.flatten().nonzero().squeeze(1)
    place_BT[response_NR[is_response_NR]] = is_response_NR.flatten().nonzero().squeeze(1) + prompt_EP.numel()
    return Branches(prompt_EP, response_NR, example_N, hidden[:, None], place_BT.view(len(rows), tokens))


def _places(
    starts: Sequence[int], lengths: Sequence[int], longest: int, device: str | torch.device
) -> tuple[Tensor, Tensor]:
    """Indices and which of them are meant, (rows, longest) each."""
    steps = torch.arange(longest, device=device)
    is_meant = steps < torch.tensor(lengths, device=device)[:, None]
    return torch.where(is_meant, torch.tensor(starts, device=device)[:, None] + steps, 0), is_meant


class _Attending:
    """A context in which layers with this configuration attend by `branches`; it may be entered again."""

    def __init__(self, config: Any, branches: Branches | CausalRows) -> None:
        self._config, self.branches, self.calls = config, branches, 0
        self._left: list[tuple[Any, Token[_Attending]]] = []

    def __enter__(self) -> None:
        self._left.append((self._config._attn_implementation, _in_use.set(self)))
        self._config._attn_implementation = ATTENTION

    def __exit__(self, *error: object) -> None:
        self._config._attn_implementation, token = self._left.pop()
        _in_use.reset(token)


_in_use: ContextVar[_Attending] = ContextVar("_in_use")


@contextmanager
def branch_attention(model: Any, branches: Branches | CausalRows) -> Iterator[Tensor]:
    """The model attends by `branches` inside, and takes the mask that is given here, which hides nothing: one of four
    dimensions passes through the models untouched. Raises RuntimeError where the model attended in another way, which
    would have hidden nothing.
    """
    # The configuration that the layers read; a model around a trunk may have another.
    attending = _Attending(backbone(model).config, branches)
    with attending:
        yield torch.ones(1, 1, 1, 1, dtype=torch.bool)
    if not attending.calls:
        raise RuntimeError(f"{type(model).__name__} does not attend as its configuration says")


def checkpoint_layers(model: Any) -> None:
    """Gradient checkpointing: a layer is computed again for its backward pass, and attends as it did."""

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _in_use.get(nullcontext())

    model.activation_checkpointing_enable({"use_reentrant": False, "context_fn": contexts})


def _attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """An attention function as transformers calls it."""
    use = _in_use.get()
    use.calls += 1
    return use.branches.attend(module, query, key, value, dropout=dropout, scaling=scaling), None


AttentionInterface.register(ATTENTION, _attend)
