import re
from datetime import timedelta
from functools import partial

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation.batches.actions import create_batch
from annotation.batches.exclusion import exclude_batch
from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.models import Batch
from annotation.queue.actions import claim_task
from rounds.actions import start_round
from rounds.models import Round, Stage, StageEntry
from rounds.plans import preset_plan

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def round_(project, criterion, policy, prompt_set, max_):
    return start_round(
        actor=max_,
        project=project,
        criterion=criterion,
        start_policy=policy,
        prompt_set=prompt_set,
        plan=preset_plan("tiny"),
    )


@pytest.fixture
def cast(max_, ada, ruth, olga):
    return {"nobody": None, "annotator": ada, "reviewer": ruth, "manager": max_, "manager of another": olga}


@pytest.mark.parametrize(
    ("verb", "name", "args", "allowed"),
    [
        ("get", "list", [], {"reviewer", "manager"}),
        ("get", "round", [1], {"reviewer", "manager"}),
        ("get", "start", [], {"manager"}),
        ("post", "start", [], {"manager"}),
        ("post", "end_annotation", [1], {"manager"}),
        ("post", "reopen_annotation", [1], {"manager"}),
        ("post", "retry", [1], {"manager"}),
        ("post", "continue", [1], {"manager"}),
        ("post", "cancel", [1], {"manager"}),
    ],
)
def test_each_url_answers_only_those_written_down(client, round_, cast, verb, name, args, allowed):
    url = reverse(f"rounds:{name}", args=["kitchen", *args])
    reached = set()
    for who, user in cast.items():
        client.logout()
        if user is not None:
            client.force_login(user)
        answer = getattr(client, verb)(url)
        refused = answer.status_code == 404 or (answer.status_code == 302 and "/login/" in answer["Location"])
        if not refused:
            reached.add(who)
    assert reached == allowed


def test_a_round_of_another_project_is_not_found(client, round_, olga):
    client.force_login(olga)
    assert client.get(reverse("rounds:round", args=["garden", 1])).status_code == 404


def test_the_page_polls_until_nothing_will_change_any_more(client, round_, max_):
    client.force_login(max_)
    url = reverse("rounds:round", args=["kitchen", 1])
    page = client.get(url)
    version = page.context["version"]
    assert "every 2s" in page.content.decode()
    assert client.get(url, {"version": version}, headers={"HX-Request": "true"}).status_code == 204
    assert client.get(url, {"version": "older"}, headers={"HX-Request": "true"}).status_code == 200
    Round.objects.update(stage=Stage.CANCELLED, finished_at=timezone.now())
    assert client.get(url, {"version": version}, headers={"HX-Request": "true"}).status_code == 286


def test_the_form_starts_a_round_with_the_values_typed(client, project, criterion, policy, prompt_set, max_):
    client.force_login(max_)
    url = reverse("rounds:start", args=["kitchen"])
    values = {
        "preset": "tiny",
        "criterion": criterion.pk,
        "start_policy": policy.pk,
        "prompt_set": prompt_set.pk,
        "prompts": 7,
        "responses_per_task": 4,
        "temperatures": "0.7, 1.0",
    }
    refused = client.post(url, {**values, "temperatures": "warm"})
    assert refused.status_code == 422
    assert "numbers" in refused.content.decode()
    none = client.post(url, {**values, "quota": 0, "overlap": 51})
    assert none.status_code == 422
    assert "Must be at least 1." in none.content.decode() and "Must be at most 50." in none.content.decode()
    assert client.post(url, values).status_code == 302
    plan = Round.objects.get().plan
    assert plan["sampling"]["prompts"] == 7
    assert plan["sampling"]["options"]["temperatures"] == [0.7, 1.0]


def test_processes_device_and_zero_are_asked_for_on_the_form_and_said_on_the_rounds_page(
    client, project, criterion, policy, prompt_set, max_
):
    client.force_login(max_)
    url = reverse("rounds:start", args=["kitchen"])
    values = {
        "preset": "tiny", "criterion": criterion.pk, "start_policy": policy.pk, "prompt_set": prompt_set.pk,
        "processes": 2, "device": "cuda", "zero_stage": "2",
    }  # fmt: skip
    refused = client.post(url, values | {"engine": "torch"})
    assert refused.status_code == 422 and "zero_stage 2 needs backend" in refused.content.decode()
    for wrong in ({"processes": 65}, {"processes": 0}, {"device": "tpu"}, {"zero_stage": "4"}):
        assert client.post(url, values | wrong).status_code == 422
    assert not Round.objects.exists()
    assert client.post(url, values).status_code == 302
    plan = Round.objects.get().plan
    assert plan["processes"] == 2
    for part in ("policy", "reward_model"):
        runtime = plan[part]["runtime"]
        assert (runtime["device"], runtime["backend"], runtime["zero_stage"]) == ("cuda", "deepspeed", 2)
    assert "Its runs take 2 processes, GPU, DeepSpeed ZeRO 2." in page_text(client, max_)


