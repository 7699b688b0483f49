"""Answers that servers of language models sample: a server whose replies are known, and `transformers serve`."""

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace

import httpx
import pytest
import torch

from learning.interface.options import UserError
from learning.interface.record_files import read_records
from learning.interface.record_schemas import SAMPLED_RESPONSES
from learning.interface.training_options import ModelSource
from learning.models.files import save_model
from learning.models.loading import load_policy
from learning.models.tokenization import encode_response
from learning.models.tokenizers import load_tokenizer
from policy_training.training.config import SampleConfig, SampleOptions, SamplingOptions
from policy_training.training.rollouts.rollouts import tokenize_prompts
from policy_training.training.sampling import sample
from policy_training.training.server_config import ServerOptions
from policy_training.training.servers.requests import Malformed, ModelServer
from policy_training.training.servers.sampler import (
    AnswerFile,
    WantedAnswers,
    prompt_text,
    read_answers,
    request_for,
)
from tests.policy_training.training.conftest import create_run, in_process, prompt_rows
from tests.policy_training.training.model_servers import completion, environment_for, serving


@pytest.fixture
def toy(tokenizer):
    """A server's client, and one prompt's answers that are wanted."""
    [prompt] = tokenize_prompts(prompt_rows(1), tokenizer, 24)

    def build(n=1, **options):
        server = ModelServer(ServerOptions(name="toy", **options), environment_for("http://127.0.0.1:1/v1"))
        return server, WantedAnswers(prompt=prompt, temperature=0.7, sample_indices=tuple(range(n)), seed="0")

    return build


def test_a_request_says_what_was_asked_and_nothing_that_servers_may_not_know(toy, tokenizer):
    def body(options, n=1, **server):
        client, wanted = toy(n, **server)
        return request_for(client, tokenizer, wanted, model="m", options=options, max_response_tokens=5)

    path, plain = body(SamplingOptions(temperature=0.7))
    assert path == "completions"
    assert set(plain) == {"model", "prompt", "max_tokens", "temperature", "top_p", "seed"}
    assert plain["prompt"] == "<|bos|><|user|>What is a fox, please? 0<|assistant|>"
    path, full = body(
        SamplingOptions(temperature=0.7, top_p=0.9, top_k=3), n=2, samples_per_request=2, stop=("\n",),
        protocol="chat", returns_token_ids=True, returns_logprobs=True,
    )  # fmt: skip
    assert path == "chat/completions"
    assert full["messages"] == [{"role": "user", "content": "What is a fox, please? 0"}]
    assert (full["n"], full["stop"], full["top_p"], full["top_k"]) == (2, ["\n"], 0.9, 3)
    assert full["return_token_ids"] is True and full["logprobs"] is True and "prompt" not in full
    assert full["seed"] == plain["seed"] < 2**31
    assert body(SamplingOptions(temperature=0.7))[1] == plain


def test_tokens_and_logprobs_are_the_servers_where_it_says_them(toy, tokenizer):
    client, wanted = toy(returns_token_ids=True, returns_logprobs=True)
    ids = encode_response(tokenizer, "The fox is kind.", 99)  # with the end

    def read(**choice):
        reply = {"choices": [{"text": "The fox is kind.", "finish_reason": "stop"} | choice]}
        [answer] = read_answers(client, tokenizer, wanted, reply, 99)
        return answer

    said = [-0.5] * len(ids)
    tokens = [tokenizer.decode([one]) for one in ids]
    whole = read(token_ids=ids, logprobs={"tokens": tokens, "token_logprobs": said})
    assert (whole.token_ids, whole.logprobs, whole.has_eos) == (ids, said, True)
    chat = read(
        token_ids=ids, logprobs={"content": [{"token": t, "logprob": -0.5} for t in tokens]}, text=None,
        message={"content": "The fox is kind."},
    )  # fmt: skip
    assert chat == whole
    # Text alone: the ids it has here. Log-probs only if the tokens are the same ones.
    assert read().token_ids == ids and read().logprobs == []
    assert read(logprobs={"tokens": tokens, "token_logprobs": said}).logprobs == said
    other = [tokens[0] + tokens[1], *tokens[2:]]
    assert read(logprobs={"tokens": other, "token_logprobs": said[1:]}).logprobs == []
    cut = read(finish_reason="length")
    assert (cut.token_ids, cut.has_eos) == (ids[:-1], False)
    for wrong in (
        {"finish_reason": "content_filter"}, {"text": None}, {"token_ids": [10**6]}, {"token_ids": ["1"]},
        {"logprobs": {"tokens": ["a"], "token_logprobs": [None]}},
    ):  # fmt: skip
        with pytest.raises(Malformed):
            read(**wrong)


