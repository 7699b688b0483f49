import numpy as np
import pytest
import torch

from learning.batches.collation import Example, collate
from learning.batches.forward import (
    compute_scores,
    compute_token_logprobs,
    compute_token_logprobs_and_entropy,
    compute_values,
    gather_logit_states,
    hidden_states,
    scatter_to_responses,
)
from learning.models.architectures import SHARED_PROMPT_ARCHITECTURES
from tests.learning.conftest import random_examples

EXAMPLES = random_examples(5, [2, 4, 1, 3, 9])


def separate_scores(model, examples):
    """Each response alone after its prompt, one row at a time, no mask and no padding: plain transformers."""
    scores = []
    for example in examples:
        for response in example.response_ids:
            ids = torch.tensor([[*example.prompt_ids, *response]])
            hidden = getattr(model, model.base_model_prefix)(input_ids=ids).last_hidden_state
            scores.append(model.score(hidden[0, -1])[0])
    return torch.stack(scores)


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


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.parametrize("architecture", SHARED_PROMPT_ARCHITECTURES)
def test_packed_rows_score_as_separate_rows_with_equal_gradients(make_reward_model, architecture):
    model = make_reward_model(architecture)
    weights = torch.linspace(-1, 2, 19)
    reference = separate_scores(model, EXAMPLES)
    expected_gradient = gradients(model, (reference * weights).sum())
    spread = reference.std().item()
    assert spread > 0.01
    for layout in ("shared_prompt", "padded"):
        scores = compute_scores(model, collate(EXAMPLES, layout=layout, pad_id=0))
        assert scores.shape == (19,)
        assert (scores - reference).abs().max().item() <= 1e-5 * spread
        gradient = gradients(model, (scores * weights).sum())
        assert ((gradient - expected_gradient).norm() / expected_gradient.norm()).item() <= 1e-5


@pytest.mark.parametrize("architecture", SHARED_PROMPT_ARCHITECTURES)
def test_token_logprobs_are_those_of_the_model_alone_in_both_layouts(make_policy, architecture):
    model = make_policy(architecture, tie_word_embeddings=False)
    for temperature in (1.0, 0.7):
        reference = separate_logprobs(model, EXAMPLES, temperature)
        for layout in ("shared_prompt", "padded"):
            batch = collate(EXAMPLES, layout=layout, pad_id=0)
            logprobs, entropy = compute_token_logprobs_and_entropy(model, batch, temperature)
            assert torch.equal(logprobs, compute_token_logprobs(model, batch, temperature))
            for n, row in enumerate(reference):
                np.testing.assert_allclose(logprobs[n, : len(row)].detach().numpy(), row, atol=2e-5)
                assert (logprobs[n, len(row) :] == 0).all()
            assert (entropy[batch.is_response_NR] > 0).all()
            assert (entropy[~batch.is_response_NR] == 0).all()


def test_entropy_of_a_uniform_policy_is_the_logarithm_of_the_vocabulary(make_policy):
    model = make_policy(tie_word_embeddings=False)
    torch.nn.init.zeros_(model.lm_head.weight)
    batch = collate(EXAMPLES, layout="shared_prompt", pad_id=0)
    _, entropy = compute_token_logprobs_and_entropy(model, batch)
    assert torch.allclose(entropy[batch.is_response_NR], torch.tensor(len(model.lm_head.weight)).log())


def test_editing_one_response_in_place_changes_no_other_score_by_a_bit(make_reward_model):
    model = make_reward_model().eval()
    before = compute_scores(model, collate(EXAMPLES, layout="shared_prompt", pad_id=0))
    for position, token in ((0, 9), (-1, 11)):
        responses = [list(ids) for ids in EXAMPLES[1].response_ids]
        responses[2][position] = token if responses[2][position] != token else token + 1
        edited = [EXAMPLES[0], Example(EXAMPLES[1].prompt_ids, responses), *EXAMPLES[2:]]
        after = compute_scores(model, collate(edited, layout="shared_prompt", pad_id=0))
        changed = (before != after).nonzero().flatten().tolist()
        assert changed == [2 + 2]


