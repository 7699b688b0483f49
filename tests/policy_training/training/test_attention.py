"""Plain products and the fused kernel are the same attention; the batch and the precision choose between them."""

import pytest
import torch

from learning.batches.collation import Example, collate
from learning.batches.forward import compute_token_logprobs
from learning.interface.training_options import ModelSource
from learning.models.loading import load_policy
from learning.models.tokenizers import load_tokenizer
from policy_training.training import attention
from policy_training.training.attention import with_math_attention


@pytest.fixture
def passes(policy_path):
    source = ModelSource(path=str(policy_path))
    policy = load_policy(source, load_tokenizer(source))
    examples = [Example([2, 9, 11], [[5, 6, 7], [8, 9, 10, 11, 12]]), Example([4], [[7, 7], [3]])]
    batch = collate(examples, layout="shared_prompt", pad_id=0)

    def run(function, *, bf16: bool):
        policy.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            logprobs = function(policy, batch)
        logprobs.sum().backward()
        return logprobs.detach(), torch.cat([p.grad.flatten() for p in policy.parameters()])

    return run


def test_products_give_the_fused_kernels_log_probs_and_gradients(passes, monkeypatch):
    fused, fused_gradient = passes(compute_token_logprobs, bf16=False)
    monkeypatch.setattr(
        attention, "_math_attention_is_faster", lambda batch: True
    )  # in fp32, to compare exactly
    products, gradient = passes(lambda m, b: with_math_attention(m, compute_token_logprobs, b), bf16=False)
    torch.testing.assert_close(products, fused, rtol=0, atol=1e-6)
    torch.testing.assert_close(gradient, fused_gradient, rtol=0, atol=1e-5)


def test_products_are_used_for_short_rows_in_bf16_only(passes, monkeypatch):
    fused, _ = passes(compute_token_logprobs, bf16=False)
    unchanged, _ = passes(lambda m, b: with_math_attention(m, compute_token_logprobs, b), bf16=False)
    assert torch.equal(fused, unchanged)
    used = []
    real = attention.sdpa_kernel
    monkeypatch.setattr(attention, "sdpa_kernel", lambda kind: used.append(kind) or real(kind))
    passes(lambda m, b: with_math_attention(m, compute_token_logprobs, b), bf16=True)
    assert len(used) == 1
    monkeypatch.setattr(attention, "MAX_MATH_ATTENTION_TOKENS", 4)
    passes(lambda m, b: with_math_attention(m, compute_token_logprobs, b), bf16=True)
    assert len(used) == 1
