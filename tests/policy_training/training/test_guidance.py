"""Value-guided decoding against the formula on plain forward passes, over every token of the vocabulary."""

import numpy as np
import pytest
import torch

from learning.interface.options import UserError
from learning.interface.record_files import read_records
from learning.interface.record_schemas import SAMPLED_RESPONSES
from learning.interface.training_options import ModelSource
from learning.models.files import model_sha256s
from learning.models.loading import load_policy, load_reward_model
from learning.models.tokenization import encode_prompt
from policy_training.training.config import (
    EvaluateConfig,
    GuidanceOptions,
    SampleConfig,
    SampleOptions,
    SamplingOptions,
)
from policy_training.training.evaluation import compare, evaluate
from policy_training.training.evaluation.config import ComparePoliciesConfig, Contestant
from policy_training.training.rollouts.guidance import Guidance, guided_probabilities
from policy_training.training.rollouts.sampler import SamplingBatch
from policy_training.training.sampling import sample
from policy_training.training.server_config import ServerOptions
from tests.policy_training.training.conftest import BATCH, create_run, in_process, prompt_rows

PROMPTS = [[5, 9, 30, 12], [7, 8], [40, 41, 42, 43, 44, 45]]


@pytest.fixture
def models(policy_path, reward_model_path, tokenizer):
    policy = load_policy(ModelSource(path=str(policy_path)), tokenizer).eval()
    critic = load_reward_model(ModelSource(path=str(reward_model_path)), tokenizer).eval()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():  # values that differ
        for parameter in critic.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
        policy.lm_head.weight[tokenizer.eos_token_id] += 0.3  # some rows end early
    return policy, critic


def values_of(critic, ids):
    """The critic's output at the last token, read from the start without a cache."""
    with torch.no_grad():
        hidden = critic.model(input_ids=torch.tensor([ids])).last_hidden_state
        return critic.score(hidden)[0, -1, 0].double().item()