@pytest.mark.parametrize("layout", ["shared_prompt", "padded"])
@pytest.mark.parametrize("architecture", ["llama", "gpt2", "opt"])
def test_scores_do_not_depend_on_batch_size_order_padding_or_padding_id(
    make_reward_model, architecture, layout
):
    model = make_reward_model(architecture).eval()
    examples = random_examples(16, 3, seed=3)
    with torch.no_grad():
        reference = separate_scores(model, examples).view(16, 3)
        limit = 1e-5 * reference.std().item()
        long = random_examples(1, 3, seed=9, prompt=(90, 90))  # adds padding to every other row
        for pad_id in (0, 2):  # 2 is the end-of-sequence id: a tokenizer that came with pad == eos
            for order in (list(range(16)), sorted(range(16), key=lambda i: examples[i].shared_prompt_tokens)):
                for size in (1, 16):
                    for start in range(0, 16, size):
                        chosen = order[start : start + size]
                        rows = [examples[i] for i in chosen] + long
                        scores = compute_scores(model, collate(rows, layout=layout, pad_id=pad_id))
                        difference = scores[: 3 * size].view(size, 3) - reference[chosen]
                        assert difference.abs().max().item() <= limit


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_left_padded_rows_of_plain_transformers_score_as_ours(make_reward_model, architecture):
    model = make_reward_model(architecture).eval()
    rows = [[*e.prompt_ids, *ids] for e in EXAMPLES for ids in e.response_ids]
    width = max(map(len, rows))
    ids = torch.tensor([[0] * (width - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    with torch.no_grad():
        left = model.score(
            getattr(model, model.base_model_prefix)(
                input_ids=ids, attention_mask=mask, position_ids=(mask.cumsum(1) - 1).clamp(min=0)
            ).last_hidden_state[:, -1]
        )[:, 0]
        ours = compute_scores(model, collate(EXAMPLES, layout="shared_prompt", pad_id=0))
    assert (left - ours).abs().max().item() <= 1e-5 * ours.std().item()


def test_values_stand_before_their_tokens_and_padding_gets_no_gradient(make_reward_model):
    critic = make_reward_model()
    packed = collate(EXAMPLES, layout="shared_prompt", pad_id=0)
    values = compute_values(critic, packed)
    assert torch.allclose(
        values, compute_values(critic, collate(EXAMPLES, layout="padded", pad_id=0)), atol=1e-5
    )
    # The value before a response's first token depends on the prompt alone: equal for all its responses.
    first = values[:, 0]
    for example in packed.example_N.unique():
        own = first[packed.example_N == example]
        assert torch.equal(own, own[:1].expand_as(own))
    hidden = hidden_states(critic, packed).detach().requires_grad_()
    scatter_to_responses(
        critic.score(gather_logit_states(hidden, packed)).squeeze(-1), packed
    ).sum().backward()
    touched = hidden.grad.abs().sum(-1) > 0
    predicting = torch.zeros_like(touched)
    for n in range(packed.n_responses):
        for r in range(packed.lengths_N[n]):
            predicting[packed.row_N[n], packed.logit_index_NR[n, r]] = True
    assert torch.equal(touched, predicting)


def test_padding_and_masks_never_make_nan(make_policy):
    model = make_policy()
    uneven = [*random_examples(1, 2, prompt=(60, 60)), *random_examples(1, 1, prompt=(1, 1), response=(1, 1))]
    for layout in ("shared_prompt", "padded"):
        batch = collate(uneven, layout=layout, pad_id=0)
        loss = compute_token_logprobs(model, batch).sum()
        assert torch.isfinite(gradients(model, loss)).all()
        assert torch.isfinite(hidden_states(model, batch)).all()
