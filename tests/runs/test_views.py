"""Run pages: who sees them, what they say, and their buttons."""

import itertools
import json
import re

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from learning.interface.run_directory import RunDirectory
from runs.models import Run, Worker
from runs.presentation import progress_of
from tests.runs.conftest import HOSTILE, fields_of, url
from workspace.actions import create_project
from workspace.members import set_role
from workspace.models import AuditEvent

pytestmark = [pytest.mark.django_db, pytest.mark.db]


def test_answers_stand_under_the_names_that_people_gave_the_policies(client, filled, max_):
    """Whatever these are; a name of the program's own is in words."""
    row = {"step": 30, "best_of": "1", "prompt": "Why?", "others": {"prompt": "Mine.", "a_b": HOSTILE}}
    (filled.path / "samples.jsonl").write_text(json.dumps(row) + "\n")
    client.force_login(max_)
    page = client.get(url("run", filled)).content.decode()
    names = re.findall(r"<dt>(.*?)</dt><dd dir=\"auto\">", page)
    assert names[-4:] == ["best of", "prompt", "prompt", "a_b"] and "Mine." in page
    assert "<script>alert(1)" not in page


def test_a_done_run_says_its_last_step_though_its_worker_read_an_earlier_one(filled):
    filled.state = "done"
    progress = progress_of(filled)
    assert (progress.step, progress.steps_total, progress.percent) == (120, 120, 100)


@pytest.fixture
def cast(project, make_user, max_, ada, ruth, olga):
    colleague = make_user("cora")
    create_project(actor=colleague, name="Cellar")
    set_role(actor=max_, project=project, user=colleague, role="annotator")
    return {
        "nobody": None,
        "annotator": ada,
        "reviewer": ruth,
        "manager": max_,
        "outsider": olga,
        "annotator elsewhere manager": colleague,
    }


READS = ("list", "run", "live", "metrics", "figures", "answers", "file")
ACTS = ("cancel", "retry", "resume", "clone", "limit")
MAY_READ, MAY_ACT = {"reviewer", "manager"}, {"manager"}


@pytest.mark.parametrize("name", READS + ACTS)
def test_role_matrix(client, cast, filled, name):
    """Who gets an answer from which URL with which method; everybody else sees no difference from a wrong address."""
    if name == "list":
        address = reverse("runs:list", kwargs={"slug": filled.project.slug})
    else:
        address = url(name, filled, **({"name": "log.txt"} if name == "file" else {}))
    allowed = MAY_ACT if name in ACTS else MAY_READ
    right_method = "post" if name in ACTS else "get"
    for who, method in itertools.product(cast, ("get", "post", "put", "patch", "delete")):
        client.logout()
        if cast[who]:
            client.force_login(cast[who])
        status = getattr(client, method)(address).status_code
        if method != right_method:
            assert status in (302, 405), (who, method, status)
        elif who == "nobody":
            assert status == 302, (who, method, status)
        elif who in allowed:
            # A form that does not say which limit it showed changes none.
            expected = {"limit": 409}.get(name, 302 if name in ACTS else 200)
            assert status == expected, (who, method, status)
        else:
            assert status == 404, (who, method, status)
    acts = AuditEvent.objects.filter(action__in=["run.cancel", "run.clone", "run.retry"]).exclude(
        actor=cast["manager"]
    )
    assert not acts.exists()


def test_a_run_is_found_only_under_its_own_project(client, olga, run):
    client.force_login(olga)
    garden = olga.memberships.get().project
    for name in ("run", "live", "metrics"):
        assert (
            client.get(reverse(f"runs:{name}", kwargs={"slug": garden.slug, "pk": run.pk})).status_code == 404
        )
    address = reverse("runs:cancel", kwargs={"slug": garden.slug, "pk": run.pk})
    assert client.post(address).status_code == 404
    run.refresh_from_db()
    assert run.state == "queued"


def test_only_managers_are_offered_buttons(client, filled, ruth, max_):
    client.force_login(ruth)
    assert b"cancel-run" not in client.get(url("run", filled)).content
    client.force_login(max_)
    assert b"cancel-run" in client.get(url("run", filled)).content


