"""A prompt and its responses as one row, and the same batch as padded rows.

Suffixes: B rows, T tokens of a row, N responses of the batch (in the order of examples, then of their responses),
R tokens of the longest response, M response tokens of the batch, D width, V vocabulary.

Packed, a row is `[prompt][r1]...[rK]`; each response sees the prompt and itself, and its positions go on from the
prompt's end, so every response is computed exactly as if it stood alone after the prompt, and the prompt only
once. Padded, every response is a row of its own. `Batch` hides the difference: whatever reads hidden states goes
through its index tensors. Windows put several examples behind one another in a packed row.

Masks come from lengths, never from comparing ids with the padding id.
"""

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch

from learning.architectures import backbone, has_score_head, head, why_not_packable
from learning.interface.training_options import Layout

# Root mean square of the difference between packed and separate rows, as a share of the spread of what is
# compared. (Not the largest: bf16 rounding alone moves single tokens by more; a wrong mask moves all of them.)
SELF_CHECK_TOLERANCE = {"fp32": 1e-4, "bf16": 2e-2}


@dataclass(frozen=True)
class Example:
    """Token ids of a prompt and of its responses. A response that ended carries its end-of-sequence id."""

    prompt_ids: Sequence[int]
    responses_ids: Sequence[Sequence[int]]

    def __post_init__(self) -> None:
        if not self.prompt_ids:
            raise ValueError(
                "an example needs at least one prompt token: the first response token follows it"
            )
        if not self.responses_ids or not all(self.responses_ids):
            raise ValueError("an example needs at least one response, and each response at least one token")

    @property
    def packed_tokens(self) -> int:
        return len(self.prompt_ids) + sum(map(len, self.responses_ids))

    @property
    def longest_row(self) -> int:
        return len(self.prompt_ids) + max(map(len, self.responses_ids))


@dataclass(frozen=True)
class Batch:
    """Model inputs, and where the N responses are in them. Index tensors are zero outside `is_response_NR`."""

    layout: Layout
    input_ids_BT: torch.Tensor
    position_ids_BT: torch.Tensor
    attention_mask: torch.Tensor  # packed: (B, 1, T, T) bool, True = may attend; padded: (B, T), 1 = a token
    row_N: torch.Tensor
    end_N: torch.Tensor  # index of the response's last token in its row
    example_N: torch.Tensor  # which example of the batch the response belongs to
    lengths_N: torch.Tensor
    token_index_NR: torch.Tensor  # index of each response token in its row
    predict_index_NR: torch.Tensor  # index of the position that predicts it (the token it follows)
    is_response_NR: torch.Tensor  # bool, True = a token of the response
    response_ids_NR: torch.Tensor

    @property
    def n_responses(self) -> int:
        return len(self.row_N)

    @property
    def n_tokens(self) -> int:
        """Response tokens in the batch (M)."""
        return int(self.lengths_N.sum())


@dataclass(frozen=True)
class _Placed:
    """Where one response was put."""

    row: int
    example: int
    prompt_end: int
    start: int
    ids: Sequence[int]


def collate(
    examples: Sequence[Example], *, layout: Layout, pad_id: int, device: str | torch.device = "cpu"
) -> Batch:
    """One batch of the examples, in the given layout."""
    if layout == "packed":
        return _packed([[(index, example)] for index, example in enumerate(examples)], pad_id, device)
    return _padded(examples, pad_id, device)


def collate_windows(
    windows: Sequence[Sequence[Example]], *, pad_id: int, device: str | torch.device = "cpu"
) -> Batch:
    """One packed row a window: its examples stand behind one another and do not see each other."""
    rows, index = [], 0
    for window in windows:
        rows.append([(index + offset, example) for offset, example in enumerate(window)])
        index += len(window)
    return _packed(rows, pad_id, device)


def _packed(rows: Sequence[Sequence[tuple[int, Example]]], pad_id: int, device: str | torch.device) -> Batch:
    placed: list[_Placed] = []
    ids_rows, positions_rows, examples_rows, branches_rows = [], [], [], []
    for row, examples in enumerate(rows):
        ids: list[int] = []
        positions: list[int] = []
        owners: list[int] = []  # example of each token, from 1; 0 will mean padding
        branches: list[int] = []  # 0 in the prompt, k in response k
        for index, example in examples:
            prompt = len(example.prompt_ids)
            ids += example.prompt_ids
            positions += range(prompt)
            branches += [0] * prompt
            prompt_end = len(ids) - 1
            for branch, response in enumerate(example.responses_ids, start=1):
                placed.append(_Placed(row, index, prompt_end, len(ids), response))
                ids += response
                positions += range(prompt, prompt + len(response))
                branches += [branch] * len(response)
            owners += [index + 1] * example.packed_tokens
        ids_rows.append(ids)
        positions_rows.append(positions)
        examples_rows.append(owners)
        branches_rows.append(branches)
    owner_BT = _rectangle(examples_rows, 0, device)
    branch_BT = _rectangle(branches_rows, 0, device)
    return _batch(
        "packed",
        _rectangle(ids_rows, pad_id, device),
        _rectangle(positions_rows, 0, device),
        _tree_mask(owner_BT, branch_BT),
        placed,
    )


