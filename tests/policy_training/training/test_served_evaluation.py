"""A policy measured on answers that a server samples, beside others and beside a model that is no policy."""

import json
from collections import Counter
from dataclasses import replace

import pytest
import torch

from learning.interface.options import UserError, load_options, options_to_dict
from learning.interface.record_files import read_records
from learning.interface.record_schemas import SAMPLED_RESPONSES, SCORES
from learning.interface.training_options import ModelSource
from learning.models.files import save_model
from learning.models.loading import load_policy
from learning.models.tokenization import encode_prompt, encode_response
from policy_training.training.config import EvaluateConfig, GuidanceOptions, ServedSamplingOptions
from policy_training.training.evaluation import compare, evaluate
from policy_training.training.evaluation.config import ComparePoliciesConfig, Contestant
from policy_training.training.judge_config import CHAT
from policy_training.training.server_config import ServerOptions
from rewardmodel.training.scoring import RewardScorer
from tests.policy_training.training.conftest import BATCH, FRESH, create_run, in_process, prompt_rows
from tests.policy_training.training.model_servers import completion, environment_for, serving
from tests.policy_training.training.test_server_rollouts import model_server


@pytest.fixture
def other_path(tmp_path, tokenizer):
    torch.manual_seed(7)
    save_model(load_policy(ModelSource(from_scratch=FRESH), tokenizer), tokenizer, tmp_path / "other")
    return tmp_path / "other"


@pytest.fixture
def allowed(monkeypatch):
    def allow(server):
        for name, value in environment_for(server.address).items():
            monkeypatch.setenv(name, value)

    return allow


def served(**server):
    asked = {"name": "toy", "attempts": 1, "concurrent_requests": 1} | server
    return ServedSamplingOptions(server=ServerOptions(**asked))


def evaluation_of(policy, reward_model, sampling, **further):
    return EvaluateConfig(
        policy=ModelSource(path=str(policy)), policy_name="today", reward_model_path=str(reward_model),
        samples_per_prompt=2, sampling=sampling, batch=BATCH, **further,
    )  # fmt: skip


def logprobs_of(path, tokenizer, messages, response):
    """The log-probability of each token of a response in float64, from the model's logits alone."""
    model = load_policy(ModelSource(path=str(path)), tokenizer).double().eval()
    prompt = encode_prompt(tokenizer, messages, 24)
    with torch.no_grad():
        logits = model(torch.tensor([[*prompt, *response]])).logits[0, len(prompt) - 1 : -1]
    return logits.log_softmax(-1)[range(len(response)), response]


def test_kl_and_perplexity_are_the_models_own_and_no_answer_is_asked_for_twice(
    tmp_path, policy_path, other_path, reward_model_path, tokenizer, allowed
):
    well, breaks_at = model_server(tokenizer, policy_path), 5

    def reply(number, path, body):
        return (400, {}, b'{"message": "no more"}') if number == breaks_at else well(number, path, body)

    rows = prompt_rows(4)
    sampling = served(model="{policy}-served", returns_token_ids=True, returns_logprobs=True)
    config = evaluation_of(
        policy_path, reward_model_path, sampling, reference=ModelSource(path=str(other_path))
    )
    with serving(reply) as server:
        allowed(server)
        run = create_run(tmp_path / "run", "evaluate", config, prompts=rows)
        with pytest.raises(UserError, match="no more"):
            in_process(evaluate, EvaluateConfig, run)
        kept = run.path / "answers/served-0.jsonl"
        with open(kept, "ab") as file:
            file.write(b'{"prompt_id": "p')  # killed in the middle of a line
        kept.rename(kept.with_name("served-3.jsonl"))  # of a process that the further start has not
        result = in_process(evaluate, EvaluateConfig, run)
        requests = [body for _, body, _ in server.requests]
    asked = Counter((str(body["prompt"]), body["seed"]) for body in requests)
    assert len(asked) == 8 and sorted(asked.values()) == [1] * 7 + [2], "only what was refused came again"
    assert {(body["model"], body["temperature"]) for body in requests} == {("today-served", 1.0)}
    messages = {row["prompt_id"]: row["messages"] for row in rows}
    answers = read_records(run.path / "responses.parquet", SAMPLED_RESPONSES)
    own, theirs = (
        [logprobs_of(path, tokenizer, messages[row["prompt_id"]], row["token_ids"]) for row in answers]
        for path in (policy_path, other_path)
    )
    kl = sum(float((p - q).sum()) for p, q in zip(own, theirs, strict=True)) / len(answers)
    assert result["kl"] == pytest.approx(kl, rel=1e-4)
    assert result["perplexity"] == pytest.approx(float(torch.cat(own).mean().neg().exp()), rel=1e-4)
    # The server has the very policy, and says so by its log-probabilities.
    assert abs(result["sampler"]["sampler_kl"]) < 1e-6 and result["sampler"]["sampler_log_ratio_max"] < 1e-3
    assert (result["server"]["name"], result["server"]["models"]) == ("toy", ["today"])
    assert result["server"]["answers"] == result["responses"] == 8