def test_the_page_says_stage_progress_and_time_left(client, filled, ruth):
    client.force_login(ruth)
    page = client.get(url("run", filled)).content.decode()
    for told in ("training", "25 %", "about 1 min 15 s left", "of 120", "machine-1", "every 2s"):
        assert told in page


def test_hostile_text_of_a_run_is_shown_as_text(client, filled, ruth):
    Run.objects.filter(pk=filled.pk).update(title=HOSTILE.replace("\x00", ""), error="<b>bold</b>")
    client.force_login(ruth)
    for page in (client.get(url("run", filled)), client.get(url("live", filled)),
                 client.get(reverse("runs:list", kwargs={"slug": filled.project.slug}))):  # fmt: skip
        text = page.content.decode()
        assert "<script>alert" not in text and "<img src=x" not in text and "<b>bold" not in text
        assert "\x00" not in text
        assert "style=" not in text and "onclick" not in text


def test_polling_answers_204_until_something_changes_and_stops_at_the_end(client, filled, max_):
    client.force_login(max_)
    first = client.get(url("live", filled))
    shown = first.context["version"]
    assert client.get(url("live", filled), {"version": shown}).status_code == 204
    with open(filled.path / "log.txt", "a") as log:
        log.write("step 31\n")
    answer = client.get(url("live", filled), {"version": shown})
    assert answer.status_code == 200
    text = answer.content.decode()
    assert 'id="run-log"' in text and "step 31" in text and 'id="run-samples"' not in text
    Run.objects.filter(pk=filled.pk).update(state="done", **fields_of("done"))
    ended = client.get(url("live", filled), {"version": answer.context["version"]}).content.decode()
    assert "hx-trigger" not in ended and "Start a copy of this run" in ended


def test_the_list_polls_only_while_something_is_under_way(client, run, ruth):
    client.force_login(ruth)
    address = reverse("runs:list", kwargs={"slug": run.project.slug})
    page = client.get(address)
    assert "every 2s" in page.content.decode() and "No worker is running" in page.content.decode()
    htmx = {"HX-Request": "true"}
    assert client.get(address, {"version": page.context["version"]}, headers=htmx).status_code == 204
    Run.objects.filter(pk=run.pk).update(state="cancelled", **fields_of("cancelled"))
    assert "every 2s" not in client.get(address).content.decode()
    assert "Train the reward model" not in client.get(address, {"state": "active"}).content.decode()
    assert "Train the reward model" in client.get(address, {"state": "nonsense"}).content.decode()


def test_a_run_that_waits_for_a_worker_says_whether_there_is_one(client, run, ruth):
    client.force_login(ruth)
    assert "none that takes this kind" in client.get(url("run", run)).content.decode()
    Worker.objects.create(name="w", host="h", pid=1, kinds=[run.kind])
    assert "none that takes this kind" not in client.get(url("run", run)).content.decode()


def test_cancel_retry_and_clone_by_the_buttons(client, run, max_):
    client.force_login(max_)
    assert client.post(url("cancel", run)).status_code == 302
    run.refresh_from_db()
    assert run.state == "cancelled"
    assert client.post(url("cancel", run), follow=True).context["messages"]
    client.post(url("retry", run))
    run.refresh_from_db()
    assert run.state == "queued"
    answer = client.post(url("clone", run))
    clone = Run.objects.get(cloned_from=run)
    assert answer["Location"] == url("run", clone)


def keep_checkpoint(run, *, score):
    folder = run.path / "checkpoints" / "step-000003.f1"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "complete.json").write_text(json.dumps({"step": 3, "score": score}))


