"""Rewards through the API from a real scorer that listens in this process, and what is said when there is none."""

import re
import socket
import threading
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from django.urls import reverse
from django.utils import timezone

from rewardmodel.models import Serving
from rewardmodel.training.config import ServeConfig
from rewardmodel.training.score_queue import warm_up
from rewardmodel.training.scoring import RewardScorer
from rewardmodel.training.serve_scores import Server, Service, answer_until_stopped
from runs.models import Worker
from tests.rewardmodel.serving.conftest import LIMITS
from workspace.models import AuditEvent

pytestmark = [pytest.mark.db, pytest.mark.django_db]

ROOT = Path(__file__).resolve().parents[3]
ASKED = [{"role": "user", "content": "Give me the red ball."}]
SAID = ["Here is the red ball.", "Whatever. Here is the old box.", ""]


@pytest.fixture
def worker_alive():
    return Worker.objects.create(name="w", host="h", pid=1, kinds=["rewardmodel.score"])


def mark_ready(model, owner, address):
    fields = {
        "state": "ready", "address": address, "secret": "s", "fence": 1, "requested_by": owner,
        "lease_until": timezone.now() + timedelta(hours=1), "ready_at": timezone.now(),
    }  # fmt: skip
    return Serving.objects.update_or_create(reward_model=model, defaults=fields)[0]


@pytest.fixture
def scorer(folder):
    scorer = RewardScorer.load(folder, batch=LIMITS)
    warm_up(scorer)
    return scorer


@pytest.fixture
def served(scorer, folder, make_model, max_):
    """A model that is served: the row of it and the service."""
    service = Service(ServeConfig(model_path=str(folder), orphaned_after_seconds=300), "s")
    server = Server(("127.0.0.1", 0), service)
    threads = [
        threading.Thread(target=server.serve_forever),
        threading.Thread(target=answer_until_stopped, args=(service, scorer)),
    ]
    for thread in threads:
        thread.start()
    model = make_model("taste", folder)
    mark_ready(model, max_, f"127.0.0.1:{server.server_address[1]}")
    yield model, service
    service.stopping = True
    threads[1].join()
    server.shutdown()
    server.server_close()


def test_rewards_are_those_of_the_model_and_say_what_was_cut(served, scorer, project, max_, program):
    model, service = served
    call = program(max_, project, scope="read")  # it changes nothing
    address = f"projects/{project.slug}/reward-models/{model.pk}/score"
    answer = call("POST", address, {"messages": ASKED, "responses": SAID})
    assert answer.status_code == 200, answer.content
    found = answer.json()
    expected = scorer.score([ASKED], [SAID])[0]
    assert found["rewards"] == pytest.approx(expected, abs=1e-6)
    # The report has a spread of 0.5.
    assert found["normalized"] == pytest.approx([2 * reward for reward in expected], abs=1e-5)
    assert found["truncated"] == [False] * 3 and found["truncated_prompts"] == [False]
    assert found["model"] == {
        "id": model.pk, "name": "taste", "criteria": ["helpful"], "dataset": model.dataset_id,
        "sha256": model.artifact.sha256, "reward_spread": 0.5,
    }  # fmt: skip

    several = {
        "prompts": [
            {"messages": ASKED, "responses": SAID[:1], "ended": [False]},
            {"messages": ASKED, "responses": [" ".join(["ball"] * 60), SAID[1]]},
        ]
    }
    found = call("POST", address, several).json()
    cut = scorer.score([ASKED], [[SAID[0]]], ended=[[False]])[0]
    assert found["rewards"][::2] == pytest.approx([cut[0], expected[1]], abs=1e-6)
    assert found["truncated"] == [False, True, False] and found["truncated_prompts"] == [False, False]
    assert service.n_requests == 2 and not AuditEvent.objects.filter(action__contains="score").exists()

    prompt = "<|bos|><|user|>Give me the red ball.<|assistant|>"
    rendered = {"query": [f"{prompt}{SAID[0]}<|eos|>"], "prompts": [prompt], "labels": [None]}
    found = call("POST", f"{address}-rendered", rendered).json()
    assert found["rewards"] == found["scores"] == pytest.approx(expected[:1], abs=1e-6)
    answer = call(
        "POST", f"{address}-rendered", {"query": ["[INST] a [/INST] b"], "prompts": ["[INST] a [/INST]"]}
    )
    assert answer.status_code == 400 and "chat template" in answer.json()["message"]


