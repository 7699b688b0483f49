"""Candidates of best-of-n that a server samples: of the policies that answer, or of a model that is none of them."""

import json
from collections import Counter
from dataclasses import replace

import pytest

from learning.interface.options import UserError
from learning.interface.record_files import read_records
from learning.interface.record_schemas import CANDIDATE_ORIGINS, DEMONSTRATIONS, SAMPLED_RESPONSES
from learning.interface.training_options import EvaluationOptions, ModelSource
from policy_training.training.best_of_n import recipe as best_of_n
from policy_training.training.best_of_n.config import BestOfNConfig, CandidateOptions
from policy_training.training.config import LanguageModelDataOptions, ServedSamplingOptions
from policy_training.training.server_config import ServerOptions
from tests.policy_training.training.conftest import create_run, in_process, prompt_rows
from tests.policy_training.training.model_servers import environment_for, serving
from tests.policy_training.training.test_best_of_n import config_of
from tests.policy_training.training.test_server_rollouts import model_server

SHORT = {
    "data": LanguageModelDataOptions(examples_per_step=8, steps=2),
    "evaluation": EvaluationOptions(max_examples=2, logged_samples=1),
}
CHAT = {"name": "toy", "model": "gpt-x", "protocol": "chat"}


def served(**server):
    return ServedSamplingOptions(server=ServerOptions(**({"name": "toy", "attempts": 1} | server)))


def counted(reply):
    """With the tokens that a server says it has read and written."""

    def answer(number, path, body):
        status, headers, content = reply(number, path, body)
        found = json.loads(content)
        written = sum(len(choice["token_ids"]) for choice in found["choices"])
        usage = {"prompt_tokens": len(body["prompt"]), "completion_tokens": written}
        return status, headers, json.dumps(found | {"usage": usage}).encode()

    return answer


def test_the_servers_answers_are_the_candidates_and_none_is_asked_for_twice(
    tmp_path, policy_path, reward_model_path, tokenizer, monkeypatch
):
    said, well, breaks_at = [], counted(model_server(tokenizer, policy_path)), 5

    def reply(number, path, body):
        if number == breaks_at:
            return 400, {}, b'{"message": "no more credit"}'
        found = well(number, path, body)
        said.append((body["seed"], [tuple(one["token_ids"]) for one in json.loads(found[2])["choices"]]))
        return found

    options = served(
        model="{policy}-served", returns_token_ids=True, samples_per_request=2, concurrent_requests=1
    )
    config = config_of(
        policy_path,
        reward_model_path,
        candidates=CandidateOptions(samples_per_prompt=4, temperatures=(0.5, 1.0), only_ended=False),
        sampling=options,
        sampler_names=("today",),
        **SHORT,
    )
    rows = prompt_rows(6)
    with serving(reply) as server:
        for name, value in environment_for(server.address).items():
            monkeypatch.setenv(name, value)
        run = create_run(tmp_path / "run", "best_of_n", config, prompts=rows)
        with pytest.raises(UserError, match="no more credit"):
            in_process(best_of_n, BestOfNConfig, run)
        (kept,) = (run.path / "candidates").glob("answers-0-*.jsonl")
        assert len(kept.read_bytes().splitlines()) == 2 * breaks_at
        with open(kept, "ab") as file:
            file.write(b'{"prompt_id": "p')  # killed in the middle of a line
        kept.rename(kept.with_name("answers-0-3.jsonl"))  # of a process that the further start has not
        result = in_process(best_of_n, BestOfNConfig, run)
        requests = [body for _, body, _ in server.requests]
    # Prompts x temperatures x samples, two to a request; what was refused was asked for once more, nothing else.
    answered = 4  # two to learn on, and two of those held out: evaluation.max_examples
    assert len(said) == len({seed for seed, _ in said}) == answered * 2 * 4 // 2
    assert len(requests) == len(said) + 1
    assert {(b["model"], b["top_k"], b["min_p"]) for b in requests} == {("today-served", -1, 0.0)}
    sampled = [
        row
        for file in (run.path / "candidates").glob("*.responses.parquet")
        for row in read_records(file, SAMPLED_RESPONSES)
    ]
    assert Counter(tuple(row["token_ids"]) for row in sampled) == Counter(
        ids for _, several in said for ids in several
    )
    assert result["server"] == {
        "name": "toy",
        "models": ["today"],
        "answers": len(sampled),
        "prompt_tokens": sum(len(body["prompt"]) for body in requests if body["seed"] in dict(said))
        - len(requests[breaks_at]["prompt"]),
        "reply_tokens": sum(len(ids) for _, several in said for ids in several),
    }
    assert result["candidates"] == 8 * sum(row["split"] == "train" for row in rows)