@pytest.mark.parametrize("end", [True, False])
def test_a_paused_run_says_why_and_has_two_buttons(client, run_in, max_, ruth, end):
    run = run_in("paused")
    keep_checkpoint(run, score=0.5)
    client.force_login(ruth)
    page = client.get(url("run", run)).content.decode()
    assert run.error in page and "Paused" in page and 'id="resume-run"' not in page
    client.force_login(max_)
    page = client.get(url("run", run)).content.decode()
    assert 'id="resume-run"' in page and 'id="end-run"' in page
    client.post(url("resume", run), {"end": "yes"} if end else {})
    run.refresh_from_db()
    assert (run.state, run.error) == ("queued", "")
    assert RunDirectory(run.path).is_asked_to_end() is end


def test_the_page_says_what_a_judge_took_of_a_run_that_was_cancelled_too(client, filled, ruth):
    client.force_login(ruth)
    assert "The judge" not in client.get(url("run", filled)).content.decode()
    rewards = {"judge": {"server": {"name": "toy"}}}
    Run.objects.filter(pk=filled.pk).update(kind="policy.ppo", config={"rewards": rewards})
    page = client.get(url("run", filled)).content.decode()
    assert "It has not been asked yet." in page and "another quantity than the reward of the steps" in page
    shown = client.get(url("live", filled))
    (filled.path / "judge.json").write_text(
        json.dumps(
            {"comparisons": 1200, "tie_rate": 0.25, "order_rate": None, "not_understood": 0, "requests": 1204,
             "prompt_tokens": 90000, "reply_tokens": 4000, "cost": 1.5}
        )
    )  # fmt: skip
    version = re.search(r"version=([\w.]+)", shown.content.decode())[1]
    assert client.get(url("live", filled), {"version": version}).status_code == 200
    Run.objects.filter(pk=filled.pk).update(
        state="cancelled", **fields_of("cancelled"), kind="policy.evaluate"
    )
    page = client.get(url("run", filled)).content.decode()
    facts = re.findall(r"<dt>([^<]*)</dt><dd>([^<]*)</dd>", page[page.index("The judge</h2>") :])
    assert facts[:6] == [
        ("Comparisons", "1,200"),
        ("Ties", "25 %"),
        ("Replies without a verdict", "0"),
        ("Requests", "1,204"),
        ("Tokens read and written", "90,000 + 4,000"),
        ("Cost", "1.5000"),
    ]
    assert "another quantity" not in page
    assert client.get(url("file", filled, name="judge.json")).status_code == 200


def test_a_paused_run_without_a_best_checkpoint_is_not_ended(client, run_in, max_):
    run = run_in("paused")
    keep_checkpoint(run, score=None)  # what it goes on from
    client.force_login(max_)
    page = client.get(url("run", run)).content.decode()
    assert 'id="resume-run"' in page and 'id="end-run"' not in page
    assert "It kept no checkpoint from before the alarm, so it cannot end with one." in page
    answer = client.post(url("resume", run), {"end": "yes"}, follow=True)
    [message] = answer.context["messages"]
    assert "cannot end with one; have it go on, or cancel it." in str(message)
    answer = client.post(f"/api/v1/projects/{run.project.slug}/runs/{run.pk}/end")
    assert (answer.status_code, answer.json()["code"]) == (400, "no_best_checkpoint")
    with pytest.raises(CommandError, match="cannot end with one"):
        call_command("resume_run", run.project.slug, str(run.pk), "--end")
    run.refresh_from_db()
    assert run.state == "paused" and not RunDirectory(run.path).is_asked_to_end()


def test_what_a_command_left_out_or_cut_is_said_on_the_page_and_sent_when_it_changes(client, filled, max_):
    client.force_login(max_)
    before = client.get(url("run", filled)).content.decode()
    assert "<li>12 of 480 prompts were cut at 512 tokens, 96 of 960 responses at 32.</li>" in before
    version = before.split("?version=")[1].split('"')[0]
    Run.objects.filter(pk=filled.pk).update(
        progress={**filled.progress, "notes": ["30 of 60 pairs are equal after the cut at 32 tokens <b>"]}
    )
    live = client.get(url("live", filled), {"version": version})
    assert live.status_code == 200
    assert "<li>30 of 60 pairs are equal after the cut at 32 tokens &lt;b&gt;</li>" in live.content.decode()