def test_the_batches_to_learn_from_are_chosen_on_the_form_and_excluded_ones_are_not_offered(
    client, project, criterion, policy, prompt_set, max_
):
    client.force_login(max_)
    url = reverse("rounds:start", args=["kitchen"])
    assert "Batches to learn from" not in client.get(url).content.decode()  # there is none
    make = partial(
        create_batch, actor=max_, project=project, criterion=criterion, responses_per_task=2, overlap=1
    )
    first, second, bad = make(name="first"), make(name="second"), make(name="bad")
    exclude_batch(actor=max_, batch=bad)
    page = client.get(url).content.decode()
    assert [name in page for name in (">first<", ">second<", ">bad<")] == [True, True, False]
    values = {
        "preset": "tiny", "criterion": criterion.pk, "start_policy": policy.pk, "prompt_set": prompt_set.pk,
    }  # fmt: skip
    assert client.post(url, {**values, "batches": [first.pk, bad.pk]}).status_code == 422
    assert client.post(url, {**values, "batches": [second.pk]}).status_code == 302
    assert Round.objects.get().plan["batches"] == ["second"]


def test_choices_of_another_project_are_not_offered_or_taken(
    client, project, criterion, policy, prompt_set, olga
):
    client.force_login(olga)
    answer = client.post(
        reverse("rounds:start", args=["garden"]),
        {"preset": "tiny", "criterion": criterion.pk, "start_policy": policy.pk, "prompt_set": prompt_set.pk},
    )
    assert answer.status_code == 422
    assert not Round.objects.exists()


def page_text(client, user):
    client.force_login(user)
    page = client.get(reverse("rounds:round", args=["kitchen", 1])).content.decode()
    return " ".join(re.sub("<[^>]*>", " ", page).split())


def test_the_timeline_speaks_of_days_and_names_the_deadline(client, annotating_round, max_):
    three_days_ago = timezone.now() - timedelta(days=3)
    StageEntry.objects.filter(stage="annotating").update(created_at=three_days_ago)
    until = timezone.now() + timedelta(hours=5)
    Round.objects.update(annotation_deadline=until)
    said = page_text(client, max_)
    assert f"{three_days_ago:%-d %b, %H:%M} · 3 d 0 h" in said
    assert f"ends by {until:%-d %b, %H:%M}" in said
    assert "259200" not in said


def test_more_judgments_than_the_quota_asked_for_are_a_quota_that_is_met(
    client, annotating_round, project, max_, ada
):
    for number in range(3):
        assignment = claim_task(actor=ada, project=project)
        submit_judgment(
            actor=ada,
            assignment=assignment,
            content=JudgmentInput(tiers=[["A"], ["B"]], strengths=[1]),
            idempotency_key=f"judgment {number}",
        )
    assert "3 of 4 judgments" in page_text(client, max_)
    Batch.objects.update(quota=2)
    assert "Quota of 2 met: 3 judgments" in page_text(client, max_)
    batches = client.get(reverse("annotation:batches", args=["kitchen"])).content.decode()
    assert "quota of 2 met (3)" in batches


def test_a_round_that_failed_on_its_judgments_has_a_button_that_opens_its_annotation_again(
    client, annotating_round, max_
):
    url = reverse("rounds:reopen_annotation", args=["kitchen", 1])
    assert "reopen-annotation" not in page_text(client, max_)
    Round.objects.update(stage=Stage.FAILED, failed_stage=Stage.REWARD_MODEL, error="All are ties.")
    Batch.objects.update(state=Batch.State.CLOSED)
    page = client.get(reverse("rounds:round", args=["kitchen", 1])).content.decode()
    assert f'action="{url}"' in page
    refused = client.post(url, {"quota": "many"}, follow=True).content.decode()
    assert "Enter a whole number" in refused and Round.objects.get().stage == Stage.FAILED
    client.post(url, {"quota": ""})
    assert (Round.objects.get().stage, Batch.objects.get().state) == (Stage.ANNOTATING, Batch.State.OPEN)
    assert "opened again: ends by your button" in page_text(client, max_)


def test_what_ends_or_cancels_a_round_carries_its_question(client, annotating_round, max_):
    client.force_login(max_)
    page = client.get(reverse("rounds:round", args=["kitchen", 1])).content.decode()
    assert 'data-confirm="End with 0 of 4 judgments?' in page
    assert page.index("end-annotation/") < page.index("cancel/")


def test_rounds_and_policies_are_listed_in_pages(client, round_, policy, max_):
    for number in range(2, 26):
        copy = Round.objects.get(pk=round_.pk)
        copy.pk, copy.number, copy.batch, copy.stage = None, number, None, Stage.CANCELLED
        copy.finished_at = timezone.now()
        copy._state.adding = True
        copy.save()
    client.force_login(max_)
    path = reverse("rounds:list", args=[round_.project.slug])

    def numbers(**where):
        text = client.get(path, where).content.decode()
        return [int(number) for number in re.findall(r">Round (\d+)</a>", text)]

    assert numbers() == list(range(25, 5, -1))
    assert numbers(page=2) == [5, 4, 3, 2, 1]
    assert numbers(page=99) == [5, 4, 3, 2, 1] and numbers(page="x") == numbers()
    assert 'href="?page=2&amp;policies=1"' in client.get(path).content.decode()
