"""What a served policy writes is what the sampler draws, whoever else is answered at the same time."""

import pytest

from learning.interface.options import UserError
from learning.interface.training_options import ModelSource, RuntimeOptions
from learning.models.loading import load_policy
from learning.models.tokenization import decode_response, encode_prompt
from policy_training.training.config import SamplingOptions, ServeConfig
from policy_training.training.rollouts.rollouts import FrozenModel
from policy_training.training.rollouts.sampler import SamplingRequest, sample_responses
from policy_training.training.sampling.answer_queue import (
    AnswerBatch,
    AnswerQueue,
    Busy,
    read_request,
    together,
)

ASKED = [{"role": "user", "content": "Give me the red ball."}]
LONGER = [*ASKED, {"role": "assistant", "content": "Here."}, {"role": "user", "content": "And the box?"}]


@pytest.fixture
def config(policy_path):
    return ServeConfig(policy=ModelSource(path=str(policy_path)), max_waiting_requests=3)


@pytest.fixture
def policy(policy_path, tokenizer):
    import torch

    source = ModelSource(path=str(policy_path))
    return FrozenModel(load_policy(source, tokenizer), RuntimeOptions(), torch.device("cpu"))


def request(config, name, messages=ASKED, **changes):
    body = {"id": name, "messages": messages, "seed": "7", "max_tokens": 12, "temperature": 0.8}
    return read_request(body | changes, config)


def write(policy, tokenizer, queue, *, steps=None):
    """Answers what waits; batches take turns, at most so many steps each."""
    batches = [AnswerBatch(policy, tokenizer, queue, some, 100) for some in together(queue.take(0))]
    done = 0
    while batches and (steps is None or done < steps):
        batches = [batch for batch in batches if batch.step(abandoned_before=0.0)]
        done += 1
    return batches


def test_answers_written_together_are_those_the_sampler_draws_alone(policy, tokenizer, config):
    queue = AnswerQueue(3)
    asked = [("a", ASKED, 0.8), ("b", LONGER, 0.8), ("c", ASKED, 1.3)]
    for name, messages, temperature in asked:
        queue.put(request(config, name, messages, temperature=temperature))
    write(policy, tokenizer, queue)
    for name, messages, temperature in asked:
        found = queue.read(name)
        [expected] = policy.infer(
            sample_responses,
            [(name, encode_prompt(tokenizer, messages, 100))],
            SamplingRequest(
                n_samples=1,
                max_response_tokens=12,
                options=SamplingOptions(temperature=temperature),
                seed="7",
            ),
            eos_id=tokenizer.eos_token_id,
            pad_id=tokenizer.pad_token_id,
        )
        assert (found["state"], found["token_ids"]) == ("done", expected.token_ids)
        assert found["text"] == decode_response(tokenizer, expected.token_ids)
        assert found["logprobs"] == pytest.approx(expected.logprobs, abs=1e-5)
        assert found["ended"] == expected.has_eos


def test_what_is_read_while_it_grows_never_shows_half_a_character(policy, tokenizer, config):
    queue = AnswerQueue(1)
    queue.put(request(config, "a"))
    [batch] = write(policy, tokenizer, queue, steps=1)
    seen = [queue.read("a")["text"]]
    while batch.step(abandoned_before=0.0):
        seen.append(queue.read("a")["text"])
    assert len(seen) > 3 and not any(text.endswith("\ufffd") for text in seen)


def test_one_that_is_cancelled_or_that_nobody_reads_ends_and_can_be_asked_for_again(
    policy, tokenizer, config
):
    queue = AnswerQueue(3)
    queue.put(request(config, "a"))
    queue.put(request(config, "b"))
    [batch] = write(policy, tokenizer, queue, steps=2)
    assert queue.cancel("a") and not queue.cancel("unknown")
    batch.step(abandoned_before=0.0)
    assert (queue.read("a")["state"], queue.read("b")["state"]) == ("cancelled", "writing")
    assert not batch.step(abandoned_before=float("inf"))
    assert queue.read("b")["state"] == "cancelled"
    queue.put(request(config, "a"))
    write(policy, tokenizer, queue)
    assert queue.read("a")["state"] == "done"


