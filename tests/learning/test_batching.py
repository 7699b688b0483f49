import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.batches.collation import Example
from learning.batches.micro_batching import ExampleSize, example_size, micro_batches
from learning.batches.samplers import (
    ContinuousBatchSampler,
    EpochBatchSampler,
    StepBatchSize,
    epoch_permutation,
)
from learning.batches.sequence_packing import chunk_document, pack_sequences
from learning.interface.options import UserError

SHAPES = st.lists(st.builds(ExampleSize, st.integers(1, 4), st.integers(1, 60)), min_size=1, max_size=40)


@given(SHAPES, st.integers(1, 200), st.integers(1, 5))
def test_every_example_is_in_one_pass_of_one_rank_and_ranks_make_equally_many(shapes, budget, world_size):
    plans = [
        micro_batches(shapes, range(len(shapes)), max_tokens=budget, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    assert len({len(plan) for plan in plans}) == 1
    real = [index for plan in plans for one in plan if not one.is_dummy for index in one.indices]
    assert sorted(real) == list(range(len(shapes)))
    for plan in plans:
        for one in plan:
            rows = sum(shapes[index].rows for index in one.indices)
            tokens = rows * max(shapes[index].tokens for index in one.indices)
            assert tokens <= budget or len(one.indices) == 1
    assert sum(one.is_dummy for plan in plans for one in plan) < world_size


def test_several_ranks_share_a_small_step_instead_of_idling():
    shapes = [ExampleSize(1, 10)] * 8
    plans = [micro_batches(shapes, range(8), max_tokens=1000, rank=r, world_size=2) for r in range(2)]
    assert [[len(one.indices) for one in plan] for plan in plans] == [[4], [4]]


def test_a_budget_saves_padding_by_putting_like_lengths_together():
    shapes = [ExampleSize(1, tokens) for tokens in (5, 100, 6, 98, 7, 99)]
    plan = micro_batches(shapes, range(6), max_tokens=300)
    assert [sorted(one.indices) for one in plan] == [[1, 3, 5], [0, 2, 4]]


def test_a_step_without_examples_is_refused():
    with pytest.raises(ValueError, match="at least one example"):
        micro_batches([], [], max_tokens=10)


def test_shapes_follow_the_layout():
    example = Example([1, 2, 3], [[4], [5, 6]])
    assert example_size(example, "shared_prompt") == ExampleSize(1, 6)
    assert example_size(example, "padded") == ExampleSize(2, 5)


@given(st.integers(0, 50), st.integers(0, 2**32), st.integers(0, 3))
def test_a_shuffle_is_a_permutation_that_depends_on_its_arguments_alone(count, seed, epoch):
    order = epoch_permutation(count, seed=seed, epoch=epoch)
    assert sorted(order) == list(range(count))
    assert order == epoch_permutation(count, seed=seed, epoch=epoch)


def test_shuffles_differ_by_seed_and_epoch_and_stay_what_they_were():
    orders = [tuple(epoch_permutation(20, seed=seed, epoch=epoch)) for seed in (0, 1) for epoch in (0, 1)]
    assert len(set(orders)) == 4
    assert orders[0][:6] == (4, 6, 19, 11, 8, 5)  # a change would make old checkpoints go on in another order


@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=40),
    st.integers(0, 100),
    st.one_of(
        st.builds(StepBatchSize, examples=st.integers(1, 12)),
        st.builds(
            StepBatchSize,
            tokens=st.integers(1, 120),
            min_examples=st.integers(1, 3),
            max_examples=st.integers(4, 9),
        ),
    ),
)
def test_an_epoch_uses_every_example_once_and_a_resumed_cursor_goes_on(costs, stop, step_size):
    cursor = EpochBatchSampler(costs, seed=5, step_batch_size=step_size)
    total = cursor.steps_for_epochs(3)
    steps = []
    for step in range(total):
        if step == stop % total:
            saved = cursor.state_dict()
            other = EpochBatchSampler(costs, seed=5, step_batch_size=step_size)
            other.load_state_dict(saved)
            tail = [other.next() for _ in range(total - step)]
        steps.append(cursor.next())
    assert tail == steps[stop % total :]
    seen = [index for step in steps for index in step]
    for epoch in range(3):
        assert sorted(seen[epoch * len(costs) : (epoch + 1) * len(costs)]) == list(range(len(costs)))
    if step_size.tokens is not None:
        for step in steps:
            assert len(step) <= step_size.max_examples
            over = sum(costs[index] for index in step) > step_size.tokens
            assert not over or len(step) <= step_size.min_examples


def test_a_cursor_refuses_no_data_and_data_of_another_size():
    with pytest.raises(UserError, match="no examples"):
        EpochBatchSampler([], seed=0, step_batch_size=StepBatchSize(examples=2))
    state = EpochBatchSampler([1] * 4, seed=0, step_batch_size=StepBatchSize(examples=2)).state_dict()
    with pytest.raises(UserError, match="made with 4 examples and the inputs have 5"):
        EpochBatchSampler([1] * 5, seed=0, step_batch_size=StepBatchSize(examples=2)).load_state_dict(state)


@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 40))
def test_a_steady_cursor_takes_the_same_number_each_step_no_example_twice_and_all_alike(count, size, stop):
    cursor = ContinuousBatchSampler(count, seed=3, examples_per_step=size)
    uses: Counter = Counter(dict.fromkeys(range(count), 0))
    for step in range(60):
        if step == stop:
            other = ContinuousBatchSampler(count, seed=3, examples_per_step=size)
            other.load_state_dict(json.loads(json.dumps(cursor.state_dict())))
            tail = [other.next() for _ in range(60 - step)]
        chosen = cursor.next()
        assert len(set(chosen)) == len(chosen) == min(size, count)
        uses.update(chosen)
        assert max(uses.values()) - min(uses.values()) <= 1
        if step >= stop:
            assert tail[step - stop] == chosen
    with pytest.raises(UserError, match=f"made with {count} examples and the inputs have {count + 1}"):
        ContinuousBatchSampler(count + 1, seed=3, examples_per_step=size).load_state_dict(cursor.state_dict())


def test_step_sizes_are_one_thing_or_the_other():
    for wrong in ({}, {"examples": 2, "tokens": 3}, {"examples": 0}):
        with pytest.raises(ValueError, match="give either|at least 1"):
            StepBatchSize(**wrong)


@given(st.lists(st.integers(1, 40), max_size=60), st.integers(40, 100))
def test_windows_hold_every_sequence_whole_and_waste_less_than_half(lengths, window):
    windows = pack_sequences(lengths, window)
    assert sorted(index for one in windows for index in one) == list(range(len(lengths)))
    sums = [sum(lengths[index] for index in one) for one in windows]
    assert all(total <= window for total in sums)
    # Best fit: no two windows could have been one.
    assert len(windows) < 2 or sum(sorted(sums)[:2]) > window


def test_a_sequence_longer_than_a_window_is_refused():
    with pytest.raises(UserError, match="sequence 2 has 9 tokens and the windows hold 8"):
        pack_sequences([3, 9], 8)


@given(st.lists(st.integers(0, 99), min_size=2, max_size=80), st.integers(2, 20))
def test_a_cut_document_predicts_every_token_after_the_first_once(ids, window):
    pieces = chunk_document(ids, window)
    assert [token for piece in pieces for token in piece.response_ids[0]] == ids[1:]
    assert all(piece.shared_prompt_tokens <= window for piece in pieces)
    assert pieces[0].prompt_ids == ids[:1]
    assert chunk_document(ids[:1], window) == []