def test_an_outside_models_answers_compete_under_its_name(
    tmp_path, policy_path, reward_model_path, tokenizer, monkeypatch
):
    """It has another template and other tokens: the messages are sent, and what is longer than the policy may write is
    cut off, which is not learned.
    """
    texts = {False: "The fox is kind.", True: "The fox is kind. " * 9}

    def reply(number, path, body):
        assert path == "/v1/chat/completions" and body["model"] == "gpt-x"
        [message] = body["messages"]
        text = texts[message["content"].endswith(" 1")]
        choice = {"message": {"content": text}, "finish_reason": "stop"}
        return 200, {}, json.dumps({"choices": [choice]}).encode()

    rows = [row | {"split": "train"} for row in prompt_rows(4)]
    with serving(reply) as server:
        for name, value in environment_for(server.address).items():
            monkeypatch.setenv(name, value)
        for mode, policies in (("outside", 0), ("outside_and_policies", 1)):
            config = config_of(
                policy_path,
                reward_model_path,
                candidates=CandidateOptions(samples_per_prompt=2, server_answers=mode),
                sampling=served(**CHAT),
                **SHORT,
            )
            run = create_run(tmp_path / mode, "best_of_n", config, prompts=rows)
            result = in_process(best_of_n, BestOfNConfig, run)
            origins = read_records(run.path / "origins.parquet", CANDIDATE_ORIGINS)
            name = policy_path.name
            assert Counter((row["source"], row["policy"]) for row in origins) == Counter(
                {("import", "gpt-x"): 2 * len(rows)} | ({("policy", name): 2 * len(rows)} if policies else {})
            )
            outside = [row for row in origins if row["policy"] == "gpt-x"]
            assert {row["prompt_id"] for row in outside if not row["ended"]} == {"p1"}
            chosen = read_records(run.path / "chosen.parquet", DEMONSTRATIONS)
            if not policies:
                assert {row["response"] for row in chosen} == {texts[False]}
                assert "p1" not in {row["prompt_id"] for row in chosen}
            assert result["kl_bound"] is None and result["server"]["models"] == ["gpt-x"]
            assert len(result["sampler_sha256s"]) == len(result["kept_by_sampler"]) == policies
            assert result["server"]["answers"] == 2 * len(rows)


@pytest.mark.parametrize(
    ("changes", "server", "said"),
    [
        ({}, {"name": ""}, "name the server .name. and what it calls the outside model"),
        ({}, {"model": ""}, "name the server .name. and what it calls the outside model"),
        ({}, {"model": "{policy}"}, "an outside model is no policy"),
        ({}, {"protocol": "completions"}, "an outside model has its own: use 'chat'"),
        ({}, {"returns_token_ids": True}, "an outside model has other tokens"),
        (
            {"samplers": (ModelSource(path="z"),)},
            {},
            "the outside model answers alone, and policies are named",
        ),
    ],
)
def test_what_an_outside_model_cannot_be_asked_is_refused(changes, server, said):
    asked = CHAT | {"model": "" if server.get("name") == "" else CHAT["model"]} | server
    config = config_of("x", "y")
    with pytest.raises(ValueError, match=said):
        replace(
            config,
            candidates=replace(config.candidates, server_answers="outside"),
            sampling=served(**asked),
            **changes,
        )
    with pytest.raises(ValueError, match="servers penalise the prompt's tokens too"):
        replace(served(), repetition_penalty=1.1)


@pytest.mark.parametrize("mode", ["policies", "outside"])
def test_an_answer_that_was_cut_off_before_its_first_word_is_refused(
    tmp_path, policy_path, reward_model_path, monkeypatch, mode
):
    """As of a model that spends all its tokens on reasoning that is not shown: no end token is made up for it."""

    def reply(number, path, body):
        choice = {"message": {"content": None}, "text": "", "finish_reason": "length"}
        return 200, {}, json.dumps({"choices": [choice]}).encode()

    config = config_of(
        policy_path,
        reward_model_path,
        candidates=CandidateOptions(samples_per_prompt=2, server_answers=mode),
        sampling=served(**(CHAT if mode == "outside" else {"model": "{policy}"})),
        **SHORT,
    )
    rows = [row | {"split": "train"} for row in prompt_rows(2)]
    run = create_run(tmp_path / "run", "best_of_n", config, prompts=rows)
    with serving(reply) as server:
        for name, value in environment_for(server.address).items():
            monkeypatch.setenv(name, value)
        with pytest.raises(UserError, match="an answer without text that had not ended; give it more tokens"):
            in_process(best_of_n, BestOfNConfig, run)


def test_tokens_that_nothing_checks_are_not_learned():
    config = config_of("x", "y")
    with pytest.raises(ValueError, match="returns_token_ids is true and .* tokens are not checked"):
        replace(config, sampling=served(protocol="chat", model="{policy}", returns_token_ids=True))
