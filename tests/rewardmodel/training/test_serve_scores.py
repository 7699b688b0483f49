"""A served reward model: the rewards are those of the command `score`, whoever asks with whom; nobody asks without the
secret; what cannot be read is refused alone.
"""

import http.client
import json
import threading
import time

import pytest

from learning.interface.options import UserError, options_to_dict
from learning.interface.record_files import read_records
from learning.interface.record_schemas import RESPONSES, SCORES
from learning.interface.run_directory import RunDirectory
from learning.interface.training_options import BatchOptions, ModelSource
from learning.models.files import save_model
from learning.models.loading import load_reward_model
from learning.models.tokenization import CHAT_TEMPLATE
from learning.run_context import RunContext
from rewardmodel.training import score
from rewardmodel.training.config import ScoreConfig, ServeConfig
from rewardmodel.training.score_queue import (
    Busy,
    Conversations,
    RenderedTexts,
    ScoreQueue,
    ScoreRequest,
    answer_requests,
    read_texts,
    warm_up,
)
from rewardmodel.training.scoring import RewardScorer
from rewardmodel.training.serve_scores import Server, Service, answer_until_stopped
from tests.rewardmodel.training.conftest import comparison_rows

LIMITS = BatchOptions(max_prompt_tokens=48, max_response_tokens=24)
SECRET = "only-for-those-who-may"


@pytest.fixture(scope="module")
def model_path(policy_path, tokenizer, tmp_path_factory):
    model = load_reward_model(ModelSource(path=str(policy_path)), tokenizer)
    model.config.reward_shift = -0.2
    path = tmp_path_factory.mktemp("served") / "model"
    save_model(model, tokenizer, path)
    return path


@pytest.fixture(scope="module")
def scorer(model_path):
    scorer = RewardScorer.load(model_path, batch=LIMITS)
    warm_up(scorer)
    return scorer


def request_of(texts):
    return ScoreRequest(texts, time.monotonic() + 60)


def conversations():
    """(messages, responses, ended) of prompts short and long, one of them twice; one response was cut off."""
    found = [(row["prompt"], row["responses"], [None] * 2) for row in comparison_rows(5, seed=3)]
    found[1] = (found[1][0], found[1][1], [False, None])
    long = [{"role": "user", "content": "Give me the red ball. " * 30}]
    return [*found, (long, ["Here. " * 40, "Here."], [None, None]), (found[0][0], found[0][1][:1], [None])]


def command_scores(model_path, path, prompts):
    """What the command writes for the same rows."""
    rows = [
        {
            "response_id": f"{number}-{index}",
            "prompt_id": f"{number}",
            "prompt": messages,
            "text": text,
            "source": "policy",
            "policy": None,
            "sampling": None,
            "ended": ended[index],
            "created_at": "2026-01-01T00:00:00Z",
        }
        for number, (messages, responses, ended) in enumerate(prompts)
        for index, text in enumerate(responses)
    ]
    config = ScoreConfig(model_path=str(model_path), batch=LIMITS)
    RunDirectory.create(
        path,
        command="rewardmodel.training.score",
        config=options_to_dict(config),
        inputs={"responses": (rows, RESPONSES)},
    )
    score.main(RunContext.open(RunDirectory(path), ScoreConfig))
    return [row["reward"] for row in read_records(path / "scores.parquet", SCORES)]


def test_requests_scored_together_or_alone_get_the_rewards_of_the_command(scorer, model_path, tmp_path):
    prompts = conversations()
    expected = command_scores(model_path, tmp_path / "run", prompts)
    together = [request_of(Conversations([prompt])) for prompt in prompts]
    assert answer_requests(scorer, together) == len(expected)
    assert [reward for one in together for reward in one.answer["rewards"]] == pytest.approx(
        expected, abs=1e-6
    )
    whole = request_of(Conversations(prompts))
    answer_requests(scorer, [whole])
    assert whole.answer["rewards"] == pytest.approx(expected, abs=1e-6)
    alone = []
    for prompt in prompts:
        request = request_of(Conversations([prompt]))
        answer_requests(scorer, [request])
        alone += request.answer["rewards"]
    assert alone == pytest.approx(expected, abs=1e-6)
    # The prompt of 30 sentences has more than 48 tokens, and 40 words and their end more than 24; nothing else has.
    assert whole.answer["truncated_prompts"] == [False] * 5 + [True, False]
    assert whole.answer["truncated"] == [False] * 10 + [True, False, False]


def test_texts_in_the_template_get_the_rewards_of_their_conversations(scorer):
    """The template of these models: one token opens a turn, the end token closes an answer."""
    assert scorer.tokenizer.chat_template == CHAT_TEMPLATE
    said = ["Here is the ball.", "Here is <|eos|> the ball.", "Here is the"]
    prompt = "<|bos|><|user|>Give me the ball.<|assistant|>"
    rendered = request_of(
        RenderedTexts(
            [prompt] * 3, [f"{prompt}{said[0]}<|eos|>", f"{prompt}{said[1]}<|eos|>", prompt + said[2]]
        )
    )
    messages = [{"role": "user", "content": "Give me the ball."}]
    plain = request_of(Conversations([(messages, said, [None, None, False])]))
    answer_requests(scorer, [rendered])
    answer_requests(scorer, [plain])
    assert rendered.answer["rewards"] == pytest.approx(plain.answer["rewards"], abs=1e-6)
    assert len({round(reward, 4) for reward in plain.answer["rewards"]}) == 3


