"""CHECK 13, and that one prefill, preallocated buffers and dropped rows change nothing that is drawn."""

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from transformers import AutoConfig, AutoModelForCausalLM

from learning.batches.collation import Example, collate
from learning.batches.forward import compute_token_logprobs
from learning.interface.options import UserError, load_options
from learning.models.architectures import SHARED_PROMPT_ARCHITECTURES
from policy_training.training.config import SamplingOptions
from policy_training.training.ppo.config import RolloutOptions
from policy_training.training.rollouts.sampler import SamplingRequest, sample_noise, sample_responses

EOS, PAD, V = 1, 0, 17
PROMPTS = [("a", [2, 5, 9]), ("b", [3]), ("c", [2, 4, 6, 8, 10, 12, 3]), ("d", [7, 7])]


def tiny_policy(architecture: str, *, spread: float = 0.5, **changes: int):
    """A random model of one of the listed architectures, with logits far from uniform."""
    torch.manual_seed(0)
    options = {"vocab_size": V, "pad_token_id": PAD, "eos_token_id": EOS, "bos_token_id": 2}
    if architecture == "gpt2":
        options |= {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
    else:
        options |= {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
        options |= {"max_position_embeddings": 64, "intermediate_size": 48}
    if architecture == "opt":
        options |= {"ffn_dim": 48, "word_embed_proj_dim": 32}
    if architecture in ("llama", "qwen2", "qwen3", "mistral"):
        options |= {"num_key_value_heads": 2}  # grouped queries, where the buffers are narrower
    if architecture == "qwen3":
        options |= {"head_dim": 8}
    config = AutoConfig.for_model(architecture, **(options | changes))
    model = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=spread)
    return model


def draw(policy, prompts=PROMPTS, *, n=3, length=12, seed="s", rows=256, **options):
    with torch.no_grad():
        return sample_responses(
            policy,
            prompts,
            SamplingRequest(
                n_samples=n,
                max_response_tokens=length,
                options=SamplingOptions(batch_size=rows, **options),
                seed=seed,
            ),
            eos_id=EOS,
            pad_id=PAD,
        )


@pytest.mark.parametrize("architecture", [*SHARED_PROMPT_ARCHITECTURES, "mistral"])
def test_log_probs_are_those_of_a_plain_forward_pass(architecture):
    """`mistral` with a window is not on the list and takes the general way."""
    changes = {"sliding_window": 8} if architecture == "mistral" else {}
    policy = tiny_policy(architecture, **changes)
    for temperature in (0.7, 1.3):
        responses = draw(policy, temperature=temperature)
        assert [r.prompt_id for r in responses] == [p for p, _ in PROMPTS for _ in range(3)]
        assert [r.sample_index for r in responses] == [0, 1, 2] * len(PROMPTS)
        assert (
            len({len(r.token_ids) for r in responses}) > 1
        )  # rows ended at different times: some were dropped
        for response in responses:
            prompt_ids = dict(PROMPTS)[response.prompt_id]
            with torch.no_grad():
                logits = policy(torch.tensor([prompt_ids + response.token_ids])).logits[0]
            logprobs = (logits / temperature).log_softmax(-1)[len(prompt_ids) - 1 : -1]
            expected = logprobs[torch.arange(len(response.token_ids)), torch.tensor(response.token_ids)]
            assert response.logprobs == pytest.approx(expected.tolist(), abs=1e-4)
            assert response.has_eos == (response.token_ids[-1] == EOS)
            assert EOS not in response.token_ids[:-1]
            assert response.has_eos or len(response.token_ids) == 12


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_what_is_drawn_does_not_depend_on_batch_size_order_or_number_of_samples(architecture):
    policy = tiny_policy(architecture)
    together = {(r.prompt_id, r.sample_index): r.token_ids for r in draw(policy, n=5)}
    one_at_a_time = {(r.prompt_id, r.sample_index): r.token_ids for r in draw(policy, n=5, rows=1)}
    backwards = {(r.prompt_id, r.sample_index): r.token_ids for r in draw(policy, PROMPTS[::-1], n=5)}
    fewer = {(r.prompt_id, r.sample_index): r.token_ids for r in draw(policy, n=2)}
    assert together == one_at_a_time == backwards
    assert fewer == {key: ids for key, ids in together.items() if key[1] < 2}
    other_seed = {(r.prompt_id, r.sample_index): r.token_ids for r in draw(policy, n=5, seed="t")}
    assert sum(other_seed[key] == together[key] for key in together) < len(together) / 2


def test_noise_is_a_pure_function_of_seed_prompt_and_sample():
    assert (sample_noise("1", "p", 0, 5) == sample_noise("1", "p", 0, 9)[:5]).all()
    keys = [("1", "p", 0), ("1", "p", 1), ("1", "q", 0), ("2", "p", 0), ("1", "p0", 0)]
    assert len({tuple(sample_noise(*key, 4)) for key in keys}) == len(keys)


@pytest.mark.parametrize("temperature", [0.7, 1.0, 1.2])
def test_sampled_frequencies_agree_with_the_log_probs(temperature):
    policy = tiny_policy("llama", spread=0.25)
    responses = draw(policy, [("p", [2, 5, 9])], n=6000, length=2, rows=6000, temperature=temperature)
    with torch.no_grad():
        first = (policy(torch.tensor([[2, 5, 9]])).logits[0, -1] / temperature).softmax(-1).double()
        top = int(first.argmax()) if int(first.argmax()) != EOS else int(first.topk(2).indices[1])
        second = (policy(torch.tensor([[2, 5, 9, top]])).logits[0, -1] / temperature).softmax(-1).double()
    for place, expected, rows in (
        (0, first, responses),
        (1, second, [r for r in responses if r.token_ids[0] == top]),
    ):
        counts = np.bincount([r.token_ids[place] for r in rows], minlength=V)
        likely = expected.numpy() * len(rows) >= 5  # the usual condition of the test; the rest is one bin
        observed = np.append(counts[likely], counts[~likely].sum())
        theory = np.append(expected.numpy()[likely], expected.numpy()[~likely].sum()) * len(rows)
        keep = theory > 0
        assert chisquare(observed[keep], theory[keep] * observed.sum() / theory[keep].sum()).pvalue > 0.01


def test_the_samples_own_log_probs_agree_with_packed_rows():
    policy = tiny_policy("llama")
    responses = draw(policy, n=4, temperature=0.9)
    examples = [
        Example(ids, [r.token_ids for r in responses if r.prompt_id == prompt_id])
        for prompt_id, ids in PROMPTS
    ]
    with torch.no_grad():
        batch = collate(examples, layout="shared_prompt", pad_id=PAD)
        logprobs = compute_token_logprobs(policy, batch, temperature=0.9)
    for row, response in enumerate(responses):
        assert logprobs[row, : len(response.token_ids)].tolist() == pytest.approx(response.logprobs, abs=1e-4)


def test_truncated_sampling_draws_only_what_transformers_would():
    """Each option alone, against the set of tokens transformers' own logits processors leave possible."""
    from transformers import RepetitionPenaltyLogitsProcessor, TopKLogitsWarper, TopPLogitsWarper

    policy, prompt = tiny_policy("llama"), [2, 5, 9, 5]
    with torch.no_grad():
        logits = policy(torch.tensor([prompt])).logits[:, -1]
    for options, processor in (
        ({"top_k": 3}, TopKLogitsWarper(3)),
        ({"top_p": 0.6}, TopPLogitsWarper(0.6)),
        (
            {"repetition_penalty": 3.0, "repetition_penalty_scope": "prompt_and_response"},
            RepetitionPenaltyLogitsProcessor(3.0),
        ),
    ):
        expected = processor(torch.tensor([prompt]), logits).softmax(-1)[0].double().numpy()
        rows = draw(policy, [("p", prompt)], n=3000, length=1, rows=3000, **options)
        counts = np.bincount([r.token_ids[0] for r in rows], minlength=V)
        assert (counts[expected == 0] == 0).all(), options
        assert np.abs(counts / 3000 - expected).max() < 0.04, options
        plain = logits.log_softmax(-1)[0]
        assert all(r.logprobs[0] == pytest.approx(plain[r.token_ids[0]].item(), abs=1e-4) for r in rows)


@pytest.mark.parametrize(("option", "value"), [("top_p", 0.9), ("top_k", 5), ("repetition_penalty", 1.1)])
def test_truncated_sampling_is_refused_for_rollouts_that_train(option, value):
    accepted = load_options(RolloutOptions, {"sampling": {"temperature": 0.7}}, "rollout")
    assert accepted.sampling.temperature == 0.7
    with pytest.raises(UserError, match=f"{option} is {value}.*off-policy"):
        load_options(RolloutOptions, {"sampling": {option: value}}, "rollout")


def test_a_prompt_that_leaves_no_room_is_refused_with_the_numbers():
    with pytest.raises(
        UserError, match="prompt c: 7 prompt tokens and max_response_tokens = 60.*context of 64"
    ):
        draw(tiny_policy("llama"), length=60)


def test_the_repetition_penalty_counts_what_was_written_and_not_the_prompt():
    """Two tokens each: the first is drawn as without a penalty, the second as transformers' processor says when it is
    shown the first alone (Secrets of RLHF I, 6.1: on previously generated tokens).
    """
    from transformers import RepetitionPenaltyLogitsProcessor

    policy, prompt = tiny_policy("llama"), [2, 5, 9, 5]
    rows = draw(policy, [("p", prompt)], n=6000, length=2, rows=6000, repetition_penalty=3.0)
    with torch.no_grad():
        first = policy(torch.tensor([prompt])).logits[:, -1].softmax(-1)[0].double().numpy()
    counts = np.bincount([r.token_ids[0] for r in rows], minlength=V)
    assert np.abs(counts / len(rows) - first).max() < 0.03
    token = next(token for token in np.argsort(-first) if token != EOS)
    with torch.no_grad():
        logits = policy(torch.tensor([[*prompt, token]])).logits[:, -1]
    second = (
        RepetitionPenaltyLogitsProcessor(3.0)(torch.tensor([[token]]), logits).softmax(-1)[0].double().numpy()
    )
    after = [r.token_ids[1] for r in rows if r.token_ids[0] == token]
    assert np.abs(np.bincount(after, minlength=V) / len(after) - second).max() < 0.06
