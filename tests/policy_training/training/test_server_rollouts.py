"""Rollouts that a server samples: a server of the protocol with a real model behind it."""

import json
import threading

import pytest
import torch

from learning.interface.options import UserError
from learning.interface.training_options import ModelSource, OptimizerOptions
from learning.models.files import save_model
from learning.models.loading import load_policy
from learning.models.tokenization import decode_response, encode_response
from policy_training.training.config import SamplingOptions
from policy_training.training.policy_gradient import recipe as policy_gradient
from policy_training.training.policy_gradient.config import PolicyGradientConfig, PolicyGradientOptions
from policy_training.training.ppo import recipe as ppo
from policy_training.training.ppo.config import PPOConfig, RolloutOptions
from policy_training.training.rollouts.config import ImportanceOptions, RolloutServerOptions
from policy_training.training.rollouts.rollouts import Prompt
from policy_training.training.rollouts.sampler import SamplingRequest, sample_responses
from policy_training.training.servers.own_tokens import require_logprobs, require_own_tokens
from policy_training.training.servers.sampler import ServedAnswer
from tests.policy_training.training.conftest import create_run, in_process, ppo_config, prompt_rows
from tests.policy_training.training.model_servers import environment_for, serving
from tests.policy_training.training.test_policy_gradient import gradient_config


def model_server(tokenizer, path=None):
    """What a server with this policy replies, as vLLM; without a path it loads the folder that it is asked for."""
    models, lock = {}, threading.Lock()

    def reply(number, address, body):
        with lock:  # one thread at a time loads a model, or decodes with it
            return answer(body)

    def answer(body):
        folder = path or body["model"]
        if folder not in models:
            models[folder] = load_policy(ModelSource(path=str(folder)), tokenizer).eval()
        request = SamplingRequest(
            n_samples=body.get("n", 1),
            max_response_tokens=body["max_tokens"],
            options=SamplingOptions(temperature=body["temperature"]),
            seed=str(body["seed"]),
        )
        found = sample_responses(
            models[folder], [("p", body["prompt"])], request,
            eos_id=tokenizer.eos_token_id, pad_id=tokenizer.pad_token_id,
        )  # fmt: skip
        choices = [
            {
                "text": decode_response(tokenizer, one.token_ids),
                "token_ids": one.token_ids,
                "prompt_token_ids": body["prompt"],
                "finish_reason": "stop" if one.has_eos else "length",
                "logprobs": {
                    "tokens": [tokenizer.decode([i]) for i in one.token_ids],
                    "token_logprobs": one.logprobs,
                },
            }
            for one in found
        ]
        return 200, {}, json.dumps({"choices": choices}).encode()

    return reply


RECIPES = {"ppo": (ppo, PPOConfig), "policy_gradient": (policy_gradient, PolicyGradientConfig)}


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_run_cut_off_learns_from_the_answers_that_it_had(
    tmp_path, policy_path, reward_model_path, tokenizer, monkeypatch, recipe
):
    """The server has other weights than the policy, and no answer is asked for twice: a run that breaks off in the
    middle of a step ends as the one that does not, bit for bit.
    """
    other = load_policy(ModelSource(path=str(policy_path)), tokenizer)
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    save_model(other, tokenizer, tmp_path / "served")
    rollout = RolloutOptions(
        steps=3,
        prompts_per_step=4,
        samples_per_prompt=4,
        server=RolloutServerOptions(
            name="toy", model="served", samples_per_request=2, concurrent_requests=1, attempts=1
        ),
        importance=ImportanceOptions(weights="sequence", cap=4.0),
    )
    module, options = RECIPES[recipe]
    make = ppo_config if recipe == "ppo" else gradient_config
    config = make(policy_path, reward_model_path, rollout=rollout)
    well = model_server(tokenizer, tmp_path / "served")
    breaks_at = None

    def reply(number, address, body):
        return (400, {}, b'{"message": "no more"}') if number == breaks_at else well(number, address, body)

    with serving(reply) as server:
        for name, value in environment_for(server.address).items():
            monkeypatch.setenv(name, value)
        whole = create_run(tmp_path / "whole", recipe, config, prompts=prompt_rows(12))
        in_process(module, options, whole)
        asked = [(body["prompt"], body["seed"]) for _, body, _ in server.requests]
        bodies = [body for _, body, _ in server.requests]
        breaks_at = len(asked) + 20  # in the third step, after the checkpoint of the second
        cut = create_run(tmp_path / "cut", recipe, config, prompts=prompt_rows(12))
        with pytest.raises(UserError, match="no more"):
            in_process(module, options, cut)
        (path,) = (cut.path / "rollout_answers").glob("step-000003-0.jsonl")
        with open(path, "ab") as file:
            file.write(b'{"prompt_id": "p')  # in the middle of a line
        if recipe == "ppo":  # another process had asked: answers are found by what was asked
            path.rename(path.with_name("step-000003-1.jsonl"))
        in_process(module, options, cut)
        again = [(body["prompt"], body["seed"]) for _, body, _ in server.requests][len(asked) :]
    assert len({*map(str, asked)}) == len(asked) and {*map(str, again)} == {*map(str, asked)}
    assert len(again) == len(asked) + 1, "only what was refused was asked for once more"
    assert {(b["model"], b["temperature"], b["top_p"], b["top_k"], b["min_p"]) for b in bodies} == {
        ("served", 1.0, 1.0, -1, 0.0)
    }
    ours = whole.metrics()[0]
    assert [without_seconds(row) for row in ours] == [without_seconds(row) for row in cut.metrics()[0]]
    for row in ours:
        assert row["sampler_kl"] > 0.001 and row["sampler_log_ratio"] < 0
        assert 0 < row["importance_effective"] < 1
    weights = [(run.path / "model" / "model.safetensors").read_bytes() for run in (whole, cut)]
    assert weights[0] == weights[1]