@pytest.mark.parametrize(
    ("prompt", "query", "sentence"),
    [
        (
            "<|bos|><|user|>Hi<|assistant|>",
            "<|bos|><|user|>Ho<|assistant|>Yes.",
            "does not begin with its prompt",
        ),
        (
            "[INST] Hi [/INST]",
            "[INST] Hi [/INST] Yes.",
            "chat template, which ends a prompt with '<|assistant|>'",
        ),
    ],
)
def test_texts_in_another_template_are_refused(scorer, prompt, query, sentence):
    request = request_of(RenderedTexts([prompt], [query]))
    answer_requests(scorer, [request])
    assert request.answer is None and sentence in request.refusal


def test_who_cannot_be_read_or_breaks_the_pass_is_answered_alone(scorer, monkeypatch):
    good, late = conversations()[0], ScoreRequest(Conversations([conversations()[1]]), time.monotonic() - 1)
    refused = request_of(RenderedTexts(["x"], ["y"]))
    requests = [request_of(Conversations([good])), refused, late]
    answer_requests(scorer, requests)
    assert len(requests[0].answer["rewards"]) == 2
    assert refused.answer is None and refused.refusal and late.answer is None and late.failure

    real = scorer.score_examples

    def breaks(examples):
        if any(13 in ids for example in examples for ids in example.response_ids):
            raise RuntimeError("a kernel failed")
        return real(examples)

    monkeypatch.setattr(scorer, "score_examples", breaks)
    poison = request_of(Conversations([(good[0], ["*"], [None])]))
    thirteen = scorer.tokenizer.convert_ids_to_tokens(13)
    poison = request_of(Conversations([(good[0], [thirteen], [None])]))
    both = [request_of(Conversations([(good[0], ["Ah"], [None])])), poison]
    answer_requests(scorer, both)
    assert both[0].answer is not None and poison.answer is None and "RuntimeError" in poison.failure


def test_a_queue_is_bounded_and_hands_out_what_is_scored_together():
    queue = ScoreQueue(max_waiting=3)
    texts = [RenderedTexts(["p"] * n, ["p"] * n) for n in (200, 56, 1)]
    for each in texts:
        queue.put(request_of(each))
    with pytest.raises(Busy):
        queue.put(request_of(texts[0]))
    # 256 responses together at most, in the order they came.
    assert [len(request.texts) for request in queue.take(0)] == [200, 56]
    queue.close()
    with pytest.raises(Busy):
        queue.put(request_of(texts[2]))
    assert [len(request.texts) for request in queue.take(0)] == [1] and queue.take(0) == []


def test_bodies_that_are_none_are_refused():
    for body in (
        {},
        {"conversations": []},
        {"queries": ["a"], "prompts": []},
        {"queries": [1], "prompts": [1]},
    ):
        with pytest.raises(UserError):
            read_texts(body)


@pytest.fixture
def served(scorer):
    """A service in this process, with its connections and its scoring thread."""
    service = Service(ServeConfig(model_path="", orphaned_after_seconds=300.0), SECRET)
    server = Server(("127.0.0.1", 0), service)
    threads = [
        threading.Thread(target=server.serve_forever),
        threading.Thread(target=answer_until_stopped, args=(service, scorer)),
    ]
    for thread in threads:
        thread.start()
    yield service, server.server_address[1]
    service.stopping = True
    threads[1].join()
    server.shutdown()
    server.server_close()


def ask(port, method="POST", path="/score", body=b"{}", secret=SECRET, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, body, {"Authorization": f"Bearer {secret}"} | headers)
    answer = connection.getresponse()
    found = json.loads(answer.read())
    connection.close()
    return answer.status, found


def test_the_service_answers_who_has_the_secret_and_nobody_else(served, scorer):
    service, port = served
    messages, responses, ended = conversations()[0]
    texts = {"conversations": [{"messages": messages, "responses": responses, "ended": ended}], "seconds": 60}
    raw = json.dumps(texts).encode()
    assert ask(port, body=raw, secret="guessed")[0] == 401
    assert ask(port, "GET", "/status", None, secret="guessed")[0] == 401
    assert ask(port, path="/other", body=raw)[0] == 404
    assert ask(port, body=b"no json")[0] == 400
    assert ask(port, body=b"[1]")[0] == 400
    assert ask(port, body=b"{}")[0] == 400
    assert ask(port, body=raw, **{"Content-Length": "999999999"})[0] == 413
    assert service.n_requests == 0
    status, found = ask(port, body=raw)
    assert status == 200 and found["rewards"] == pytest.approx(
        scorer.score([messages], [responses])[0], abs=1e-6
    )
    rendered = {"queries": ["x"], "prompts": ["y"], "seconds": 60}
    status, found = ask(port, body=json.dumps(rendered).encode())
    assert status == 422 and "does not begin with its prompt" in found["message"]
    status, found = ask(port, "GET", "/status", None)
    assert (status, found["requests"], found["rewards"], found["waiting"]) == (200, 2, 2, 0)


def test_nobody_watching_ends_it(scorer):
    service = Service(ServeConfig(model_path="", orphaned_after_seconds=0.0), SECRET)
    request = request_of(Conversations([conversations()[0]]))
    service.queue.put(request)
    answer_until_stopped(service, scorer)  # returns by itself, and what waited has its answer
    assert len(request.answer["rewards"]) == 2
