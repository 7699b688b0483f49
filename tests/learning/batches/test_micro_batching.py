import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.batches.collation import Example
from learning.batches.micro_batching import ExampleSize, example_size, micro_batches

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