def test_one_prompt_that_cannot_be_encoded_fails_alone(policy, tokenizer, config, monkeypatch):
    from policy_training.training.sampling import answer_queue

    encode = answer_queue.encode_prompt_or_cut

    def encode_or_fail(tokenizer, messages, most):
        if messages == LONGER:
            raise ValueError("this template knows no such turn")
        return encode(tokenizer, messages, most)

    monkeypatch.setattr(answer_queue, "encode_prompt_or_cut", encode_or_fail)
    queue = AnswerQueue(3)
    for name, messages in (("a", ASKED), ("b", LONGER), ("c", ASKED)):
        queue.put(request(config, name, messages))
    write(policy, tokenizer, queue)
    assert [queue.read(name)["state"] for name in "abc"] == ["done", "failed", "done"]
    assert "no such turn" in queue.read("b")["failure"]
    queue.put(request(config, "b", LONGER))
    write(policy, tokenizer, queue)
    assert queue.read("b")["state"] == "failed"


def test_an_answer_says_how_long_it_could_be_and_whether_its_prompt_was_cut(policy, tokenizer, config):
    queue = AnswerQueue(3)
    queue.put(request(config, "a", ASKED))
    queue.put(request(config, "b", LONGER))
    queue.put(request(config, "c", ASKED, max_tokens=1024))
    n_asked = len(encode_prompt(tokenizer, ASKED, 100))
    for some in together(queue.take(0)):
        batch = AnswerBatch(policy, tokenizer, queue, some, n_asked)
        while batch.step(abandoned_before=0.0):
            pass
    found = {name: queue.read(name) for name in "abc"}
    assert {name: said["prompt_cut"] for name, said in found.items()} == {"a": False, "b": True, "c": False}
    context = policy.model.config.max_position_embeddings
    assert (found["a"]["max_tokens"], found["c"]["max_tokens"]) == (12, min(1024, context // 2))


def test_a_full_queue_refuses_and_the_same_id_again_is_one(config):
    queue = AnswerQueue(2)
    for name in ("a", "b", "a"):
        queue.put(request(config, name))
    with pytest.raises(Busy):
        queue.put(request(config, "c"))
    assert len(queue) == 2 and queue.read("c") is None


def test_a_queue_that_drains_takes_nothing_new_and_is_settled_when_all_is_written_and_read(
    policy, tokenizer, config
):
    queue = AnswerQueue(3)
    queue.put(request(config, "a"))
    queue.put(request(config, "b", temperature=1.3))
    queue.drain()
    queue.put(request(config, "a"))
    with pytest.raises(Busy):
        queue.put(request(config, "c"))
    write(policy, tokenizer, queue)
    assert queue.count_unsettled(abandoned_before=0.0) == 2
    assert queue.count_unsettled(abandoned_before=float("inf")) == 0
    assert queue.read("a")["state"] == "done"
    assert queue.count_unsettled(abandoned_before=0.0) == 1
    assert queue.read("b")["state"] == "done"
    assert queue.count_unsettled(abandoned_before=0.0) == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"id": ""}, "id must be"),
        ({"seed": 7}, "seed must be a text"),
        ({"messages": []}, "not empty"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "needs a role"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "the user's"),
        ({"max_tokens": 1025}, "from 1 to 1024"),
        ({"max_tokens": "many"}, "from 1 to 1024"),
        ({"temperature": 0}, "temperature must be a positive"),
        ({"top_p": "most"}, "could not convert"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_with_a_sentence(config, changes, said):
    body = {"id": "a", "messages": ASKED, "seed": "7", "max_tokens": 12}
    with pytest.raises(UserError, match=said):
        read_request(body | changes, config)
