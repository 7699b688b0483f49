"""KL against reward: the picture's figures are the reports', a policy is chosen on the page as by the API, and the pin
stands on the policies' pages.
"""

import json
from uuid import uuid4

import pytest
from django.urls import reverse

from policy_training.models import PolicySelection, SelectedPolicy
from policy_training.selecting.queries import groups_of
from policy_training.selecting.wording import settled_text
from runs.models import Run

pytestmark = [pytest.mark.db, pytest.mark.django_db]
LOW, HIGH = (1.0, 2.0, 3.0, 2.0, 1.0, 3.0), (2.0, 3.0, 4.0, 3.0, 2.0, 4.0)
API = "/api/v1/projects/kitchen"


def shown(client, **asked):
    return client.get(reverse("policies:frontier", args=["kitchen"]), asked)


def test_the_front_is_marked_and_a_training_is_a_line(
    client, project, max_, ruth, make_policy, evaluated, compared, base, taste
):
    client.force_login(ruth)
    assert "No policy was measured yet" in shown(client).content.decode()
    near, worse, far, blind = (make_policy(name) for name in ("near", "worse", "far", "blind"))
    for policy, scores, kl in ((near, LOW, 1.0), (worse, LOW, 2.0), (far, HIGH, 9.0)):
        evaluated(policy, scores, kl)
    evaluated(blind, LOW, reference=None)
    page = shown(client)
    found = page.context["frontier"]
    # Of the same reward `near` has the lower KL; nothing is as far as `far`, and nothing as good.
    assert [(one.name, one.kl, one.reward, one.is_on_front) for one in found.points] == [
        ("near", 1.0, 2.0, True), ("worse", 2.0, 2.0, False), ("far", 9.0, 3.0, True),
    ]  # fmt: skip
    text = page.content.decode()
    assert text.count("on the front") == 2 and "Select one of them" not in text  # who reviews only looks
    assert "temperature 1" in text and "top_p" not in text  # words, and of options what changes something
    training = Run.objects.create(
        project=project, kind="policy.ppo", title="PPO: base to far", requested_by=max_, config={},
        parameters={"reward_model": taste.pk}, directory=f"ppo-{uuid4().hex}",
    )  # fmt: skip
    other = Run.objects.create(
        project=project, kind="policy.ppo", title="PPO by two models", requested_by=max_, directory="ppo2",
        parameters={"reward_model": taste.pk}, config={"rewards": {"model_weight": 0.5}},
    )  # fmt: skip
    training.path.mkdir(parents=True)
    rows = [{"step": step, "kl": step / 2, "score": step * 1.5} for step in range(1, 4)]
    rows[0] |= {"eval_kl": 0.25, "eval_score": 0.75}
    (training.path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = shown(client, run=[training.pk, other.pk])
    [line] = page.context["frontier"].lines
    # One evaluation is no line: what it learned from is.
    assert (line.name, line.points) == ("PPO: base to far", [(1, 0.5, 1.5), (2, 1.0, 3.0), (3, 1.5, 4.5)])
    assert [run for run, _ in page.context["runs"]] == [training]  # another reward is another scale
    with (training.path / "metrics.jsonl").open("a") as file:
        file.write(
            json.dumps({"step": 4, "kl": 2.0, "score": 6.0, "eval_kl": 2.5, "eval_score": 1.75}) + "\n"
        )
    [line] = shown(client, run=training.pk).context["frontier"].lines
    assert line.points == [(1, 0.25, 0.75), (4, 2.5, 1.75)]
    # Checkpoints measured like the policies are points of the front and a line from the start.
    comparison = compared({}, LOW, of_run=training, steps=[(20, 4.0, 2.0), (10, 2.5, 1.0)])
    group = next(one for one in groups_of(project) if comparison in one.along)
    found = shown(client, group=group.key).context["frontier"]
    assert [(line.name, line.points) for line in found.lines] == [
        ("PPO: base to far", [(0, 0.0, 2.0), (10, 1.0, 2.5), (20, 2.0, 4.0)])
    ]
    assert all(one.is_on_front for one in found.points) and len(found.points) == 3


def test_page_and_api_choose_the_same_and_the_pin_is_shown(
    client, project, max_, make_policy, evaluated, base
):
    client.force_login(max_)
    near, far, out = (make_policy(name) for name in ("near", "far", "out"))
    rows = [evaluated(near, LOW, 1.0), evaluated(far, HIGH, 9.0), evaluated(out, HIGH, 0.0)]
    [group] = groups_of(project)
    address = reverse("policies:select", args=["kitchen"])
    asked = {"group": group.key, "policies": [near.pk, far.pk], "rule": "best_reward", "pin": "on"}
    answer = client.post(address, asked)
    selection = PolicySelection.objects.get()
    assert answer.status_code == 302 and answer.url == reverse(
        "policies:selection", args=["kitchen", selection.pk]
    )
    assert selection.policy == far and SelectedPolicy.objects.get().selection == selection
    body = {"rule": "best_reward", "evaluations": [row.pk for row in rows[:2]]}
    answer = client.post(f"{API}/policy-selections", body, content_type="application/json")
    assert answer.status_code == 201, answer.content
    again = PolicySelection.objects.latest("pk")
    assert again.report == selection.report and answer.json()["settled"] == settled_text(again)
    [listed, _] = client.get(f"{API}/policy-selections", {"policy": far.pk}).json()["results"]
    assert listed["chosen_by"] == max_.username and "reward 3.000" in listed["reason"]
    page = client.get(reverse("policies:selection", args=["kitchen", selection.pk])).content.decode()
    assert "+1.000 (+1.000 to +1.000)" in page and "by hand" not in page
    for name, key in (("list", ()), ("policy", (far.pk,)), ("frontier", ())):
        text = client.get(reverse(f"policies:{name}", args=["kitchen", *key])).content.decode()
        assert "pinned by" in text and "highest mean reward" in text
    # Refused on the page with the action's sentence, its choices kept.
    page = client.post(address, asked | {"rule": "reward_within_kl", "max_kl": "0.5"})
    assert page.status_code == 422 and "the least is 1.00" in page.content.decode()
    assert page.context["checked"] == [near.pk, far.pk]
    assert client.post(address, asked | {"policies": []}).status_code == 422
    assert client.post(address, asked | {"policies": [base.pk, near.pk]}).status_code == 422
    assert client.post(address, asked | {"group": "gone"}).status_code == 302
    for wrong in ({"rule": "coin"}, {"max_kl": 3.0}, {"evaluations": [rows[0].pk]}, {"unknown": 1}):
        answer = client.post(f"{API}/policy-selections", body | wrong, content_type="application/json")
        assert answer.status_code == 400, wrong
    answer = client.post(
        f"{API}/policy-selections", body | {"evaluations": [99999]}, content_type="application/json"
    )
    assert answer.status_code == 404
    assert PolicySelection.objects.count() == 2


def test_the_pin_is_moved_by_page_and_api(client, project, max_, make_policy):
    client.force_login(max_)
    one, two = make_policy("one"), make_policy("two")
    assert client.get(f"{API}/selected-policy").status_code == 404
    client.post(reverse("policies:pin", args=["kitchen", one.pk]))
    assert client.get(f"{API}/selected-policy").json() | {"pinned_at": ""} == {
        "policy": one.pk, "selection": None, "pinned_by": max_.username, "pinned_at": "",
    }  # fmt: skip
    answer = client.post(f"{API}/selected-policy", {"policy": two.pk}, content_type="application/json")
    assert (answer.status_code, SelectedPolicy.objects.get().policy) == (200, two)
    for body in ({"policy": 99999}, {"policy": two.pk, "selection": 99999}):
        assert client.post(f"{API}/selected-policy", body, content_type="application/json").status_code == 404
    client.post(reverse("policies:unpin", args=["kitchen"]))
    assert not SelectedPolicy.objects.exists()
    client.post(reverse("policies:pin", args=["kitchen", one.pk]))
    assert client.delete(f"{API}/selected-policy").status_code == 204
    assert not SelectedPolicy.objects.exists()
