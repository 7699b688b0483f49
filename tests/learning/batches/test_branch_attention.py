"""Attention by prompts and responses computes what the whole row's mask computes, gradients included."""

import copy
import dataclasses

import pytest
import torch

from learning.batches import forward
from learning.batches.branch_attention import ATTENTION, checkpoint_layers
from learning.batches.collation import Example, collate, collate_packed
from learning.batches.forward import compute_token_logprobs, hidden_states
from learning.models.architectures import SHARED_PROMPT_ARCHITECTURES, backbone
from tests.learning.conftest import random_examples

# A row with several prompts, and one shorter than the other; responses of one token to 14.
GROUPS = [random_examples(2, [3, 4], seed=1, response=(8, 14)), random_examples(1, 5, response=(1, 14))]
BY_KEY_HEADS = {"num_key_value_heads": 2}  # grouped queries


def logprobs_and_gradients(model, batch):
    model.zero_grad()
    logprobs_NR = compute_token_logprobs(model, batch)
    (logprobs_NR * torch.linspace(-1, 1, logprobs_NR.numel()).view_as(logprobs_NR)).sum().backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    return logprobs_NR.detach(), gradients


def require_alike(first, second):
    assert torch.allclose(first[0], second[0], atol=1e-5)
    assert first[1].keys() == second[1].keys()
    # Of the whole gradient: that of a key's bias is zero but for rounding, since a softmax does not see it.
    norm = torch.cat([gradient.flatten() for gradient in first[1].values()]).norm()
    for name, gradient in first[1].items():
        assert (gradient - second[1][name]).norm() <= 1e-5 * norm, name


@pytest.mark.parametrize("architecture", SHARED_PROMPT_ARCHITECTURES)
def test_rows_of_prompts_and_responses_are_as_under_the_mask(make_policy, architecture):
    grouped = BY_KEY_HEADS if architecture in ("llama", "qwen2", "qwen3") else {}
    model = make_policy(architecture, **grouped)
    batch = collate_packed(GROUPS, pad_id=0)
    assert batch.branches is not None
    masked = dataclasses.replace(batch, branches=None)
    require_alike(logprobs_and_gradients(model, batch), logprobs_and_gradients(model, masked))
    # Without gradients the same bits: the first ratio of an update is exactly 1.
    with torch.no_grad():
        assert torch.equal(compute_token_logprobs(model, batch), compute_token_logprobs(model, batch))
    with_graph = compute_token_logprobs(model, batch).detach()
    with torch.no_grad():
        assert torch.equal(compute_token_logprobs(model, batch), with_graph)
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_padded_rows_need_no_mask(make_policy, monkeypatch, architecture):
    model = make_policy(architecture)
    batch = collate(GROUPS[0], layout="padded", pad_id=0)
    assert batch.input_ids_BT.shape[1] > batch.attention_mask.sum(1).min()  # some are padded
    causal = logprobs_and_gradients(model, batch)
    monkeypatch.setattr(forward, "_branches", lambda model, batch: None)
    require_alike(causal, logprobs_and_gradients(model, batch))


def attention_used(model, batch):
    used = []
    hook = backbone(model).register_forward_pre_hook(
        lambda *_: used.append(model.config._attn_implementation)
    )
    hidden_states(model, batch)
    hook.remove()
    return used


def test_it_is_used_where_it_saves_work(make_policy):
    model = make_policy()
    batch = collate(GROUPS[0], layout="shared_prompt", pad_id=0)
    assert attention_used(model, batch) == [ATTENTION]
    # Responses of very different lengths would be mostly padding: the whole row is less work.
    ragged = Example(list(range(7, 10)), [list(range(7, 107)), *([[9]] * 8)])
    uneven = collate([ragged], layout="shared_prompt", pad_id=0)
    assert uneven.branches is None and attention_used(model, uneven) == ["sdpa"]


@pytest.mark.parametrize("layout", ["shared_prompt", "padded"])
def test_checkpointed_layers_attend_as_before_when_they_are_computed_again(make_policy, layout):
    model, checkpointed = make_policy(), make_policy()
    checkpoint_layers(checkpointed)
    batch = collate(GROUPS[0], layout=layout, pad_id=0)
    first, second = (logprobs_and_gradients(one.train(), batch) for one in (model, checkpointed))
    assert torch.equal(first[0], second[0])
    assert all(torch.equal(gradient, second[1][name]) for name, gradient in first[1].items())


def test_a_model_that_attends_in_its_own_way_is_an_error(make_policy, monkeypatch):
    """Nothing would be hidden from its tokens."""
    model = make_policy()
    batch = collate(GROUPS[0], layout="padded", pad_id=0)
    monkeypatch.setattr(model.model.layers[0].self_attn, "config", copy.deepcopy(model.config))
    monkeypatch.setattr(model.model.layers[1].self_attn, "config", copy.deepcopy(model.config))
    with pytest.raises(RuntimeError, match="does not attend as its configuration says"):
        hidden_states(model, batch)
