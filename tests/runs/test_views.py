"""Run pages: who sees them, what they say, what they send again, and what they never give out."""

import itertools
import json
import os
import re

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from learning.interface.run_directory import RunDirectory
from runs.models import Run, Worker
from runs.presentation import progress_of
from runs.run_files import downsample, panel_of
from tests.runs.conftest import fields_of
from workspace.actions import create_project
from workspace.members import set_role
from workspace.models import AuditEvent

pytestmark = [pytest.mark.django_db, pytest.mark.db]

HOSTILE = "<script>alert(1)</script> \u202e <img src=x onerror=alert(2)> \x00 [x](javascript:alert(3))"


@pytest.fixture
def run(queue_counting):
    return queue_counting(title="Train the reward model")


@pytest.fixture
def filled(run):
    """A running run with everything a directory may have."""
    Run.objects.filter(pk=run.pk).update(
        state="running",
        progress={
            "stage": "training",
            "step": 30,
            "steps_total": 120,
            "eta_seconds": 75.0,
            "outcome": "running",
            "notes": [
                "12 of 480 prompts were cut at 512 tokens, 96 of 960 responses at 32.",
                "30 of 60 training pairs are equal after the cut at 32 tokens: left out of the loss.",
            ],
        },
        attempt=1,
        host="machine-1",
        **fields_of("running"),
    )
    run.path.mkdir(parents=True)
    (run.path / "config.json").write_text("{}")
    rows = [{"step": n, "loss": 1 / n, "accuracy": 0.5} for n in range(1, 31)]
    (run.path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (run.path / "samples.jsonl").write_text(
        json.dumps({"step": 30, "prompt": HOSTILE, "response": "Yes."}) + "\n"
    )
    (run.path / "log.txt").write_text(f"starting\n{HOSTILE}\nstep 30\n")
    run.refresh_from_db()
    return run


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


def url(page: str, run: Run, **more) -> str:
    return reverse(f"runs:{page}", kwargs={"slug": run.project.slug, "pk": run.pk, **more})


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


def test_curves_come_in_pieces_and_begin_anew_with_a_new_attempt(client, filled, ruth):
    client.force_login(ruth)
    first = client.get(url("metrics", filled)).json()
    assert first["reset"] and [row["step"] for row in first["rows"]] == list(range(1, 31))
    assert first["panels"] == {"Loss": ["loss"], "Accuracy": ["accuracy"]} and not first["finished"]
    assert first["titles"] == {"Loss": "Loss", "Accuracy": "Accuracy"}
    assert set(first["about"]) == {"Loss", "Accuracy"} and "half is chance" in first["about"]["Accuracy"]
    where = {"offset": first["offset"], "fence": first["fence"]}
    assert client.get(url("metrics", filled), where).json()["rows"] == []
    with open(filled.path / "metrics.jsonl", "a") as metrics:
        metrics.write('{"step": 31, "loss": NaN, "note": "x"}\n{"step": 32, "lo')
    piece = client.get(url("metrics", filled), where)
    assert "NaN" not in piece.content.decode()
    assert piece.json()["rows"] == [{"step": 31, "loss": None}] and not piece.json()["reset"]
    Run.objects.filter(pk=filled.pk).update(fence=2)
    assert client.get(url("metrics", filled), where).json()["reset"]
    for offset in ("-1", "x", "9" * 30, "1e9"):
        answer = client.get(url("metrics", filled), {"offset": offset, "fence": 2}).json()
        assert answer["reset"] and len(answer["rows"]) == 31


def test_no_path_given_through_the_site_reads_a_file_outside_the_run(client, filled, ruth, tmp_path):
    client.force_login(ruth)
    (tmp_path / "secret_key").write_text("the secret")
    base = url("run", filled)
    for name in (
        "../../secret_key", "..%2f..%2fsecret_key", "%2e%2e/%2e%2e/secret_key", "/etc/passwd", "%2fetc%2fpasswd",
        "inputs/manifest.json", "fence", "log.txt/../../../secret_key", "log.txt%00", "..", ".",
    ):  # fmt: skip
        answer = client.get(f"{base}files/{name}")
        assert answer.status_code == 404, name
    (filled.path / "result.json").symlink_to(tmp_path / "secret_key")
    assert client.get(url("file", filled, name="result.json")).status_code == 404
    good = client.get(url("file", filled, name="log.txt"))
    assert good.status_code == 200 and good["Content-Disposition"].startswith("attachment")
    assert good["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize(
    "name", ["output.txt", "log.txt", "samples.jsonl", "metrics.jsonl", "config.json", "status.json"]
)
def test_links_and_pipes_in_a_runs_folder_are_neither_followed_nor_waited_for(
    client, filled, ruth, tmp_path, name
):
    client.force_login(ruth)
    secret = tmp_path / "secret"
    secret.write_text('{"step": 1, "loss": 4711, "text": "the secret"}\n')
    for other in ("log.txt", "output.txt"):  # output.txt is shown where there is no log
        (filled.path / other).unlink(missing_ok=True)
    path = filled.path / name
    for make in (lambda: path.symlink_to(secret), lambda: os.mkfifo(path), path.mkdir):
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
        path.unlink(missing_ok=True)
        make()
        for page in ("run", "live", "metrics"):
            answer = client.get(url(page, filled))
            assert answer.status_code == 200
            # A time ends in microseconds, which may be these.
            content = re.sub(rb"\d{4}-\d\d-\d\dT[\d:.]+", b"", answer.content)
            assert b"secret" not in content and b"4711" not in content
        assert f"files/{name}" not in client.get(url("run", filled)).content.decode()
        assert client.get(url("file", filled, name=name)).status_code == 404


@pytest.mark.parametrize(
    "line",
    ["[1, 2]", "7", "null", '"x"', '{"step": [1], "loss": {"a": [1]}}', '{"step": "x", "prompt": [[["deep"]]]}',
     '{"step": 1e999, "loss": 1' + "0" * 400 + "}", "[" * 5000, '{"a": ' * 5000],
)  # fmt: skip
def test_rows_of_another_shape_are_shown_or_left_out_but_never_an_error(client, filled, ruth, line):
    client.force_login(ruth)
    for name in ("metrics.jsonl", "samples.jsonl"):
        (filled.path / name).write_text(f'{line}\n{{"step": 5, "loss": 0.5}}\n')
    (filled.path / "status.json").write_text(line)
    for page in ("run", "live"):
        assert client.get(url(page, filled)).status_code == 200
    answer = client.get(url("metrics", filled))
    assert answer.status_code == 200
    if not line.startswith(("[[", '{"a": {')):  # these cannot be read, and end the curves
        assert {"step": 5, "loss": 0.5} in answer.json()["rows"]


def test_long_files_are_read_in_parts(client, filled, ruth, monkeypatch):
    """Curves come as far as one answer goes and the browser asks on at once; of samples only the end is read."""
    client.force_login(ruth)
    monkeypatch.setattr("runs.run_files.METRICS_BYTES", 100)
    seen, where, answers = [], {}, 0
    while True:
        answer = client.get(url("metrics", filled), where).json()
        seen += [row["step"] for row in answer["rows"]]
        where, answers = {"offset": answer["offset"], "fence": answer["fence"]}, answers + 1
        if not answer["more"]:
            break
    assert seen == list(range(1, 31)) and answers > 10
    row = json.dumps({"step": 1, "text": "x" * 1000}) + "\n"
    with open(filled.path / "samples.jsonl", "w") as samples:
        samples.writelines(row for _ in range(5000))
        samples.write(json.dumps({"step": 9999, "text": "the last"}) + "\n")
    page = client.get(url("run", filled)).content.decode()
    assert "the last" in page
    # 12 samples of a thousand characters and not five thousand.
    assert page.count("x" * 1000) == 11


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


@pytest.mark.parametrize(
    ("metric", "panel"),
    [
        ("ranking_loss", "Loss"),
        ("validation/loss", "Loss"),
        ("eval_accuracy", "Accuracy"),
        ("kl", "KL"),
        ("approx_kl", "KL"),
        ("eval_kl", "KL"),
        ("kl_coefficient", "KL coefficient"),
        ("score", "Reward"),
        ("score_std", "Reward"),
        ("processed_score", "Reward"),
        ("rlhf_reward", "Reward"),
        ("preferred_reward", "Implicit reward"),
        ("eval_reward_margin", "Implicit reward"),
        ("eval_score", "Reward"),
        ("learning_rate", "Learning rate"),
        ("gradient_norm", "Gradient norm"),
        ("clip_fraction", "Clipping"),
        ("value_loss", "Loss"),
        ("tokens_per_second", "Speed"),
        ("seconds_experience", "Speed"),
        ("seconds_scoring", "Speed"),
        ("seconds_rollout", "Speed"),  # of runs before sampling and scoring were told apart
        ("entropy", "Entropy"),
        ("response_perplexity", "Perplexity of its own answers"),
        ("eval_perplexity", "Perplexity"),
        ("distinct_2", "Distinct n-grams"),
        ("sqrt_kl", "KL"),
        ("advantage_mean", "Advantages and values"),
        ("judgments", "Counts and the rest"),
        ("response_tokens", "Length"),
        ("eos_rate", "Ended answers"),
        ("tokens", "Counts and the rest"),
        ("optimizer_steps", "Counts and the rest"),
        ("score_judge", "Reward"),
        ("judge_order_agreement", "The judge"),
        ("score_judge_ties", "The judge"),
        ("judge_tokens", "Tokens of the judge so far"),
        ("judge_cost", "Cost of the judge so far"),
    ],
)
def test_metrics_of_one_sort_share_a_panel(metric, panel):
    assert panel_of(metric) == panel


def test_long_curves_are_thinned_but_keep_their_end_and_their_rare_points():
    rows = [{"step": n, "loss": 1.0} for n in range(100_000)]
    rows[33_333]["eval_ranking_loss"] = 0.5
    kept = downsample(rows, 4000)
    assert len(kept) <= 4100
    assert kept[-1]["step"] == 99_999 and any("eval_ranking_loss" in row for row in kept)


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