def test_a_server_that_says_texts_alone_has_them_tokenized_here_and_another_model_is_told_apart(
    tmp_path, policy_path, reward_model_path, tokenizer, allowed
):
    """It says that each token was drawn with probability exp(-0.5), which the policy does not."""
    text = "The fox is kind."
    ids = encode_response(tokenizer, text, 16)
    said = {"tokens": [tokenizer.decode([one]) for one in ids], "token_logprobs": [-0.5] * len(ids)}
    rows = prompt_rows(2)
    config = evaluation_of(policy_path, reward_model_path, served(returns_logprobs=True))
    with serving(lambda number, path, body: completion(text, logprobs=said)) as server:
        allowed(server)
        run = create_run(tmp_path / "run", "evaluate", config, prompts=rows)
        result = in_process(evaluate, EvaluateConfig, run)
        assert {body["model"] for _, body, _ in server.requests} == {str(policy_path)}
    answers = read_records(run.path / "responses.parquet", SAMPLED_RESPONSES)
    assert {tuple(row["token_ids"]) for row in answers} == {tuple(ids)}
    own = [logprobs_of(policy_path, tokenizer, row["messages"], ids) for row in rows]
    assert answers[0]["logprobs"] == pytest.approx(own[0].tolist(), abs=1e-4)
    assert result["sampler"]["sampler_log_ratio"] == pytest.approx(
        float(torch.cat(own).mean()) + 0.5, rel=1e-4
    )
    [note] = [note for note in run.status().notes if "toy" in note]
    assert f"{result['sampler']['sampler_kl']:.3f} nats a token (KL) from today" in note
    scorer = RewardScorer.load(str(reward_model_path), batch=BATCH, dtype="fp32")
    expected = scorer.score([row["messages"] for row in rows], [[text]] * 2)
    scores = {row["prompt_id"]: row["reward"] for row in read_records(run.path / "scores.parquet", SCORES)}
    assert [scores["p0"], scores["p1"]] == pytest.approx([one for [one] in expected], abs=1e-4)