def without_seconds(row):
    return {name: value for name, value in row.items() if not name.startswith(("seconds", "time"))}


def test_a_server_that_gets_the_weights_of_each_step_samples_the_policy_itself(
    tmp_path, policy_path, reward_model_path, tokenizer, monkeypatch
):
    """It loads the folder that it is asked for. Its probabilities are then the trainer's, although the policy moves."""
    rollout = RolloutOptions(
        steps=3, prompts_per_step=4, samples_per_prompt=2,
        server=RolloutServerOptions(name="toy", weights="each_step", samples_per_request=2),
    )  # fmt: skip
    config = gradient_config(
        policy_path, reward_model_path, rollout=rollout,
        algorithm=PolicyGradientOptions(advantage="leave_one_out", responses_per_minibatch=8),
        policy_optimizer=OptimizerOptions(learning_rate=3e-2, schedule="constant"),
    )  # fmt: skip
    with serving(model_server(tokenizer)) as server:
        for name, value in environment_for(server.address).items():
            monkeypatch.setenv(name, value)
        run = create_run(tmp_path / "run", "policy_gradient", config, prompts=prompt_rows(12))
        in_process(policy_gradient, PolicyGradientConfig, run)
    models = list(dict.fromkeys(body["model"] for _, body, _ in server.requests))
    assert models == [str((run.path / "served_policy" / f"step-{n:06d}").resolve()) for n in (1, 2, 3)]
    assert not list((run.path / "served_policy").iterdir()), "what was sampled with is not kept"
    rows = run.metrics()[0]
    assert all(row["sampler_kl"] < 1e-6 and row["sampler_log_ratio_max"] < 1e-3 for row in rows)
    assert max(abs(row["kl"]) for row in rows) > 0.1, "the policy has moved"
    assert "importance_weight" not in rows[0]


def test_answers_that_are_not_the_policys_own_tokens_are_refused(tokenizer):
    ids = encode_response(tokenizer, "The fox is kind.", 99)
    prompt = Prompt(prompt_id="p0", messages=[{"role": "user", "content": "x"}], token_ids=[1, 2])
    right = {"token_ids": ids, "prompt_token_ids": [1, 2], "text": "The fox is kind."}

    def check(logprobs=None, has_eos=True, **choice):
        answer = ServedAnswer(
            prompt_id="p0", temperature=1.0, sample_index=0, text="", token_ids=ids, has_eos=has_eos,
            logprobs=[-1.0] * len(ids) if logprobs is None else logprobs,
        )  # fmt: skip
        require_own_tokens("toy", tokenizer, prompt, answer, {**right, **choice})
        require_logprobs("toy", answer)

    check()
    check(text=" The fox is kind.\N{REPLACEMENT CHARACTER}")
    for wrong, said in (
        ({"token_ids": None}, "does not say the tokens of its answer"),
        ({"prompt_token_ids": [1, 2, 3]}, "reads the prompt as 3 other tokens than the policy's 2"),
        ({"token_ids": ids[:-1]}, "ends without the policy's end token"),
        ({"logprobs": []}, "does not say the log-probability of each token"),
        ({"text": "Ein Fuchs."}, "its tokenizer is not the policy's"),
    ):
        with pytest.raises(UserError, match=f"toy, prompt p0: .*{said}"):
            check(**wrong)


def test_a_server_without_log_probs_ends_the_run_with_a_sentence(
    tmp_path, policy_path, reward_model_path, tokenizer, monkeypatch
):
    well = model_server(tokenizer, policy_path)

    def reply(number, address, body):
        status, headers, content = well(number, address, body)
        found = json.loads(content)
        for choice in found["choices"]:
            choice["logprobs"] = None
        return status, headers, json.dumps(found).encode()

    rollout = RolloutOptions(
        steps=1, prompts_per_step=2, samples_per_prompt=2,
        server=RolloutServerOptions(name="toy"), importance=ImportanceOptions(weights="token"),
    )  # fmt: skip
    config = gradient_config(policy_path, reward_model_path, rollout=rollout)
    with serving(reply) as server:
        for name, value in environment_for(server.address).items():
            monkeypatch.setenv(name, value)
        run = create_run(tmp_path / "run", "policy_gradient", config, prompts=prompt_rows(6))
        with pytest.raises(UserError, match="does not say the log-probability of each token"):
            in_process(policy_gradient, PolicyGradientConfig, run)
