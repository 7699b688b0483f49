"""A prompt and its responses as one row, and the same batch as padded rows.

Suffixes: B rows, T tokens of a row, N responses of the batch (in the order of examples, then of their
responses), R tokens of the longest response, M response tokens of the batch, D width, V vocabulary.

In the layout `shared_prompt` a row is `[prompt][r1]...[rK]`. Each response sees the prompt and itself, and
its positions go on from the prompt's end, so every response is computed exactly as if it stood alone after
the prompt, and the prompt only once. In the layout `padded` every response is a row of its own.
`TokenBatch` hides the difference: whatever reads hidden states goes through its index tensors.
`collate_packed` puts several examples behind one another in a row.

Masks come from lengths, never from comparing ids with the padding id.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from learning.batches.branch_attention import Branches, find_branches
from learning.interface.training_options import Layout


@dataclass(frozen=True)
class Example:
    """Token ids of a prompt and of its responses. A response that ended carries its end-of-sequence id.

    `is_counted`, where given, has a truth value for each token of each response: False tokens are read but not learned
    (what others say between the turns of a dialogue). Without it every token of a response counts.
    """

    prompt_ids: Sequence[int]
    response_ids: Sequence[Sequence[int]]
    is_counted: Sequence[Sequence[bool]] | None = None

    def __post_init__(self) -> None:
        if self.is_counted is not None and [len(ids) for ids in self.response_ids] != [
            len(counted) for counted in self.is_counted
        ]:
            raise ValueError("is_counted must have a value for each token of each response")
        if not self.prompt_ids:
            raise ValueError(
                "an example needs at least one prompt token: the first response token follows it"
            )
        if not self.response_ids or not all(self.response_ids):
            raise ValueError("an example needs at least one response, and each response at least one token")

    @property
    def shared_prompt_tokens(self) -> int:
        return len(self.prompt_ids) + sum(map(len, self.response_ids))

    @property
    def longest_row(self) -> int:
        return len(self.prompt_ids) + max(map(len, self.response_ids))


@dataclass(frozen=True)
class TokenBatch:
    """Model inputs, and where the N responses are in them. Index tensors are zero outside `is_response_NR`."""

    layout: Layout
    input_ids_BT: torch.Tensor
    position_ids_BT: torch.Tensor
    attention_mask: (
        torch.Tensor
    )  # shared_prompt: (B, 1, T, T) bool, True = may attend; padded: (B, T), 1 = a token
    row_N: torch.Tensor
    end_N: torch.Tensor  # index of the response's last token in its row
    example_N: torch.Tensor  # which example of the batch the response belongs to
    lengths_N: torch.Tensor
    token_index_NR: torch.Tensor  # index of each response token in its row
    logit_index_NR: torch.Tensor  # index of the position whose logits predict it (the token before it)
    is_response_NR: (
        torch.Tensor
    )  # bool, True = a token of the response that counts (all do, unless the example says)
    response_ids_NR: torch.Tensor
    branches: Branches | None = None  # of shared-prompt rows, where it pays to attend by them

    @property
    def n_responses(self) -> int:
        return len(self.row_N)

    @property
    def n_tokens(self) -> int:
        """Response tokens in the batch that count (M)."""
        return int(self.is_response_NR.sum())


@dataclass(frozen=True)
class _ResponseSpan:
    """Where one response was put."""

    row: int
    example: int
    prompt_end: int
    start: int
    ids: Sequence[int]
    is_counted: Sequence[bool] | None


def collate(
    examples: Sequence[Example], *, layout: Layout, pad_id: int, device: str | torch.device = "cpu"
) -> TokenBatch:
    """One batch of the examples, in the given layout."""
    if layout == "shared_prompt":
        return _shared_prompt_batch(
            [[(index, example)] for index, example in enumerate(examples)], pad_id, device
        )
    return _padded_batch(examples, pad_id, device)


def collate_packed(
    groups: Sequence[Sequence[Example]], *, pad_id: int, device: str | torch.device = "cpu"
) -> TokenBatch:
    """One row for each group: its examples stand behind one another and do not see each other."""
    rows, index = [], 0
    for group in groups:
        rows.append([(index + offset, example) for offset, example in enumerate(group)])
        index += len(group)
    return _shared_prompt_batch(rows, pad_id, device)


def _shared_prompt_batch(
    rows: Sequence[Sequence[tuple[int, Example]]], pad_id: int, device: str | torch.device
) -> TokenBatch:
    spans: list[_ResponseSpan] = []
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
            for branch, response in enumerate(example.response_ids, start=1):
                counted = example.is_counted[branch - 1] if example.is_counted is not None else None
                spans.append(_ResponseSpan(row, index, prompt_end, len(ids), response, counted))
                ids += response
                positions += range(prompt, prompt + len(response))
                branches += [branch] * len(response)
            owners += [index + 1] * example.shared_prompt_tokens
        ids_rows.append(ids)
        positions_rows.append(positions)
        examples_rows.append(owners)
        branches_rows.append(branches)
    owner_BT = _pad_to_tensor(examples_rows, 0, device)
    branch_BT = _pad_to_tensor(branches_rows, 0, device)
    return _token_batch(
        "shared_prompt",
        _pad_to_tensor(ids_rows, pad_id, device),
        _pad_to_tensor(positions_rows, 0, device),
        _tree_mask(owner_BT, branch_BT),
        spans,
        find_branches(
            [[(len(e.prompt_ids), [len(ids) for ids in e.response_ids]) for _, e in row] for row in rows],
            owner_BT.shape[1],
            device,
        ),
    )


def _tree_mask(owner_BT: torch.Tensor, branch_BT: torch.Tensor) -> torch.Tensor:
    """(B, 1, T, T) bool: a token sees earlier tokens of its example, of the prompt or its own response."""
    tokens = owner_BT.shape[1]
    causal_TT = torch.ones(tokens, tokens, dtype=torch.bool, device=owner_BT.device).tril()
    same_owner_BTT = owner_BT[:, :, None] == owner_BT[:, None, :]
    on_path_BTT = (branch_BT[:, None, :] == 0) | (branch_BT[:, :, None] == branch_BT[:, None, :])
    # Padding sees the padding before it (owner 0 equals owner 0), so no row of the mask is empty: softmax over
    # nothing would be NaN, and NaN times zero poisons gradients.
    return (causal_TT & same_owner_BTT & on_path_BTT)[:, None]


def _padded_batch(examples: Sequence[Example], pad_id: int, device: str | torch.device) -> TokenBatch:
    spans: list[_ResponseSpan] = []
    rows: list[list[int]] = []
    for index, example in enumerate(examples):
        prompt = list(example.prompt_ids)
        for place, response in enumerate(example.response_ids):
            counted = example.is_counted[place] if example.is_counted is not None else None
            spans.append(_ResponseSpan(len(rows), index, len(prompt) - 1, len(prompt), response, counted))
            rows.append([*prompt, *response])
    input_ids_BT = _pad_to_tensor(rows, pad_id, device)
    lengths_B = torch.tensor([len(row) for row in rows], device=device)
    position_T = torch.arange(input_ids_BT.shape[1], device=device)
    is_token_BT = position_T < lengths_B[:, None]
    position_ids_BT = torch.where(is_token_BT, position_T, 0)
    return _token_batch("padded", input_ids_BT, position_ids_BT, is_token_BT.long(), spans)


def _pad_to_tensor(rows: Sequence[Sequence[int]], fill: int, device: str | torch.device) -> torch.Tensor:
    width = max(map(len, rows))
    return torch.tensor([[*row, *[fill] * (width - len(row))] for row in rows], device=device)


def _token_batch(
    layout: Layout,
    input_ids_BT: torch.Tensor,
    position_ids_BT: torch.Tensor,
    attention_mask: torch.Tensor,
    spans: Sequence[_ResponseSpan],
    branches: Branches | None = None,
) -> TokenBatch:
    device = input_ids_BT.device
    table_N5 = torch.tensor(
        [(span.row, span.example, span.prompt_end, span.start, len(span.ids)) for span in spans],
        device=device,
    )
    row_N, example_N, prompt_end_N, start_N, lengths_N = table_N5.unbind(1)
    response_ids_NR = _pad_to_tensor([span.ids for span in spans], 0, device)
    step_R = torch.arange(response_ids_NR.shape[1], device=device)
    is_response_NR = step_R < lengths_N[:, None]
    if any(span.is_counted is not None for span in spans):
        counted = [span.is_counted or [True] * len(span.ids) for span in spans]
        is_response_NR &= _pad_to_tensor(counted, 0, device).bool()
    token_index_NR = torch.where(is_response_NR, start_N[:, None] + step_R, 0)
    logit_index_NR = torch.where(is_response_NR, start_N[:, None] + step_R - 1, 0)
    # The first token of every response follows the prompt, wherever the response stands in the row.
    logit_index_NR[:, 0] = prompt_end_N
    return TokenBatch(
        layout=layout,
        input_ids_BT=input_ids_BT,
        position_ids_BT=position_ids_BT,
        attention_mask=attention_mask,
        row_N=row_N,
        end_N=start_N + lengths_N - 1,
        example_N=example_N,
        lengths_N=lengths_N,
        token_index_NR=token_index_NR,
        logit_index_NR=logit_index_NR,
        is_response_NR=is_response_NR,
        response_ids_NR=response_ids_NR,
        branches=branches,
    )
