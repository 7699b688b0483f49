"""One token after another from a language model: the prompts are read once, then every row gets a token a step.

`SharedPromptDecoder` keeps the keys and values of a prompt once for all of its samples, in buffers allocated once
(growing them by concatenation copies everything at every token). It works for the architectures whose shared-prompt
rows are exact; `CopiedPromptDecoder` repeats the model's own cache for every sample and works for all.

Suffixes: B prompts, N = B * n rows (fewer once some are dropped), T prompt tokens (left-padded), R response tokens,
V vocabulary, H heads of keys and values, G heads of queries for each of them, D width of a head, S slots: rows of a
prompt.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers import AttentionInterface
from transformers.cache_utils import Cache, CacheLayerMixin, DynamicCache

from learning.micro_batch_size import micro_batch_tokens
from learning.models.architectures import shared_prompt_unsupported_reason, unwrap_model

ATTENTION = "shared_prompt_decoding"


class Decoder(Protocol):
    """Reads prompts when it is made; rows are the prompts' samples, those of the first prompt first."""

    first_logits_BV: Tensor  # of the token after each prompt

    def next_logits(self, token_N: Tensor) -> Tensor:
        """Logits of the token after `token_N`, which every row has just written: (N, V)."""
        ...

    def keep_rows(self, kept: Tensor) -> None:
        """Go on with these rows alone, indices in rising order."""
        ...


def start_decoding(
    policy: Any, prompts: Sequence[list[int]], n_samples: int, max_new_tokens: int, *, pad_id: int
) -> Decoder:
    """The decoder that is exact for this model."""
    exact = shared_prompt_unsupported_reason(policy) is None
    kind = SharedPromptDecoder if exact else CopiedPromptDecoder
    return kind(policy, prompts, n_samples, max_new_tokens, pad_id=pad_id)


class SharedPromptDecoder:
    """The prompt's keys and values once, and those of each sample apart."""

    def __init__(
        self, policy: Any, prompts: Sequence[list[int]], n_samples: int, max_new_tokens: int, *, pad_id: int
    ) -> None:
        self._policy = policy
        self._device = policy.get_input_embeddings().weight.device
        config = unwrap_model(policy).config
        self._rows = _Rows(prompts, n_samples, self._device)
        self._layers = [
            _SharedPromptLayer(self._rows, max_new_tokens) for _ in range(config.num_hidden_layers)
        ]
        self._cache = Cache(layers=self._layers)
        lengths = [len(ids) for ids in prompts]
        self._position_N = torch.tensor(lengths, device=self._device).repeat_interleave(n_samples)
        budget = micro_batch_tokens(self._device.type, getattr(config, "hidden_size", None))
        first_logits = []
        for start, end in _parts(lengths, budget):
            cache = DynamicCache(config=config)
            first_logits.append(_read_prompts(policy, prompts[start:end], cache, pad_id, self._device))
            for mine, read in zip(self._layers, cache.layers, strict=True):
                mine.take_prompts(start, end, read.keys, read.values)
        self.first_logits_BV = torch.cat(first_logits)

    def next_logits(self, token_N: Tensor) -> Tensor:
        # A mask of four dimensions passes through the models untouched; the attention function knows what is visible.
        nothing_masked = torch.ones(1, 1, 1, 1, dtype=torch.bool, device=self._device)
        with _decoding_attention(self._policy, self._layers):
            logits_NV = _next_logits(
                self._policy, token_N[:, None], nothing_masked, self._position_N[:, None], self._cache
            )
        self._position_N = self._position_N + 1
        return logits_NV

    def keep_rows(self, kept: Tensor) -> None:
        prompts_kept = self._rows.keep(kept)
        for layer in self._layers:
            layer.keep(prompts_kept, kept)
        self._position_N = self._position_N[kept]


class CopiedPromptDecoder:
    """The model's own cache, the prompt's part of it repeated for every sample."""

    def __init__(
        self, policy: Any, prompts: Sequence[list[int]], n_samples: int, max_new_tokens: int, *, pad_id: int
    ) -> None:
        self._policy = policy
        device = policy.get_input_embeddings().weight.device
        self._cache = DynamicCache(config=unwrap_model(policy).config)
        self.first_logits_BV = _read_prompts(policy, prompts, self._cache, pad_id, device)
        prompt_of_row_N = torch.arange(len(prompts), device=device).repeat_interleave(n_samples)
        self._select(prompt_of_row_N)
        _, is_token_BT = left_padded(prompts, pad_id, device)
        self._is_visible_NT = is_token_BT.long()[prompt_of_row_N]
        self._position_N = self._is_visible_NT.sum(dim=1)

    def next_logits(self, token_N: Tensor) -> Tensor:
        ones_N1 = torch.ones_like(token_N)[:, None]
        self._is_visible_NT = torch.cat([self._is_visible_NT, ones_N1], dim=1)
        logits_NV = _next_logits(
            self._policy, token_N[:, None], self._is_visible_NT, self._position_N[:, None], self._cache
        )
        self._position_N = self._position_N + 1
        return logits_NV

    def keep_rows(self, kept: Tensor) -> None:
        self._select(kept)
        self._is_visible_NT, self._position_N = self._is_visible_NT[kept], self._position_N[kept]

    def _select(self, indices: Tensor) -> None:
        for layer in self._cache.layers:
            layer.batch_select_indices(indices)