def test_a_prompt_is_sent_without_what_the_servers_tokenizer_adds_itself(toy, tokenizer):
    class AddsStart:
        def __call__(self, text):
            return {"input_ids": [tokenizer.bos_token_id]}

        def decode(self, ids, **kwargs):
            return tokenizer.decode(ids, **kwargs)

    _, wanted = toy()
    assert prompt_text(AddsStart(), wanted.prompt) == "<|user|>What is a fox, please? 0<|assistant|>"


def config_for(policy_path, **server):
    return SampleConfig(
        policy=ModelSource(path=str(policy_path)),
        policy_name="first",
        samples_per_prompt=2,
        sampling=SampleOptions(
            temperatures=(0.7, 1.0), max_prompt_tokens=24, max_response_tokens=12,
            server=ServerOptions(name="toy", model="{policy}-served", **server),
        ),
    )  # fmt: skip


@pytest.mark.parametrize("asked_by", [0, 1])
def test_a_killed_run_asks_only_for_what_it_has_not(tmp_path, policy_path, monkeypatch, asked_by):
    """The fifth request is refused; the run then started again asks for the others, and every answer is there once.

    So where it goes on with fewer processes, and one that is no more had asked.
    """
    is_well = False

    def reply(number, path, body):
        if not is_well and number == 4:
            return 400, {}, b'{"error": {"message": "out of credit"}}'
        return completion(f"The fox is {body['seed']}.", n=body.get("n", 1))

    # One at a time: nothing else is on its way when the fifth is refused.
    config, rows = config_for(policy_path, concurrent_requests=1), prompt_rows(4)
    with serving(reply) as server:
        for name, value in environment_for(server.address).items():
            monkeypatch.setenv(name, value)
        run = create_run(tmp_path / "run", "sample", config, prompts=rows)
        with pytest.raises(UserError, match="out of credit"):
            in_process(sample, SampleConfig, run)
        asked = [body["seed"] for _, body, _ in server.requests]
        file = run.path / "shards" / "answers-0.jsonl"
        kept = file.read_bytes()
        stored = {json.loads(line)["text"] for line in kept.splitlines()}
        assert len(asked) == 5 and len(stored) == 4
        file.write_bytes(kept + b'{"prompt_id": "p0", "tempe')  # the machine stopped in the middle of a line
        file.rename(file.with_name(f"answers-{asked_by}.jsonl"))
        is_well = True
        in_process(sample, SampleConfig, run)
        again = [body["seed"] for _, body, _ in server.requests][len(asked) :]
    answers = read_records(run.path / "responses.parquet", SAMPLED_RESPONSES)
    assert len(answers) == len({row["response_id"] for row in answers}) == 16
    assert len(again) == 16 - len(stored)
    assert not {f"The fox is {seed}." for seed in again} & stored
    assert {body["model"] for _, body, _ in server.requests} == {"first-served"}
    assert run.result()["responses"] == 16 and run.result()["eos_rate"] == 1.0


def test_a_server_that_ignores_n_is_asked_for_the_rest(tmp_path, policy_path, monkeypatch):
    with serving(lambda number, path, body: completion()) as server:
        for name, value in environment_for(server.address).items():
            monkeypatch.setenv(name, value)
        run = create_run(
            tmp_path / "run", "sample", config_for(policy_path, samples_per_request=2), prompts=prompt_rows(3)
        )
        in_process(sample, SampleConfig, run)
    assert len(read_records(run.path / "responses.parquet", SAMPLED_RESPONSES)) == 12
    assert [body.get("n", 1) for _, body, _ in server.requests].count(2) == 6
    assert len(server.requests) == 12


def test_answers_that_are_kept_already_stay(tmp_path, toy, tokenizer):
    client, wanted = toy()
    [answer] = read_answers(
        client, tokenizer, wanted, {"choices": [{"text": "One.", "finish_reason": "stop"}]}, 9
    )
    file = AnswerFile(tmp_path / "answers.jsonl")
    file.add([answer])
    file.add([replace(answer, text="Two.")])
    assert list(AnswerFile(tmp_path / "answers.jsonl").answers.values()) == [answer]


