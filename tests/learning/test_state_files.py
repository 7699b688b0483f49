import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from learning.state_files import read_state, write_state

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec="utf-8"))
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(st.characters(codec="utf-8")) | st.integers(), inner, max_size=3)
    ),
    max_leaves=12,
)


def same(a, b):
    if isinstance(a, float) and math.isnan(a):
        return isinstance(b, float) and math.isnan(b)
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@given(TREES)
def test_any_tree_of_plain_values_comes_back_the_same(tmp_path_factory, tree):
    stem = tmp_path_factory.mktemp("state") / "state"
    write_state(stem, tree)
    assert same(read_state(stem), tree)


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.uint8, torch.bool]
)
def test_tensors_keep_their_bits_and_type(tmp_path, dtype):
    tensor = torch.randn(5, 3).mul(100).to(dtype)
    write_state(tmp_path / "s", {"x": tensor, 3: {"y": tensor.T, "none": tensor[:0], "one": tensor[0, 0]}})
    back = read_state(tmp_path / "s")
    assert back["x"].dtype == dtype and torch.equal(back["x"], tensor)
    assert torch.equal(back[3]["y"], tensor.T)
    assert back[3]["none"].shape == (0, 3) and back[3]["one"].shape == ()


def test_shared_and_overlapping_memory_is_kept_apart_and_shared_tensors_stored_once(tmp_path):
    base = torch.arange(1000.0)
    state = {"a": base, "b": base, "part": base[10:20], "shaped": base.view(10, 100)}
    write_state(tmp_path / "s", state)
    back = read_state(tmp_path / "s")
    for name, tensor in state.items():
        assert torch.equal(back[name], tensor)
    assert back["a"].data_ptr() == back["b"].data_ptr()
    assert (tmp_path / "s.safetensors").stat().st_size < 2.2 * 4000


def test_tensors_made_on_the_way_are_not_taken_for_one_another(tmp_path):
    class Fresh(dict):
        def items(self):  # each tensor dies before the next is made, and memory is reused
            return ((str(n), torch.full((4, 4), float(n)).T[:2]) for n in range(20))

        def __iter__(self):
            return iter([])

    write_state(tmp_path / "s", Fresh())
    back = read_state(tmp_path / "s")
    assert [back[str(n)].unique().item() for n in range(20)] == list(range(20))


def test_numpy_arrays_and_random_states_come_back(tmp_path):
    state = {"n": np.random.get_state(), "i": np.int64(4), "m": np.arange(6, dtype=np.uint32).reshape(2, 3)}
    write_state(tmp_path / "s", state)
    back = read_state(tmp_path / "s")
    assert back["i"] == 4
    assert back["m"].dtype == np.uint32 and (back["m"] == state["m"]).all()
    first = np.random.rand()
    np.random.set_state(back["n"])
    assert np.random.rand() == first


def test_what_would_need_a_pickle_is_refused(tmp_path):
    for value in (object(), {1.5: 2}, {(1, 2): 3}, {True: 1}, b"x", {1, 2}):
        with pytest.raises(TypeError, match="a checkpoint cannot hold"):
            write_state(tmp_path / "s", {"x": value})