@pytest.mark.parametrize("candidates", [4, 10_000])
def test_every_token_is_drawn_by_its_probability_times_exp_of_its_value(
    models, tokenizer, candidates, monkeypatch
):
    """At every step of every row: prompts of different lengths, rows that end and are dropped on the way."""
    policy, critic = models
    beta, eos, n_samples, length = 2.0, tokenizer.eos_token_id, 3, 4
    noise = torch.rand(len(PROMPTS) * n_samples, length, generator=torch.Generator().manual_seed(1)).double()
    batch = SamplingBatch(
        policy, PROMPTS, SamplingOptions(temperature=0.8), noise, n_samples=n_samples, eos_id=eos,
        pad_id=tokenizer.pad_token_id, guidance=Guidance(critic=critic, coefficient=beta, candidates=candidates),
    )  # fmt: skip
    drawn_from, seen, written = [], [], batch._critic.guide

    def guide(choices_NV):
        seen.append(batch._active_rows_N.tolist())
        drawn_from.append(written(choices_NV))
        return drawn_from[-1]

    monkeypatch.setattr(batch._critic, "guide", guide)
    while batch.step():
        pass
    responses = batch.written.responses([("p", [])] * len(PROMPTS), n_samples, eos)
    checked = 0
    for step, (rows, found_NV) in enumerate(zip(seen, drawn_from, strict=True)):
        for place, row in enumerate(rows):
            ids = responses[row].token_ids
            if len(ids) <= step:  # it has ended before
                continue
            state = PROMPTS[row // n_samples] + ids[:step]
            with torch.no_grad():
                logits = policy(torch.tensor([state])).logits[0, -1].double()
            pi = (logits / 0.8).softmax(-1).numpy()
            # The whole vocabulary by the formula takes a forward pass a token: the most probable ones, and the end.
            kept = np.argsort(-pi)[: min(candidates, 12)]
            kept = np.union1d(kept, [eos]) if candidates > 12 else kept
            here = values_of(critic, state)
            worth = np.array([here if t == eos else values_of(critic, [*state, int(t)]) for t in kept])
            expected = pi[kept] * np.exp(beta * (worth - here))
            found = found_NV[place].numpy()
            assert found.sum() == pytest.approx(1.0)
            assert (found > 0).sum() == min(candidates, len(pi))
            assert found[kept] / found[kept].sum() == pytest.approx(
                expected / expected.sum(), rel=1e-3, abs=1e-6
            )
            checked += 1
    assert checked > 15 and any(len(rows) < 9 for rows in seen), "rows were dropped"
    # What is written down are the policy's own log-probs, whoever led.
    assert responses[0].logprobs[0] == pytest.approx(
        np.log(
            (policy(torch.tensor([PROMPTS[0]])).logits[0, -1].double() / 0.8).softmax(-1).detach().numpy()
        )[responses[0].token_ids[0]],
        abs=1e-4,
    )


def test_by_enumeration_the_guided_distribution_is_the_optimum_of_value_minus_kl():
    """No distribution over 3 tokens has a higher E[V] - KL(q || pi) / beta (Gibbs), on a grid of the simplex."""
    pi, values, beta = np.array([0.5, 0.3, 0.2]), np.array([-1.0, 0.5, 2.0]), 0.7
    found = guided_probabilities(
        torch.tensor([pi]), torch.tensor([values[[2, 0, 1]]]), torch.tensor([[2, 0, 1]]), beta
    )[0].numpy()
    assert found == pytest.approx(pi * np.exp(beta * values) / (pi * np.exp(beta * values)).sum(), abs=1e-12)

    def objective(q):
        return q @ values - (q * np.log(q / pi)).sum() / beta

    grid = np.linspace(0.01, 0.98, 98)
    best = max(
        (objective(np.array([a, b, 1 - a - b])), a, b) for a in grid for b in grid if 1 - a - b > 0.005
    )
    assert objective(found) >= best[0] - 1e-12
    assert found[:2] == pytest.approx(best[1:], abs=0.02)
    # Of two candidates the third token is never drawn, and without a coefficient the policy alone decides.
    two = guided_probabilities(torch.tensor([pi]), torch.tensor([[0.0, 9.0]]), torch.tensor([[0, 1]]), 0.0)
    assert two[0].tolist() == pytest.approx([0.625, 0.375, 0.0])


CRITIC = ("critic", "critic_coefficient", "critic_candidates")


def test_a_run_led_by_a_critic_says_which_and_one_without_effect_changes_nothing(
    tmp_path, policy_path, reward_model_path
):
    def sampled(name, **guidance):
        config = SampleConfig(
            policy=ModelSource(path=str(policy_path)),
            samples_per_prompt=2,
            sampling=SampleOptions(
                max_prompt_tokens=24,
                max_response_tokens=8,
                guidance=GuidanceOptions(**({"path": str(reward_model_path), "policy": "second"} | guidance)),
            ),
        )
        run = create_run(tmp_path / name, "sample", config, prompts=prompt_rows(3))
        in_process(sample, SampleConfig, run)
        rows = read_records(run.path / "responses.parquet", SAMPLED_RESPONSES)
        settings.append({tuple(row["sampling"][key] for key in CRITIC) for row in rows})
        return [row["token_ids"] for row in rows], run.result()

    settings = []
    plain, result = sampled("plain", path="", policy="")
    assert "critic_sha256s" not in result
    still, result = sampled("still", coefficient=0.0, candidates=10_000)
    assert still == plain, "the same noise draws the same tokens from the same probabilities"
    assert set(result["critic_sha256s"]) == set(model_sha256s(reward_model_path))
    led, _ = sampled("led", coefficient=30.0)
    assert led != plain
    # Each answer says so where it is stored.
    assert settings == [{(None, None, None)}, {("second", 0.0, 10_000)}, {("second", 30.0, 10)}]
    with pytest.raises(UserError, match="the folder of the critic of 'second' is not given"):
        sampled("unknown", path="")


def top_two_masses(policy, rows):
    """For each response: minus the log of what the two most probable tokens have together, summed over its tokens."""
    sums = []
    for prompt_ids, token_ids in rows:
        ids = torch.tensor([[*prompt_ids, *token_ids]])
        with torch.no_grad():
            probabilities = policy(ids).logits[0].double().softmax(-1)
        at = probabilities[len(prompt_ids) - 1 : -1].topk(2, dim=-1).values.sum(-1)
        sums.append(-at.log().sum().item())
    return sums


def test_an_evaluation_says_reward_kl_and_wins_of_what_was_led(
    tmp_path, policy_path, reward_model_path, tokenizer
):
    """Led by nothing but the choice of two candidates, the KL to the policy itself is minus the log of their mass."""

    def evaluated(name, **guidance):
        config = EvaluateConfig(
            policy=ModelSource(path=str(policy_path)), reward_model_path=str(reward_model_path),
            reference=ModelSource(path=str(policy_path)), batch=BATCH,
            guidance=GuidanceOptions(**guidance),
        )  # fmt: skip
        run = create_run(tmp_path / name, "evaluate", config, prompts=prompt_rows(4))
        result = in_process(evaluate, EvaluateConfig, run)
        return result, read_records(run.path / "responses.parquet", SAMPLED_RESPONSES)

    alone, _ = evaluated("alone")
    assert alone["kl"] == pytest.approx(0.0, abs=1e-5) and "critic_sha256s" not in alone
    assert alone["against_reference"]["tie"] == 4, "the same noise"
    led, rows = evaluated("led", path=str(reward_model_path), policy="second", coefficient=0.0, candidates=2)
    policy = load_policy(ModelSource(path=str(policy_path)), tokenizer).eval()
    read = [
        (encode_prompt(tokenizer, row["prompt"], BATCH.max_prompt_tokens), row["token_ids"]) for row in rows
    ]
    assert led["kl"] == pytest.approx(np.mean(top_two_masses(policy, read)), rel=1e-4) and led["kl"] > 1
    assert set(led["critic_sha256s"]) == set(model_sha256s(reward_model_path))
    assert led["against_reference"]["tie"] < 4 and {row["sampling"]["critic"] for row in rows} == {"second"}
    assert led["score"] != pytest.approx(alone["score"])


def test_a_policy_that_is_led_stands_beside_itself(tmp_path, policy_path, reward_model_path):
    config = ComparePoliciesConfig(
        policy=ModelSource(path=str(policy_path)), reward_model_path=str(reward_model_path), batch=BATCH,
        others=(Contestant(name="alone", source=ModelSource(path=str(policy_path))),),
        guidance=GuidanceOptions(path=str(reward_model_path), policy="second", coefficient=30.0),
    )  # fmt: skip
    run = create_run(tmp_path / "run", "compare", config, prompts=prompt_rows(4))
    result = in_process(compare, ComparePoliciesConfig, run)
    [other] = result["others"]
    assert result["policy"]["kl"] > 0.1 and other["kl"] == pytest.approx(0.0, abs=1e-5)
    assert other["difference"]["value"] == pytest.approx(result["policy"]["score"] - other["score"])
    led, alone = (
        read_records(run.path / "answers" / f"{number}.parquet", SAMPLED_RESPONSES) for number in (-1, 0)
    )
    assert [row["text"] for row in led] != [row["text"] for row in alone]
    assert [{row["sampling"]["critic"] for row in rows} for rows in (led, alone)] == [{"second"}, {None}]


def test_a_server_cannot_be_led():
    with pytest.raises(ValueError, match="sample without a server"):
        SampleOptions(server=ServerOptions(name="toy"), guidance=GuidanceOptions(policy="second"))
    with pytest.raises(ValueError, match="candidates must be at least 2"):
        GuidanceOptions(candidates=1)
