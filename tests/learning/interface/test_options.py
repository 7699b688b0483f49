import json
from dataclasses import dataclass, field
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learning.interface.options import (
    UserError,
    added_option,
    load_options,
    options_to_compare,
    options_to_dict,
)
from learning.interface.training_options import (
    BatchOptions,
    ModelArchitecture,
    ModelOptions,
    ModelSource,
    OptimizerOptions,
    RuntimeOptions,
)


@dataclass(frozen=True, kw_only=True)
class Inner:
    learning_rate: float
    steps: int = 3
    mode: Literal["a", "b"] = "a"

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1, found {self.steps}")


@dataclass(frozen=True, kw_only=True)
class Outer:
    inner: Inner
    name: str | None = None
    flag: bool = False
    sizes: tuple[int, ...] = ()
    pair: tuple[int, str] = (1, "x")
    weights: dict[str, float] = field(default_factory=dict)


GOOD = {"inner": {"learning_rate": 1, "mode": "b"}, "sizes": [1, 2], "weights": {"x": 0.5}}


def test_a_good_mapping_becomes_nested_options_and_goes_back_through_json():
    options = load_options(Outer, GOOD)
    assert options.inner == Inner(learning_rate=1.0, mode="b")
    assert isinstance(options.inner.learning_rate, float)
    assert options.sizes == (1, 2)
    assert load_options(Outer, json.loads(json.dumps(options_to_dict(options)))) == options


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"inner": {"learning_rat": 1.0}}, "config.inner.learning_rat: unknown option"),
        ({"inner": {"learning_rat": 1.0}}, "did you mean learning_rate?"),
        ({"inner": {}}, "config.inner.learning_rate: missing"),
        ({"inner": {"learning_rate": "1e-5"}}, "config.inner.learning_rate: expected a number, found '1e-5'"),
        ({"inner": {"learning_rate": True}}, "config.inner.learning_rate: expected a number, found True"),
        ({"inner": {"learning_rate": float("nan")}}, "expected a finite number"),
        ({"inner": {"learning_rate": 10**400}}, "expected a finite number"),
        ({"inner": {"learning_rate": 1.0, "steps": 2.0}}, "config.inner.steps: expected a whole number"),
        ({"inner": {"learning_rate": 1.0, "steps": True}}, "config.inner.steps: expected a whole number"),
        ({"inner": {"learning_rate": 1.0, "steps": 0}}, "config.inner: steps must be at least 1, found 0"),
        ({"inner": {"learning_rate": 1.0, "mode": "c"}}, "config.inner.mode: 'c' (str) is not one of a, b"),
        ({"inner": None}, "config.inner: expected an object"),
        ({"inner": [1]}, "config.inner: expected an object"),
        ({"flag": 1}, "config.flag: expected true or false"),
        ({"name": 4}, "config.name: expected text"),
        ({"sizes": "12"}, "config.sizes: expected a list"),
        ({"sizes": [1, "2"]}, "config.sizes[1]: expected a whole number"),
        ({"pair": [1]}, "config.pair: expected 2 values, found 1"),
        ({"weights": {"x": "y"}}, "config.weights.x: expected a number"),
    ],
)
def test_a_mistake_is_named_with_its_dotted_path_and_value(change, expected):
    load_options(Outer, GOOD)
    with pytest.raises(UserError) as caught:
        load_options(Outer, {**GOOD, **change})
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@given(
    st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=4)
)
def test_any_json_value_is_either_loaded_or_refused_with_a_sentence(value):
    for key in ("inner", "name", "flag", "sizes", "pair", "weights", "other"):
        try:
            load_options(Outer, {**GOOD, key: value})
        except UserError as error:
            assert str(error).startswith("config")


@pytest.mark.parametrize(
    "options",
    [
        ModelOptions(
            source=ModelSource(
                from_scratch=ModelArchitecture(
                    architecture="qwen2", num_attention_heads=4, num_key_value_heads=2
                )
            )
        ),
        ModelOptions(source=ModelSource(path="/models/base"), dropout=0.2),
        OptimizerOptions(learning_rate=9e-6, warmup_ratio=0.03),
        BatchOptions(layout="shared_prompt"),
        RuntimeOptions(backend="deepspeed", zero_stage=3),
    ],
)
def test_shared_options_survive_a_round_trip(options):
    assert load_options(type(options), json.loads(json.dumps(options_to_dict(options)))) == options


@pytest.mark.parametrize(
    ("cls", "values", "expected"),
    [
        (ModelSource, {}, "exactly one of path, hub_id and from_scratch, found none"),
        (ModelSource, {"path": "a", "hub_id": "b"}, "found path and hub_id"),
        (ModelSource, {"path": "a", "revision": "main"}, "belongs to a hub_id"),
        (ModelArchitecture, {"hidden_size": 30, "num_attention_heads": 4}, "not a multiple"),
        (ModelArchitecture, {"architecture": "gpt2", "num_key_value_heads": 2}, "not an option of gpt2"),
        (OptimizerOptions, {"learning_rate": 0.0}, "must be positive, found 0.0"),
        (OptimizerOptions, {"learning_rate": 1.0, "warmup_ratio": 1.5}, "between 0 and 1, found 1.5"),
        (RuntimeOptions, {"zero_stage": 2}, 'needs backend "deepspeed"'),
        (RuntimeOptions, {"seed": -1}, "found -1"),
        (ModelOptions, {"source": {"path": "x"}, "dropout": 1.0}, "found 1.0"),
        (BatchOptions, {"max_prompt_tokens": 0}, "at least 1, found 0"),
    ],
)
def test_shared_options_refuse_impossible_values(cls, values, expected):
    with pytest.raises(UserError) as caught:
        load_options(cls, values)
    assert expected in str(caught.value)


@dataclass(frozen=True, kw_only=True)
class Later(Inner):
    """Inner, as a later version has it: the one option keeps what was, the other has a new default."""

    clip: float | None = added_option(None, before=None)
    noise: float = added_option(0.5, before=0.0)


@dataclass(frozen=True, kw_only=True)
class LaterOuter:
    inner: Later
    name: str | None = None
    flag: bool = False
    sizes: tuple[int, ...] = ()
    pair: tuple[int, str] = (1, "x")
    weights: dict[str, float] = field(default_factory=dict)


def test_an_added_option_counts_only_where_it_is_not_as_it_was_before():
    asked = {"inner": {"learning_rate": 0.1}}
    before = options_to_compare(load_options(Outer, asked))
    assert before == options_to_dict(load_options(Outer, asked))
    as_before = {"inner": {"learning_rate": 0.1, "noise": 0.0}}
    assert options_to_compare(load_options(LaterOuter, as_before)) == before
    # The new default is another behaviour: what an old configuration leaves out may not silently become it.
    assert options_to_compare(load_options(LaterOuter, asked)) != before
    assert options_to_compare(load_options(LaterOuter, as_before | {"flag": True})) != before
    changed = {"inner": {**as_before["inner"], "clip": 1.0}}
    assert options_to_compare(load_options(LaterOuter, changed)) != before
    assert options_to_dict(load_options(LaterOuter, as_before))["inner"]["clip"] is None