def test_answers_of_other_processes_are_there_too_and_only_its_own_file_is_written(tmp_path, toy, tokenizer):
    client, wanted = toy()
    [answer] = read_answers(
        client, tokenizer, wanted, {"choices": [{"text": "One.", "finish_reason": "stop"}]}, 9
    )
    own, other = tmp_path / "answers-0.jsonl", tmp_path / "answers-1.jsonl"
    AnswerFile(other).add([answer, replace(answer, sample_index=1)])
    written = other.read_bytes() + b'{"prompt_id": "p'  # the other process is writing
    other.write_bytes(written)
    AnswerFile(own).add([replace(answer, text="Two.")])
    file = AnswerFile(own, tmp_path.glob("answers-*.jsonl"))
    assert [one.text for one in file.answers.values()] == ["Two.", "One."]
    file.add([replace(answer, sample_index=1, text="Three."), replace(answer, sample_index=2)])
    assert [one.sample_index for one in AnswerFile(own).answers.values()] == [0, 2]
    assert other.read_bytes() == written


def test_a_run_without_a_name_of_its_policy_asks_for_the_folders(tmp_path, policy_path, monkeypatch):
    config = replace(config_for(policy_path), policy_name="")
    with serving(lambda number, path, body: completion()) as server:
        for name, value in environment_for(server.address).items():
            monkeypatch.setenv(name, value)
        run = create_run(tmp_path / "run", "sample", config, prompts=prompt_rows(1))
        in_process(sample, SampleConfig, run)
    assert {body["model"] for _, body, _ in server.requests} == {f"{policy_path.name}-served"}
    assert run.result()["server"]["models"] == [policy_path.name]


def test_a_penalty_that_no_server_knows_is_refused():
    with pytest.raises(ValueError, match="servers penalise the prompt's tokens too"):
        SampleOptions(repetition_penalty=1.1, server=ServerOptions(name="toy"))


@contextmanager
def transformers_serve(folder, log):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(folder)]
    with open(log, "wb") as output:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"],
            stdout=output, stderr=output, env={**os.environ, "HF_HUB_OFFLINE": "1"},
        )  # fmt: skip
        try:
            while True:
                assert process.poll() is None, log.read_text()[-2000:]
                try:
                    if httpx.get(f"http://127.0.0.1:{port}/health", trust_env=False).status_code == 200:
                        break
                except httpx.HTTPError:
                    time.sleep(0.2)
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.kill()
            process.wait()


@pytest.mark.slow
def test_transformers_serve_samples_for_a_run_by_either_protocol(tmp_path, policy_path, monkeypatch):
    """The real server in a process of its own. A policy that says one token whatever it read, then ends: its answers
    are known.
    """
    tokenizer = load_tokenizer(ModelSource(path=str(policy_path)))
    model = load_policy(ModelSource(path=str(policy_path)), tokenizer)
    says = encode_response(tokenizer, "fox", 9)
    with torch.no_grad():
        model.lm_head.weight = torch.nn.Parameter(torch.zeros_like(model.lm_head.weight))
        model.config.tie_word_embeddings = False
        bias = torch.full((model.config.vocab_size,), -30.0)
        bias[says[0]], bias[tokenizer.eos_token_id] = 1.0, 0.0
        # Read from the last norm, whose output is made constant: logits = weight @ 1.
        model.model.norm.weight.zero_()
        model.model.norm.weight[0] = 1.0
        model.lm_head.weight[:, 0] = bias
        model.model.embed_tokens.weight.zero_()
        model.model.embed_tokens.weight[:, 0] = 1.0
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
    folder = tmp_path / "constant"
    save_model(model, tokenizer, folder)
    with transformers_serve(folder, tmp_path / "serve.log") as address:
        for name, value in environment_for(address).items():
            monkeypatch.setenv(name, value)
        for protocol in ("completions", "chat"):
            config = config_for(folder, protocol=protocol)
            server = replace(config.sampling.server, model="")  # the folder's path, which it loads
            config = replace(config, sampling=replace(config.sampling, server=server))
            run = create_run(tmp_path / protocol, "sample", config, prompts=prompt_rows(2))
            in_process(sample, SampleConfig, run)
            rows = read_records(run.path / "responses.parquet", SAMPLED_RESPONSES)
            assert len(rows) == 8
            for row in rows:
                n = len(row["token_ids"]) - bool(row["ended"])
                assert row["text"] == "fox"[: len(tokenizer.decode([says[0]]))] * n
            assert any(row["text"] for row in rows)
