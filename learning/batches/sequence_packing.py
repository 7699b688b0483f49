"""Rows of a fixed length filled with whole sequences, and long texts cut to that length."""

import bisect
from collections.abc import Sequence

from learning.batches.collation import Example
from learning.interface.options import UserError


def pack_sequences(lengths: Sequence[int], max_length: int) -> list[list[int]]:
    """Put sequences into rows of `max_length` tokens, none cut, by best fit on decreasing length.

    (Best fit wastes little room and cuts nothing: Ding et al. 2024, "Fewer Truncations Improve Language
    Modeling".) Raises UserError for a sequence longer than a row.
    """
    rows: list[list[int]] = []
    room: list[tuple[int, int]] = []  # (free tokens, -row), sorted
    for index in sorted(range(len(lengths)), key=lambda position: (-lengths[position], position)):
        length = lengths[index]
        if length > max_length:
            raise UserError(
                f"sequence {index + 1} has {length} tokens and a row holds {max_length}; "
                "raise max_length or cut it"
            )
        place = bisect.bisect_left(room, (length, -len(rows)))
        if place < len(room):
            free, negative = room.pop(place)
            rows[-negative].append(index)
        else:
            free, negative = max_length, -len(rows)
            rows.append([index])
        bisect.insort(room, (free - length, negative))
    return rows


def chunk_document(token_ids: Sequence[int], max_length: int) -> list[Example]:
    """A text as examples of at most `max_length` tokens; all tokens of a piece but the first are trained on.

    Pieces overlap by one token, so that every token after the very first is predicted once.
    """
    if max_length < 2:
        raise ValueError(f"max_length must be at least 2, found {max_length}")
    return [
        Example(token_ids[start : start + 1], [token_ids[start + 1 : start + max_length]])
        for start in range(0, len(token_ids) - 1, max_length - 1)
    ]