def test_policies_and_an_outside_model_are_compared_by_their_servers(
    tmp_path, policy_path, other_path, reward_model_path, tokenizer, allowed
):
    well, folders = model_server(tokenizer), {"today-m": policy_path, "early-m": other_path}
    breaks_at = 8  # of the outside model, when both policies have answered and it has once

    def reply(number, path, body):
        if number == breaks_at:
            return 400, {}, b'{"message": "no more"}'
        if body["model"] == "gpt-x":
            assert path.endswith("/chat/completions")
            words = f"{body['messages'][-1]['content']} A fox. " * 4
            choice = {"message": {"content": words}, "finish_reason": "stop"}
            return 200, {}, json.dumps({"choices": [choice]}).encode()
        return well(number, path, body | {"model": str(folders[body["model"]])})

    rows = prompt_rows(3)
    config = ComparePoliciesConfig(
        policy=ModelSource(path=str(policy_path)), policy_name="today", reward_model_path=str(reward_model_path),
        others=(
            Contestant(name="early", source=ModelSource(path=str(other_path))),
            Contestant(name="gpt-x", outside_model="gpt-x"),
        ),
        sampling=served(model="{policy}-m", returns_token_ids=True),
        outside=replace(CHAT, name="toy", attempts=1, concurrent_requests=1), batch=BATCH,
    )  # fmt: skip
    with serving(reply) as server:
        allowed(server)
        run = create_run(tmp_path / "run", "compare", config, prompts=rows)
        with pytest.raises(UserError, match="no more"):
            in_process(compare, ComparePoliciesConfig, run)
        found = in_process(compare, ComparePoliciesConfig, run)
        assert Counter(body["model"] for _, body, _ in server.requests) == {
            "today-m": 3, "early-m": 3, "gpt-x": 4,
        }  # fmt: skip
    early, outside = found["others"]
    # Whole, however the policy's tokenizer would cut them.
    texts = [f"{row['messages'][-1]['content']} A fox. " * 4 for row in rows]
    scorer = RewardScorer.load(str(reward_model_path), batch=BATCH, dtype="fp32")
    expected = scorer.score([row["messages"] for row in rows], [[text] for text in texts])
    assert outside["score"] == pytest.approx(sum(one for [one] in expected) / 3, abs=1e-4)
    assert (outside["prompts"], outside.get("kl")) == (3, None) and run.samples()[0]["others"][
        "gpt-x"
    ] == texts[0]
    messages = {row["prompt_id"]: row["messages"] for row in rows}
    kl = 0.0
    for row in read_records(run.path / "answers/0.parquet", SAMPLED_RESPONSES):
        own, theirs = (
            logprobs_of(path, tokenizer, messages[row["prompt_id"]], row["token_ids"])
            for path in (other_path, policy_path)
        )
        kl += float((own - theirs).sum()) / 3
    assert early["kl"] == pytest.approx(kl, rel=1e-4)
    assert found["server"]["models"] == ["today", "early"] and found["server"]["answers"] == 6
    assert found["outside_server"]["models"] == ["gpt-x"] and found["outside_server"]["answers"] == 3


def test_what_a_server_cannot_do_for_a_measured_policy_is_refused(policy_path):
    chat, plain = served(protocol="chat"), served()
    led = GuidanceOptions(policy="today", path="critic")
    for make in (
        lambda sampling, **further: evaluation_of("x", "y", sampling, **further),
        lambda sampling, **further: ComparePoliciesConfig(
            policy=ModelSource(path="x"), reward_model_path="y", others=(Contestant(name="a"),),
            sampling=sampling, **further,
        ),
    ):  # fmt: skip
        config = make(plain)
        # Runs of the time before there were servers load, and are not held to be other ones.
        old = options_to_dict(replace(config, sampling=ServedSamplingOptions()))
        del old["sampling"]["server"], old["policy_name"]
        old.pop("outside", None)
        assert load_options(type(config), old).sampling.server == ServerOptions()
        with pytest.raises(ValueError, match="measured on prompts in its own template: use 'completions'"):
            make(chat)
        with pytest.raises(ValueError, match="stop must be empty"):
            make(served(stop=("\n",)))
        with pytest.raises(ValueError, match="sample without a server"):
            make(plain, guidance=led)
    with pytest.raises(ValueError, match="no server has the checkpoints of a training"):
        replace(config, others=(Contestant(name="step 3", checkpoint_path="c"),))
    with pytest.raises(ValueError, match="model is 'm', and 2 policies answer: write {policy} in it"):
        others = (Contestant(name="b", source=ModelSource(path="b")),)
        replace(config, others=others, sampling=served(model="m"))
    with pytest.raises(ValueError, match="outside.name is empty; name the server that has gpt-x"):
        replace(config, others=(Contestant(name="gpt-x", outside_model="gpt-x"),))
    with pytest.raises(ValueError, match="name one of them"):
        Contestant(name="a", checkpoint_path="c", outside_model="gpt-x")
