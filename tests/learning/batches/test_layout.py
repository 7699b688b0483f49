import numpy as np
import pytest
import torch

from learning.batches.collation import Example, collate
from learning.batches.forward import (
    compute_token_logprobs,
)
from learning.batches.layout import choose_layout, layout_discrepancy
from learning.models.architectures import SHARED_PROMPT_ARCHITECTURES, shared_prompt_unsupported_reason
from tests.learning.conftest import random_examples

EXAMPLES = random_examples(5, [2, 4, 1, 3, 9])


def separate_logprobs(model, examples, temperature=1.0):
    """Lists of log-probabilities from the model's own logits, in NumPy float64."""
    rows = []
    for example in examples:
        for response in example.response_ids:
            ids = [*example.prompt_ids, *response]
            logits = model(input_ids=torch.tensor([ids])).logits[0].detach().double().numpy() / temperature
            start = len(example.prompt_ids) - 1
            row = []
            for offset, token in enumerate(response):
                line = logits[start + offset]
                row.append(line[token] - line.max() - np.log(np.exp(line - line.max()).sum()))
            rows.append(row)
    return rows


@pytest.mark.parametrize("make", ["make_policy", "make_reward_model"])
@pytest.mark.parametrize("architecture", SHARED_PROMPT_ARCHITECTURES)
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_the_self_check_passes_for_listed_architectures(request, make, architecture, dtype):
    model = request.getfixturevalue(make)(architecture)
    layout, reason = choose_layout(model, EXAMPLES, dtype=dtype)
    assert layout == "shared_prompt", reason
    assert model.training


def test_the_self_check_catches_eager_attention_and_broken_positions(make_reward_model, monkeypatch):
    model = make_reward_model()
    assert layout_discrepancy(model, EXAMPLES, dtype="fp32") <= 1e-4
    model.set_attn_implementation("eager")
    layout, reason = choose_layout(model, EXAMPLES)
    assert (layout, "eager" in reason) == ("padded", True)
    assert layout_discrepancy(model, EXAMPLES, dtype="fp32") > 1e-2  # silently wrong, if it were used
    model.set_attn_implementation("sdpa")

    def without_restart(**inputs):
        inputs["position_ids"] = torch.arange(inputs["input_ids"].shape[1])[None].expand_as(
            inputs["input_ids"]
        )
        return forward(**inputs)

    forward = model.model.forward
    monkeypatch.setattr(model.model, "forward", without_restart)
    layout, reason = choose_layout(model, EXAMPLES)
    assert (layout, "differ by" in reason) == ("padded", True)


def test_the_self_check_of_one_row_sees_neighbours_that_see_each_other(make_policy, monkeypatch):
    model = make_policy()
    examples = random_examples(3, 1)
    checked = {"requested": "shared_prompt", "in_one_row": True}
    assert choose_layout(model, examples, **checked)[0] == "shared_prompt"

    def causal(owner_BT, branch_BT):
        tokens = owner_BT.shape[1]
        return torch.ones(1, 1, tokens, tokens, dtype=torch.bool).tril()

    monkeypatch.setattr("learning.batches.collation._tree_mask", causal)
    monkeypatch.setattr("learning.batches.collation.find_branches", lambda *rows: None)
    layout, reason = choose_layout(model, examples, **checked)
    assert (layout, "differ by" in reason) == ("padded", True)


@pytest.mark.parametrize("make", ["make_policy", "make_reward_model"])
def test_the_self_check_bears_responses_that_are_all_the_same(request, make):
    model = request.getfixturevalue(make)()
    same = [Example([8, 9, 10, 11, 12], [[20, 21, 2]] * 4)]
    assert choose_layout(model, same)[0] == "shared_prompt"
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert layout_discrepancy(model, same, dtype="fp32") == 0.0


def test_sliding_windows_and_unlisted_architectures_fall_back_with_a_reason(tokenizer):
    from transformers import AutoConfig, AutoModelForCausalLM

    shape = {
        "vocab_size": 300,
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    }
    sliding = AutoModelForCausalLM.from_config(
        AutoConfig.for_model("qwen2", use_sliding_window=True, sliding_window=8, max_window_layers=0, **shape)
    )
    assert "sliding window" in shared_prompt_unsupported_reason(sliding)
    mistral = AutoModelForCausalLM.from_config(AutoConfig.for_model("mistral", sliding_window=8, **shape))
    layout, reason = choose_layout(mistral, EXAMPLES)
    assert (layout, "mistral is not among" in reason) == ("padded", True)
    reference = separate_logprobs(mistral, EXAMPLES)
    logprobs = compute_token_logprobs(mistral, collate(EXAMPLES, layout=layout, pad_id=0))
    for n, row in enumerate(reference):
        np.testing.assert_allclose(logprobs[n, : len(row)].detach().numpy(), row, atol=2e-5)


def test_one_response_a_prompt_and_a_request_decide_without_a_check(make_policy):
    model = make_policy()
    assert choose_layout(model, random_examples(3, 1))[0] == "padded"
    assert choose_layout(model, random_examples(3, 1), requested="shared_prompt")[0] == "shared_prompt"
    assert choose_layout(model, EXAMPLES, requested="padded") == ("padded", "padded rows were asked for")