def _tree_mask(owner_BT: torch.Tensor, branch_BT: torch.Tensor) -> torch.Tensor:
    """(B, 1, T, T) bool: a token sees earlier tokens of its own example that are prompt or its own response."""
    tokens = owner_BT.shape[1]
    causal_TT = torch.ones(tokens, tokens, dtype=torch.bool, device=owner_BT.device).tril()
    same_owner_BTT = owner_BT[:, :, None] == owner_BT[:, None, :]
    on_path_BTT = (branch_BT[:, None, :] == 0) | (branch_BT[:, :, None] == branch_BT[:, None, :])
    # Padding sees the padding before it (owner 0 equals owner 0), so no row of the mask is empty: softmax over
    # nothing would be NaN, and NaN times zero poisons gradients.
    return (causal_TT & same_owner_BTT & on_path_BTT)[:, None]


def _padded(examples: Sequence[Example], pad_id: int, device: str | torch.device) -> Batch:
    placed: list[_Placed] = []
    rows: list[list[int]] = []
    for index, example in enumerate(examples):
        prompt = list(example.prompt_ids)
        for response in example.responses_ids:
            placed.append(_Placed(len(rows), index, len(prompt) - 1, len(prompt), response))
            rows.append([*prompt, *response])
    input_ids_BT = _rectangle(rows, pad_id, device)
    lengths_B = torch.tensor([len(row) for row in rows], device=device)
    position_T = torch.arange(input_ids_BT.shape[1], device=device)
    is_token_BT = position_T < lengths_B[:, None]
    position_ids_BT = torch.where(is_token_BT, position_T, 0)
    return _batch("padded", input_ids_BT, position_ids_BT, is_token_BT.long(), placed)


def _rectangle(rows: Sequence[Sequence[int]], fill: int, device: str | torch.device) -> torch.Tensor:
    width = max(map(len, rows))
    return torch.tensor([[*row, *[fill] * (width - len(row))] for row in rows], device=device)


def _batch(
    layout: Layout,
    input_ids_BT: torch.Tensor,
    position_ids_BT: torch.Tensor,
    attention_mask: torch.Tensor,
    placed: Sequence[_Placed],
) -> Batch:
    device = input_ids_BT.device
    table_N5 = torch.tensor(
        [(one.row, one.example, one.prompt_end, one.start, len(one.ids)) for one in placed], device=device
    )
    row_N, example_N, prompt_end_N, start_N, lengths_N = table_N5.unbind(1)
    response_ids_NR = _rectangle([one.ids for one in placed], 0, device)
    step_R = torch.arange(response_ids_NR.shape[1], device=device)
    is_response_NR = step_R < lengths_N[:, None]
    token_index_NR = torch.where(is_response_NR, start_N[:, None] + step_R, 0)
    predict_index_NR = torch.where(is_response_NR, start_N[:, None] + step_R - 1, 0)
    # The first token of every response follows the prompt, wherever the response stands in the row.
    predict_index_NR[:, 0] = prompt_end_N
    return Batch(
        layout=layout,
        input_ids_BT=input_ids_BT,
        position_ids_BT=position_ids_BT,
        attention_mask=attention_mask,
        row_N=row_N,
        end_N=start_N + lengths_N - 1,
        example_N=example_N,
        lengths_N=lengths_N,
        token_index_NR=token_index_NR,
        predict_index_NR=predict_index_NR,
        is_response_NR=is_response_NR,
        response_ids_NR=response_ids_NR,
    )


def hidden_states(model: Any, batch: Batch) -> torch.Tensor:
    """(B, T, D) of the model's trunk; positions of padding hold values that nothing may read."""
    return backbone(model)(
        input_ids=batch.input_ids_BT,
        attention_mask=batch.attention_mask,
        position_ids=batch.position_ids_BT,
        use_cache=False,
    ).last_hidden_state


