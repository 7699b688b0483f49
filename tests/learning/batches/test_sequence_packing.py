import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.batches.sequence_packing import chunk_document, pack_sequences
from learning.interface.options import UserError


@given(st.lists(st.integers(1, 40), max_size=60), st.integers(40, 100))
def test_rows_hold_every_sequence_whole_and_waste_less_than_half(lengths, max_length):
    rows = pack_sequences(lengths, max_length)
    assert sorted(index for row in rows for index in row) == list(range(len(lengths)))
    sums = [sum(lengths[index] for index in row) for row in rows]
    assert all(total <= max_length for total in sums)
    # Best fit: no two rows could have been one.
    assert len(rows) < 2 or sum(sorted(sums)[:2]) > max_length


def test_a_sequence_longer_than_a_row_is_refused():
    with pytest.raises(UserError, match="sequence 2 has 9 tokens and a row holds 8"):
        pack_sequences([3, 9], 8)


@given(st.lists(st.integers(0, 99), min_size=2, max_size=80), st.integers(2, 20))
def test_a_chunked_document_predicts_every_token_after_the_first_once(ids, max_length):
    pieces = chunk_document(ids, max_length)
    assert [token for piece in pieces for token in piece.response_ids[0]] == ids[1:]
    assert all(piece.shared_prompt_tokens <= max_length for piece in pieces)
    assert pieces[0].prompt_ids == ids[:1]
    assert chunk_document(ids[:1], max_length) == []