class _Rows:
    """Which prompt each row belongs to, and its slot among the rows of that prompt."""

    def __init__(self, prompts: Sequence[list[int]], n_samples: int, device: torch.device) -> None:
        self.n_slots = n_samples
        self.prompt_of_row_N = torch.arange(len(prompts), device=device).repeat_interleave(n_samples)
        self._slot_of_row_N = torch.arange(n_samples, device=device).repeat(len(prompts))
        T = max(map(len, prompts))
        lengths_B = torch.tensor([len(ids) for ids in prompts], device=device)
        self.is_padding_BT = torch.arange(T, device=device) < T - lengths_B[:, None]

    @property
    def n_prompts(self) -> int:
        return len(self.is_padding_BT)

    def keep(self, kept: Tensor) -> Tensor:
        """Returns which prompts still have rows."""
        prompts_kept, prompt_of_row_N, counts = self.prompt_of_row_N[kept].unique_consecutive(
            return_inverse=True, return_counts=True
        )
        first_row_N = (counts.cumsum(0) - counts)[prompt_of_row_N]
        self.prompt_of_row_N = prompt_of_row_N
        self._slot_of_row_N = torch.arange(len(kept), device=kept.device) - first_row_N
        self.n_slots = int(counts.max())
        self.is_padding_BT = self.is_padding_BT[prompts_kept]
        return prompts_kept

    def to_slots(self, rows_N: Tensor) -> Tensor:
        """(N, ...) to (B, S, ...); a slot without a row is zero."""
        shape = (self.n_prompts, self.n_slots, *rows_N.shape[1:])
        if len(rows_N) == self.n_prompts * self.n_slots:
            return rows_N.reshape(shape)
        slots = rows_N.new_zeros(shape)
        slots[self.prompt_of_row_N, self._slot_of_row_N] = rows_N
        return slots

    def from_slots(self, slots_BS: Tensor) -> Tensor:
        """(B, S, ...) to (N, ...)."""
        if len(self.prompt_of_row_N) == self.n_prompts * self.n_slots:
            return slots_BS.flatten(0, 1)
        return slots_BS[self.prompt_of_row_N, self._slot_of_row_N]


class _SharedPromptLayer(CacheLayerMixin):
    """Keys and values of one attention layer: (B, H, T, D) of the prompts and (N, H, capacity, D) of the rows."""

    is_sliding = False

    def __init__(self, rows: _Rows, capacity: int) -> None:
        super().__init__()
        self._rows, self._capacity, self._length = rows, capacity, 0
        self._prompt_keys: Tensor | None = None
        self._prompt_values: Tensor | None = None

    def take_prompts(self, start: int, end: int, keys_BHTD: Tensor, values_BHTD: Tensor) -> None:
        """Keys and values of prompts `start` to `end`, left-padded to the longest of them."""
        B, T = self._rows.is_padding_BT.shape
        if self._prompt_keys is None or self._prompt_values is None:
            # Zeros: what padding holds is multiplied by a weight of zero.
            self._prompt_keys, self._prompt_values = (
                x.new_zeros(B, x.shape[1], T, x.shape[3]) for x in (keys_BHTD, values_BHTD)
            )
        first = T - keys_BHTD.shape[2]
        self._prompt_keys[start:end, :, first:] = keys_BHTD
        self._prompt_values[start:end, :, first:] = values_BHTD

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        # Under autocast rotated keys may be fp32 while values are bf16: each keeps its own type.
        N, H, _, D = key_states.shape
        self.keys = key_states.new_empty(N, H, self._capacity, D)
        self.values = value_states.new_empty(N, H, self._capacity, value_states.shape[-1])
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Those of the rows' last token; returns what the rows have written so far."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        self.keys[:, :, self._length : self._length + 1] = key_states
        self.values[:, :, self._length : self._length + 1] = value_states
        self._length += 1
        return self.keys[:, :, : self._length], self.values[:, :, : self._length]

    def attend(self, query: Tensor, own_keys: Tensor, own_values: Tensor, scaling: float) -> Tensor:
        """Attention of each row's token to its prompt and to what the row has written: (N, 1, H * G, D).

        One softmax over both, plain products: a query is a vector, and the fused kernel gains nothing from that.
        """
        assert self._prompt_keys is not None and self._prompt_values is not None
        rows = self._rows
        N, heads, _, D = query.shape
        H, written = own_keys.shape[1], own_keys.shape[2]
        G, B, S = heads // H, rows.n_prompts, rows.n_slots
        T = rows.is_padding_BT.shape[1]
        query_NHGD = (query * scaling).view(N, H, G, D)
        query_BHQD = rows.to_slots(query_NHGD).transpose(1, 2).reshape(B, H, S * G, D)
        # Keys first: so the product reads them once and in order.
        prompt_BHTQ = self._prompt_keys @ query_BHQD.transpose(2, 3)
        prompt_BHTQ.masked_fill_(rows.is_padding_BT[:, None, :, None], float("-inf"))
        prompt_BSHGT = prompt_BHTQ.view(B, H, T, S, G).permute(0, 3, 1, 4, 2)
        own_NHGR = query_NHGD @ own_keys.transpose(2, 3)
        scores = torch.cat([rows.from_slots(prompt_BSHGT), own_NHGR], dim=-1)
        weights = scores.softmax(dim=-1, dtype=torch.float32).to(own_values.dtype)
        prompt_NHGT, own_NHGR = weights.split([T, written], dim=-1)
        weights_BHQT = rows.to_slots(prompt_NHGT).transpose(1, 2).reshape(B, H, S * G, T)
        from_prompt = (weights_BHQT @ self._prompt_values).view(B, H, S, G, -1).transpose(1, 2)
        from_own = own_NHGR @ own_values
        return (rows.from_slots(from_prompt) + from_own).reshape(N, 1, heads, -1)

    def keep(self, prompts: Tensor, rows: Tensor) -> None:
        assert self._prompt_keys is not None and self._prompt_values is not None
        if len(prompts) < len(self._prompt_keys):
            self._prompt_keys = self._prompt_keys[prompts]
            self._prompt_values = self._prompt_values[prompts]
        if self.is_initialized:
            self.keys, self.values = (_kept(x, rows, self._length) for x in (self.keys, self.values))

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self.get_seq_length() + query_length, 0

    def get_seq_length(self) -> int:
        return self._rows.is_padding_BT.shape[1] + self._length

    def get_max_length(self) -> int:
        return self._rows.is_padding_BT.shape[1] + self._capacity