def gather_end_ND(hidden_BTD: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Hidden state at the last token of each response."""
    return hidden_BTD[batch.row_N, batch.end_N]


def gather_predicting_MD(hidden_BTD: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Hidden state at the position that predicts each response token, in the order of `is_response_NR`."""
    row_NR = batch.row_N[:, None].expand_as(batch.predict_index_NR)
    mask = batch.is_response_NR
    return hidden_BTD[row_NR[mask], batch.predict_index_NR[mask]]


def scatter_NR(values_M: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Values of the M response tokens back in their (N, R) places; 0 elsewhere. Differentiable."""
    zeros_NR = values_M.new_zeros(batch.is_response_NR.shape)
    return zeros_NR.masked_scatter(batch.is_response_NR, values_M)


def scores_N(reward_model: Any, batch: Batch) -> torch.Tensor:
    """float32 head output at the last token of each response; `reward_shift` is not subtracted."""
    hidden_ND = gather_end_ND(hidden_states(reward_model, batch), batch)
    return head(reward_model)(hidden_ND).squeeze(-1).float()  # (N, 1) -> (N,)


def values_NR(critic: Any, batch: Batch) -> torch.Tensor:
    """float32 value of the state before each response token (at the position that predicts it); 0 elsewhere."""
    hidden_MD = gather_predicting_MD(hidden_states(critic, batch), batch)
    return scatter_NR(head(critic)(hidden_MD).squeeze(-1).float(), batch)


def logits_MV(policy: Any, batch: Batch) -> torch.Tensor:
    """float32 logits that predict the response tokens; no other position is projected on the vocabulary."""
    if why_not_packable(policy) is None:
        return head(policy)(gather_predicting_MD(hidden_states(policy, batch), batch)).float()
    # An unknown architecture may scale or cap its logits after the output embedding: take the model's own.
    logits_BTV = policy(
        input_ids=batch.input_ids_BT,
        attention_mask=batch.attention_mask,
        position_ids=batch.position_ids_BT,
        use_cache=False,
    ).logits
    return gather_predicting_MD(logits_BTV, batch).float()


def token_logprobs_NR(policy: Any, batch: Batch, temperature: float = 1.0) -> torch.Tensor:
    """float32 log-probabilities (nats) of the response tokens at the given temperature; 0 elsewhere."""
    logprobs_MV = torch.log_softmax(logits_MV(policy, batch) / temperature, dim=-1)
    return scatter_NR(_chosen_M(logprobs_MV, batch), batch)


def token_logprobs_and_entropy_NR(
    policy: Any, batch: Batch, temperature: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """The log-probabilities, and the entropy (nats) of the distribution each token was drawn from."""
    logprobs_MV = torch.log_softmax(logits_MV(policy, batch) / temperature, dim=-1)
    entropy_M = -(logprobs_MV.exp() * logprobs_MV).sum(-1)
    return scatter_NR(_chosen_M(logprobs_MV, batch), batch), scatter_NR(entropy_M, batch)


def _chosen_M(logprobs_MV: torch.Tensor, batch: Batch) -> torch.Tensor:
    chosen_M = batch.response_ids_NR[batch.is_response_NR]
    return logprobs_MV.gather(1, chosen_M[:, None]).squeeze(1)


def choose_layout(
    model: Any,
    examples: Sequence[Example],
    *,
    dtype: Literal["fp32", "bf16"] = "fp32",
    requested: Literal["auto", "packed", "padded"] = "auto",
    in_one_window: bool = False,
) -> tuple[Layout, str]:
    """The layout for a run, and the reason in words for its page.

    Packed rows are used for the architectures on the list, when these few examples give the same scores (a model
    with a score head) or log-probabilities (a language model) as separate rows do, up to the dtype's tolerance
    times their spread. Otherwise padded rows. `in_one_window` checks them behind one another in a single row. Call it
    on the bare model, before an Engine shards it.
    """
    if requested == "padded":
        return "padded", "padded rows were asked for"
    reason = why_not_packable(model)
    if reason is not None:
        return "padded", f"padded rows: {reason}"
    if requested == "auto" and all(len(example.responses_ids) == 1 for example in examples):
        return "padded", "padded rows: with one response a prompt there is nothing to share"
    error = packing_error(model, examples, dtype=dtype, in_one_window=in_one_window)
    tolerance = SELF_CHECK_TOLERANCE[dtype]
    verdict = f"packed and separate rows differ by {error:.1e} of the spread (tolerance {tolerance:.0e})"
    # Written so that NaN falls back.
    return (
        ("packed", f"packed rows: {verdict}") if error <= tolerance else ("padded", f"padded rows: {verdict}")
    )


def packing_error(
    model: Any, examples: Sequence[Example], *, dtype: Literal["fp32", "bf16"], in_one_window: bool = False
) -> float:
    """Difference between packed and separate rows (root mean square) divided by the spread over the examples.

    Where all examples are one and the same and nothing spreads, divided by their mean size.
    """
    device = next(model.parameters()).device
    measure = scores_N if has_score_head(model) else _response_logprobs_M
    was_training = model.training
    model.eval()
    precision = torch.autocast(device.type, torch.bfloat16) if dtype == "bf16" else nullcontext()
    try:
        with torch.no_grad(), precision:
            together = (
                collate_windows([examples], pad_id=0, device=device)
                if in_one_window
                else collate(examples, layout="packed", pad_id=0, device=device)
            )
            packed = measure(model, together)
            separate = torch.cat(
                [
                    measure(model, collate([one], layout="padded", pad_id=0, device=device))
                    for example in examples
                    for one in (Example(example.prompt_ids, [ids]) for ids in example.responses_ids)
                ]
            )
    finally:
        model.train(was_training)
    difference = (packed - separate).square().mean().sqrt().item()
    if difference == 0.0:
        return 0.0
    scale = separate.std(correction=0).item() or separate.abs().mean().item()
    return difference / scale if scale else math.inf


def _response_logprobs_M(policy: Any, batch: Batch) -> torch.Tensor:
    return token_logprobs_NR(policy, batch)[batch.is_response_NR]
