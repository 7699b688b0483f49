"""Rows of a fixed length filled with whole sequences, and long texts cut to that length."""

import bisect
from collections.abc import Sequence

from learning.batches.collation import Example
from learning.interface.options import UserError


def pack_sequences(lengths: Sequence[int], window_tokens: int) -> list[list[int]]:
    """Put sequences into windows of `window_tokens`, none cut, by best fit on decreasing length.

    (Best fit wastes little room and cuts nothing: Ding et al. 2024, "Fewer Truncations Improve Language
    Modeling".) Raises UserError for a sequence longer than a window.
    """
    windows: list[list[int]] = []
    room: list[tuple[int, int]] = []  # (free tokens, -window), sorted
    for index in sorted(range(len(lengths)), key=lambda position: (-lengths[position], position)):
        length = lengths[index]
        if length > window_tokens:
            raise UserError(
                f"sequence {index + 1} has {length} tokens and the windows hold {window_tokens}; "
                "use longer windows or cut it"
            )
        place = bisect.bisect_left(room, (length, -len(windows)))
        if place < len(room):
            free, negative = room.pop(place)
            windows[-negative].append(index)
        else:
            free, negative = window_tokens, -len(windows)
            windows.append([index])
        bisect.insort(room, (free - length, negative))
    return windows


def chunk_document(token_ids: Sequence[int], window_tokens: int) -> list[Example]:
    """A text as examples of at most `window_tokens`; all tokens of a piece but the first are trained on.

    Pieces overlap by one token, so that every token after the very first is predicted once.
    """
    if window_tokens < 2:
        raise ValueError(f"window_tokens must be at least 2, found {window_tokens}")
    return [
        Example(token_ids[start : start + 1], [token_ids[start + 1 : start + window_tokens]])
        for start in range(0, len(token_ids) - 1, window_tokens - 1)
    ]
