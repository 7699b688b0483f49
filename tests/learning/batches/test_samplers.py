import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.batches.samplers import (
    ContinuousBatchSampler,
    EpochBatchSampler,
    ProportionalSampler,
    StepBatchSize,
    epoch_permutation,
    even_parts,
    exact_share,
)
from learning.interface.options import UserError


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
        st.builds(StepBatchSize, even=st.integers(1, 12)),
        st.builds(
            StepBatchSize,
            mean=st.integers(3, 8),
            min_examples=st.integers(1, 3),
            max_examples=st.integers(8, 12),
        ),
        st.builds(
            StepBatchSize,
            tokens=st.integers(1, 120),
            min_examples=st.integers(1, 3),
            max_examples=st.integers(4, 9),
        ),
    ),
)
def test_an_epoch_uses_every_example_once_and_a_resumed_sampler_goes_on(costs, stop, step_size):
    sampler = EpochBatchSampler(costs, seed=5, step_batch_size=step_size)
    total = sampler.steps_for_epochs(3)
    steps = []
    for step in range(total):
        if step == stop % total:
            saved = sampler.state_dict()
            other = EpochBatchSampler(costs, seed=5, step_batch_size=step_size)
            other.load_state_dict(saved)
            tail = [other.next() for _ in range(total - step)]
        steps.append(sampler.next())
    assert tail == steps[stop % total :]
    seen = [index for step in steps for index in step]
    for epoch in range(3):
        assert sorted(seen[epoch * len(costs) : (epoch + 1) * len(costs)]) == list(range(len(costs)))
    assert step_size.max_examples is None or max(map(len, steps)) <= step_size.max_examples


def test_a_sampler_refuses_no_data_and_data_of_another_size():
    with pytest.raises(UserError, match="no examples"):
        EpochBatchSampler([], seed=0, step_batch_size=StepBatchSize(examples=2))
    state = EpochBatchSampler([1] * 4, seed=0, step_batch_size=StepBatchSize(examples=2)).state_dict()
    with pytest.raises(UserError, match="made with 4 examples and the inputs have 5"):
        EpochBatchSampler([1] * 5, seed=0, step_batch_size=StepBatchSize(examples=2)).load_state_dict(state)
    # A checkpoint of a version that cut full steps off the front does not go on with other steps.
    with pytest.raises(UserError, match="divided an epoch into other steps; clone this run"):
        EpochBatchSampler([1] * 4, seed=0, step_batch_size=StepBatchSize(even=2)).load_state_dict(state)


def test_steps_of_equal_comparisons_are_within_one_of_each_other_and_within_their_bounds():
    """By enumeration; 4..128 are the bounds of Secrets of RLHF, whose last step could hold one comparison."""
    for smallest, mean, largest in ((4, 128, 128), (4, 20, 128), (2, 3, 4), (1, 1, 1), (3, 4, 5)):
        for count in range(1, 400):
            size = StepBatchSize(mean=mean, min_examples=smallest, max_examples=largest)
            steps = size.divide([7] * count)
            assert [place for step in steps for place in step] == list(range(count))
            sizes = [len(step) for step in steps]
            assert max(sizes) - min(sizes) <= 1 and max(sizes) <= largest
            # The smallest gives way only where no number of steps keeps both bounds.
            possible = any(n * smallest <= count <= n * largest for n in range(1, count + 1))
            assert min(sizes) >= smallest or not possible, (count, smallest, largest, sizes)
    sizes = StepBatchSize(tokens=10**9, min_examples=4, max_examples=128)
    assert [len(step) for step in sizes.divide([50] * 129)] in ([64, 65], [65, 64])
    even = EpochBatchSampler([1] * 129, seed=0, step_batch_size=StepBatchSize(even=64))
    assert [len(even.next()) for _ in range(even.steps_per_epoch)] == [43, 43, 43]