def _kept(buffer: Tensor, rows: Tensor, length: int) -> Tensor:
    """These rows in a buffer of their own; only the filled part is copied."""
    kept = buffer.new_empty(len(rows), *buffer.shape[1:])
    kept[:, :, :length] = buffer[rows, :, :length]
    return kept


_layers_in_use: ContextVar[Sequence[_SharedPromptLayer]] = ContextVar("_layers_in_use")


@contextmanager
def _decoding_attention(policy: Any, layers: Sequence[_SharedPromptLayer]) -> Iterator[None]:
    """The model attends by `_SharedPromptLayer.attend` inside."""
    config = unwrap_model(policy).config
    usual, config._attn_implementation = config._attn_implementation, ATTENTION
    token = _layers_in_use.set(layers)
    try:
        yield
    finally:
        _layers_in_use.reset(token)
        config._attn_implementation = usual


def _attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """An attention function as transformers calls it."""
    layer = _layers_in_use.get()[module.layer_idx]
    return layer.attend(query, key, value, query.shape[-1] ** -0.5 if scaling is None else scaling), None


AttentionInterface.register(ATTENTION, _attend)


def _parts(lengths: Sequence[int], max_tokens: int) -> list[tuple[int, int]]:
    """(start, end) of neighbours that together, padded, have at most `max_tokens` tokens; one at least."""
    parts, start = [], 0
    for end in range(1, len(lengths) + 1):
        longest = max(lengths[start : end + 1])
        if end == len(lengths) or (end + 1 - start) * longest > max_tokens:
            parts.append((start, end))
            start = end
    return parts


def _read_prompts(
    policy: Any, prompts: Sequence[list[int]], cache: Cache, pad_id: int, device: torch.device
) -> Tensor:
    """Fills the cache; logits of the token after each prompt, (B, V)."""
    ids_BT, is_token_BT = left_padded(prompts, pad_id, device)
    position_ids_BT = (is_token_BT.cumsum(dim=1) - 1).clamp(min=0)
    return _next_logits(policy, ids_BT, is_token_BT.long(), position_ids_BT, cache)


def left_padded(rows: Sequence[list[int]], pad_id: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids (B, T) and `is_token_BT`, the last token of every row in the last column."""
    T = max(map(len, rows))
    ids_BT = torch.full((len(rows), T), pad_id, dtype=torch.long)
    is_token_BT = torch.zeros(len(rows), T, dtype=torch.bool)
    for row, ids in enumerate(rows):
        ids_BT[row, T - len(ids) :] = torch.tensor(ids)
        is_token_BT[row, T - len(ids) :] = True
    return ids_BT.to(device), is_token_BT.to(device)


def _next_logits(
    policy: Any, ids: Tensor, attention_mask: Tensor, position_ids: Tensor, cache: Cache
) -> Tensor:
    """Logits of the token after the last column, (rows, V); the head is applied to that column alone."""
    output = policy(
        input_ids=ids,
        attention_mask=attention_mask,
        position_ids=position_ids,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    return output.logits[:, -1]
