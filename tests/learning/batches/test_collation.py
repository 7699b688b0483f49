import pytest
import torch
from torch.nn import functional as F

from learning.batches.collation import Example, collate, collate_packed
from learning.batches.forward import (
    compute_token_logprobs,
)
from learning.models.architectures import SHARED_PROMPT_ARCHITECTURES
from tests.learning.conftest import random_examples

EXAMPLES = random_examples(5, [2, 4, 1, 3, 9])


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.parametrize("architecture", SHARED_PROMPT_ARCHITECTURES)
def test_neighbours_in_a_row_do_not_see_each_other(make_policy, architecture):
    model = make_policy(architecture)
    groups = [[EXAMPLES[0], EXAMPLES[1]], [EXAMPLES[2]], [EXAMPLES[3], EXAMPLES[4]]]
    batch = collate_packed(groups, pad_id=0)
    assert batch.input_ids_BT.shape[0] == 3
    assert batch.example_N.tolist() == [0] * 2 + [1] * 4 + [2] + [3] * 3 + [4] * 9
    separate = compute_token_logprobs(model, collate(EXAMPLES, layout="padded", pad_id=0))
    assert (compute_token_logprobs(model, batch) - separate).abs().max().item() <= 2e-5
    loss = F.mse_loss(compute_token_logprobs(model, batch), torch.zeros_like(separate))
    expected = gradients(model, F.mse_loss(separate, torch.zeros_like(separate)))
    assert ((gradients(model, loss) - expected).norm() / expected.norm()).item() <= 1e-5


def test_examples_without_prompt_or_response_tokens_are_refused():
    for prompt, responses in (([], [[1]]), ([1], []), ([1], [[1], []])):
        with pytest.raises(ValueError, match="at least one"):
            Example(prompt, responses)


def test_a_packed_row_computes_the_prompt_once():
    packed = collate(EXAMPLES, layout="shared_prompt", pad_id=0)
    padded = collate(EXAMPLES, layout="padded", pad_id=0)
    assert packed.input_ids_BT.shape == (5, max(e.shared_prompt_tokens for e in EXAMPLES))
    assert padded.input_ids_BT.shape == (19, max(e.longest_row for e in EXAMPLES))
    assert packed.n_tokens == padded.n_tokens == sum(len(r) for e in EXAMPLES for r in e.response_ids)