@given(st.lists(st.integers(1, 60), min_size=1, max_size=80), st.integers(1, 12), st.integers(0, 8))
def test_steps_with_balanced_tokens_are_as_even_as_one_comparison_allows(costs, mean, room):
    """Without bounds that bind, a step's share is missed by at most the comparison at each of its two cuts."""
    free = StepBatchSize(mean=mean).divide(costs)
    assert len(free) == -(-len(costs) // mean)
    for step in free:
        tokens = sum(costs[place] for place in step)
        assert abs(tokens - sum(costs) / len(free)) <= max(costs) * 1.0 + 1e-9 or len(step) == 1
    bounded = StepBatchSize(mean=mean, min_examples=max(1, mean - room), max_examples=mean + room)
    sizes = [len(step) for step in bounded.divide(costs)]
    assert sum(sizes) == len(costs) and max(sizes) <= mean + room
    possible = len(free) * max(1, mean - room) <= len(costs)
    assert min(sizes) >= max(1, mean - room) or not possible


@given(st.integers(1, 30), st.integers(1, 12), st.integers(0, 40))
def test_a_continuous_sampler_takes_the_same_number_each_step_no_example_twice_and_all_alike(
    count, size, stop
):
    sampler = ContinuousBatchSampler(count, seed=3, examples_per_step=size)
    uses: Counter = Counter(dict.fromkeys(range(count), 0))
    for step in range(60):
        if step == stop:
            other = ContinuousBatchSampler(count, seed=3, examples_per_step=size)
            other.load_state_dict(json.loads(json.dumps(sampler.state_dict())))
            tail = [other.next() for _ in range(60 - step)]
        chosen = sampler.next()
        assert len(set(chosen)) == len(chosen) == min(size, count)
        uses.update(chosen)
        assert max(uses.values()) - min(uses.values()) <= 1
        if step >= stop:
            assert tail[step - stop] == chosen
    with pytest.raises(UserError, match=f"made with {count} examples and the inputs have {count + 1}"):
        ContinuousBatchSampler(count + 1, seed=3, examples_per_step=size).load_state_dict(
            sampler.state_dict()
        )


@given(st.integers(1, 9), st.sampled_from((0.1, 0.3, 0.5, 1.0)), st.lists(st.integers(1, 70), max_size=30))
def test_a_proportion_holds_over_any_stretch_and_every_example_is_used_equally_often(count, share, steps):
    sampler = ProportionalSampler(count, seed=3, ratio=exact_share(share))
    uses: Counter = Counter(dict.fromkeys(range(count), 0))
    taken = 0
    for step, elsewhere in enumerate(steps):
        if step == len(steps) // 2:
            other = ProportionalSampler(count, seed=3, ratio=exact_share(share))
            other.load_state_dict(json.loads(json.dumps(sampler.state_dict())))
            sampler = other
        uses.update(sampler.next(elsewhere))
        taken += elsewhere
        # In tenths, so that the reference is whole numbers: half a tenth is rounded up.
        assert uses.total() == (round(share * 10) * taken * 2 + 10) // 20 == sampler.drawn
        assert max(uses.values()) - min(uses.values()) <= 1


def test_a_proportion_is_as_written_and_goes_on_where_it_was_saved():
    sampler = ProportionalSampler(1000, seed=0, ratio=exact_share(0.1))
    drawn = [len(sampler.next(1)) for _ in range(100)]
    assert [place for place, n in enumerate(drawn) if n] == [4, 14, 24, 34, 44, 54, 64, 74, 84, 94]
    again = ProportionalSampler(1000, seed=0, ratio=exact_share(0.1))
    again.load_state_dict(json.loads(json.dumps(sampler.state_dict())))
    assert [again.next(7) for _ in range(9)] == [sampler.next(7) for _ in range(9)]


def test_step_batch_sizes_are_one_thing_or_the_other():
    for wrong in ({}, {"examples": 2, "tokens": 3}, {"mean": 2, "even": 2}, {"examples": 0}):
        with pytest.raises(ValueError, match="give exactly one|at least 1"):
            StepBatchSize(**wrong)


def test_even_parts_are_as_few_as_can_be_and_differ_by_one_at_most():
    for count in range(1, 200):
        for largest in range(1, 40):
            parts = even_parts(count, largest)
            assert [index for part in parts for index in part] == list(range(count))
            sizes = sorted(len(part) for part in parts)
            assert sizes[-1] <= largest and sizes[-1] - sizes[0] <= 1
            assert (len(parts) - 1) * largest < count  # one part fewer would not hold them
    assert [len(part) for part in even_parts(33, 32)] == [16, 17]
    with pytest.raises(ValueError, match="at least 1"):
        even_parts(0, 4)
