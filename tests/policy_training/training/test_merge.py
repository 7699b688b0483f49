"""Merging: the weighted mean of the weights, a fork bit for bit, and what does not fit is refused with a reason."""

import dataclasses

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from learning.interface.options import UserError
from learning.interface.training_options import ModelSource
from learning.models.files import save_model
from learning.models.loading import load_policy
from learning.models.tokenization import train_tokenizer
from policy_training.training.weights import merge
from policy_training.training.weights.config import MergeConfig, MergedModel
from tests.policy_training.training.conftest import FRESH, create_run, in_process, launch


@pytest.fixture
def make(tmp_path, tokenizer):
    def model(name: str, seed: int, *, of=None, **shape):
        torch.manual_seed(seed)
        path = tmp_path / name
        source = ModelSource(from_scratch=dataclasses.replace(FRESH, **shape))
        save_model(load_policy(source, of or tokenizer), of or tokenizer, path)
        return path

    return model


def merged(tmp_path, *parts, name="run"):
    config = MergeConfig(
        models=tuple(MergedModel(source=ModelSource(path=str(path)), weight=weight) for path, weight in parts)
    )
    return create_run(tmp_path / name, "merge", config)


def test_the_weights_are_the_weighted_mean_and_answer_as_that(tmp_path, make):
    paths = [make(name, seed) for seed, name in enumerate("abc")]
    run = merged(tmp_path, *zip(paths, (1.0, 2.0, 5.0), strict=True))
    launch(run)
    found = load_file(run.path / "model" / "model.safetensors")
    parts = [load_file(path / "model.safetensors") for path in paths]
    assert found.keys() == parts[0].keys()
    for key, tensor in found.items():
        mean = sum(w * part[key].double().numpy() for w, part in zip((1, 2, 5), parts, strict=True)) / 8
        assert tensor.double().numpy() == pytest.approx(mean, abs=1e-7), key
    result = run.result()
    assert result["shares"] == [1 / 8, 2 / 8, 5 / 8]
    assert len(result["policy_sha256s"]) == 3 and result["model_sha256s"]["model.safetensors"]
    assert AutoModelForCausalLM.from_pretrained(run.path / "model").config.tie_word_embeddings


def test_a_merge_of_one_is_a_fork_bit_for_bit(tmp_path, make):
    path = make("a", 1)
    run = merged(tmp_path, (path, 3.0))
    in_process(merge, MergeConfig, run)
    before, after = (load_file(folder / "model.safetensors") for folder in (path, run.path / "model"))
    assert before.keys() == after.keys() and all(torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize(
    ("shape", "said"),
    [
        (
            {"hidden_size": 64},
            "its (head_dim|hidden_size) is .*, and that of .*/a is .*; only policies of one architecture",
        ),
        ({"num_hidden_layers": 1}, "its .* only policies of one architecture"),
        ({"tie_word_embeddings": False}, "tie_word_embeddings is False"),
    ],
)
def test_another_architecture_is_refused_with_what_differs(tmp_path, make, shape, said):
    run = merged(tmp_path, (make("a", 1), 1.0), (make("b", 2, **shape), 1.0))
    with pytest.raises(UserError, match=said):
        in_process(merge, MergeConfig, run)


def test_another_tokenizer_is_refused(tmp_path, make):
    other = train_tokenizer(["Quite other words than those about foxes and owls."] * 3, 320)
    run = merged(tmp_path, (make("a", 1), 1.0), (make("b", 2, of=other), 1.0))
    with pytest.raises(
        UserError, match="has another tokenizer or chat template than .*; merge policies of one line"
    ):
        in_process(merge, MergeConfig, run)


@pytest.mark.parametrize("weight", [0.0, -1.0, float("nan"), float("inf")])
def test_weights_are_numbers_above_0(weight):
    with pytest.raises(ValueError, match="weight must be a number above 0"):
        MergedModel(source=ModelSource(path="x"), weight=weight)