def test_the_guides_function_for_trl_gives_a_reward_for_each_completion(
    served, scorer, project, max_, program, monkeypatch
):
    model, service = served
    [code] = re.findall(
        r"```python\n(import os, time\n.*?)```", (ROOT / "docs/researcher-guide.md").read_text(), re.S
    )
    call = program(max_, project, scope="read")
    monkeypatch.setenv("RT_TOKEN", "the call below has its own")

    def post(url, *, json, headers, timeout):
        answer = call("POST", url.partition("/api/v1/")[2], json)
        return httpx.Response(
            answer.status_code,
            headers=dict(answer.headers),
            content=answer.content,
            request=httpx.Request("POST", url),
        )

    monkeypatch.setattr(httpx, "post", post)
    names = {}
    exec(code.replace("kitchen/reward-models/2", f"{project.slug}/reward-models/{model.pk}"), names)
    completions = [[{"role": "assistant", "content": text}] for text in SAID[:2]] * 150
    found = names["reward"](prompts=[ASKED] * 300, completions=completions, labels=None)
    assert found == pytest.approx(scorer.score([ASKED], [SAID[:2]])[0] * 150, abs=1e-6)
    assert service.n_requests == 2  # 256 responses at most in one


def test_requests_that_cannot_be_scored_are_refused_by_place(make_model, project, max_, program):
    call = program(max_, project)
    address = f"projects/{project.slug}/reward-models/{make_model('taste').pk}/score"
    user = {"role": "user", "content": "Hi"}
    for body, sentence in (
        ({}, "Give either messages and responses, or prompts"),
        ({"messages": [user]}, "Give either messages and responses, or prompts"),
        (
            {"messages": [user], "responses": ["a"], "prompts": [{"messages": [user], "responses": ["a"]}]},
            "either",
        ),
        ({"messages": [user], "responses": []}, "responses"),
        ({"messages": [user], "responses": ["a"] * 257}, "responses"),
        ({"messages": [user], "responses": [1]}, "A response is a text, or a list of messages"),
        (
            {"messages": [user], "responses": ["a"], "ended": [True, False]},
            "ended has 2 values for 1 responses",
        ),
        (
            {"messages": [{"role": "assistant", "content": "Hi"}], "responses": ["a"]},
            "must end with the user",
        ),
        ({"messages": [{"role": "judge", "content": "Hi"}], "responses": ["a"]}, "the role of turn 1"),
        ({"prompts": [{"messages": [user], "responses": ["a"] * 200}] * 2}, "more than 256 responses"),
        ({"messages": [user], "responses": [[user]]}, "should begin and end with an assistant turn"),
    ):
        answer = call("POST", address, body)
        assert answer.status_code == 400 and sentence in answer.json()["message"], (body, answer.content)
    assert not Serving.objects.exists()


def test_without_an_answer_now_it_is_a_503_that_says_when_to_come_back(
    make_model, project, max_, program, worker_alive
):
    model = make_model("taste")
    call = program(max_, project)
    address = f"projects/{project.slug}/reward-models/{model.pk}/score"
    body = {"messages": ASKED, "responses": SAID}

    def refused():
        answer = call("POST", address, body)
        assert answer.status_code == 503 and answer["Content-Type"] == "application/problem+json"
        return answer.json()["code"], int(answer["Retry-After"])

    assert refused() == ("scorer_loading", 5)
    assert Serving.objects.get().state == "waiting"
    # Ready by its row, and gone: the worker will find out, until then nobody is sent there twice.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        mark_ready(model, max_, f"127.0.0.1:{probe.getsockname()[1]}")
        assert refused() == ("scorer_loading", 5)
    Serving.objects.update(
        state="failed", address="", secret="", lease_until=None, error="The model is broken.",
        retry_at=timezone.now() + timedelta(seconds=40),
    )  # fmt: skip
    code, wait = refused()
    assert code == "scorer_failed" and 35 <= wait <= 41
    Serving.objects.update(retry_at=timezone.now() - timedelta(seconds=1))
    assert refused() == ("scorer_loading", 5) and Serving.objects.get().state == "waiting"
    worker_alive.delete()
    assert refused() == ("no_worker", 30)


def test_a_scorer_that_takes_no_more_says_so(served, project, max_, program):
    model, service = served
    service.queue.max_waiting = 0
    answer = program(max_, project)(
        "POST",
        f"projects/{project.slug}/reward-models/{model.pk}/score",
        {"messages": ASKED, "responses": SAID},
    )
    assert (answer.status_code, answer.json()["code"], answer["Retry-After"]) == (503, "scorer_busy", "1")


def test_start_state_and_stop_by_program_and_by_page(make_model, project, max_, ruth, program, client):
    model = make_model("taste")
    call = program(max_, project)
    address = f"projects/{project.slug}/reward-models/{model.pk}/serving"
    assert call("GET", address).json()["state"] == "stopped"
    assert call("POST", f"{address}/start").json()["state"] == "waiting"
    client.force_login(ruth)
    page = reverse("reward_models:reward_model", kwargs={"slug": project.slug, "pk": model.pk})
    shown = client.get(page).content.decode()
    assert "Waiting for a worker" in shown and "none that serves reward models is alive" in shown
    assert "stop-serving" not in shown  # she reviews
    client.force_login(max_)
    assert "stop-serving" in client.get(page).content.decode()
    client.post(f"{page}serving/stop/")
    assert Serving.objects.get().state == "stopped"
    assert call("POST", f"{address}/stop").status_code == 409
    client.post(f"{page}serving/start/")
    assert call("GET", address).json()["state"] == "waiting"
