"""One prompt over the steps: the answers of a run's files, however long these are, and what a look at them costs."""

import json
import tracemalloc

import pytest
from django.urls import reverse
from django.utils import timezone

from runs.fixed_prompts import fixed_prompts
from runs.models import Run

pytestmark = [pytest.mark.db, pytest.mark.django_db, pytest.mark.sqlite_only]

OWN_FILE = "evaluation_samples.jsonl"


def sample(step, prompt, response, name="evaluation_prompt", **further):
    return {"step": step, name: prompt, "response": response, **further}


def write(run, rows, name="samples.jsonl", more=""):
    (run.path / name).write_text("".join(json.dumps(row) + "\n" for row in rows) + more)


def evaluations(steps):
    return [sample(step, prompt, f"{prompt} {step}.") for step in steps for prompt in ("Tea?", "Cake?")]


def shown_steps(found):
    return [answer.step for answer in found.answers]


@pytest.fixture
def answers_of(client, max_):
    """The part of a run's page with the answers, by the query of its address."""
    client.force_login(max_)
    return lambda run, query="": client.get(reverse("runs:answers", args=["kitchen", run.pk]) + query)


@pytest.fixture
def page_of(client, max_):
    client.force_login(max_)
    return lambda run: client.get(reverse("runs:run", args=["kitchen", run.pk])).content.decode()


def test_one_prompt_is_shown_over_the_steps(ppo_run, answers_of, page_of):
    """Texts of training prompts are among them, and a step's last answer is that of the policy that was saved."""
    rows = [
        sample(0, "Tea?", "No.", score="-1.0000", kl="0.0000"),
        sample(0, "Cake?", "What <cake>?", score="0.1000"),
        sample(1, "Tea?", "of the training", name="prompt"),
        {"step": 2, "prompt": 'an "evaluation_prompt"', "response": "not one"},
        sample(4, "Tea?", "Early.", score="0.5000", kl="1.2500"),
        sample(4, "Tea?", "Yes, please.", score="1.5000", kl="1.2600"),
        sample(4, "Cake?", "Yes."),
    ]
    run = ppo_run([])
    write(run, rows, more='{"step": 5, "ev')
    found = fixed_prompts(run)
    assert found.prompts == ("Tea?", "Cake?") and (found.n_found, found.is_cut) == (2, False)
    assert [(answer.step, answer.text, answer.score, answer.kl) for answer in found.answers] == [
        (0, "No.", "-1.0000", "0.0000"),
        (4, "Yes, please.", "1.5000", "1.2600"),
    ]
    assert [answer.text for answer in fixed_prompts(run, 1).answers] == ["What <cake>?", "Yes."]
    page = page_of(run)
    assert "One prompt over the steps" in page and "Yes, please." in page
    part = answers_of(run, "?prompt=1").content.decode()
    assert (
        "What &lt;cake&gt;?" in part
        and "Yes, please." not in part
        and '<option value="1" selected>Cake?' in part
    )
    for wrong in ("9", "-1", "x", "9" * 40):
        assert "Yes, please." in answers_of(run, f"?prompt={wrong}").content.decode()


def test_a_run_of_before_shows_no_prompt_over_the_steps(ppo_run, answers_of, page_of):
    run = ppo_run([])
    write(run, [sample(1, "Tea?", "Yes.", name="prompt")])
    Run.objects.filter(pk=run.pk).update(state="cancelled", finished_at=timezone.now())
    page = page_of(run)
    assert "One prompt over the steps" not in page and "Yes." in page
    Run.objects.filter(pk=run.pk).update(kind="policy.sft")  # its prompts are the same at every step
    page = page_of(run)
    assert "One prompt over the steps" in page


def test_a_run_with_a_file_of_these_answers_is_shown_by_that_file_alone(ppo_run, page_of):
    """Whatever else it wrote: in samples.jsonl 10,000 steps' rollouts may stand before the newest answer."""
    run = ppo_run([])
    write(run, evaluations([0, 9000]), OWN_FILE)
    write(run, [sample(1, "Another?", "No.")])
    found = fixed_prompts(run)
    assert (found.prompts, shown_steps(found)) == (("Tea?", "Cake?"), [0, 9000])
    assert f"files/{OWN_FILE}" in page_of(run)


def test_of_a_long_file_the_newest_answers_are_shown_and_the_page_says_what_is_not(
    ppo_run, answers_of, page_of, monkeypatch
):
    """A run that was begun without such a file: rollouts of every step stand among the answers."""
    run = ppo_run([])
    rows = [
        row
        for step in range(100)
        for row in (
            sample(step, "Why?", "x" * 200, name="prompt"),
            *evaluations([step] if step % 10 == 0 else []),
        )
    ]
    write(run, rows)
    size = (run.path / "samples.jsonl").stat().st_size
    monkeypatch.setattr("runs.fixed_prompts.READ_BYTES", size // 2)
    found = fixed_prompts(run)
    # Half of the steps, but for the first evaluation in it, of which a part may be cut off.
    assert (found.is_cut, found.prompts, shown_steps(found)) == (True, ("Tea?", "Cake?"), [60, 70, 80, 90])
    part = answers_of(run).content.decode()
    assert "Answers from before step 60 are not shown" in part and "Tea? 90." in part
    monkeypatch.setattr("runs.fixed_prompts.READ_BYTES", 1000)
    Run.objects.filter(pk=run.pk).update(state="cancelled", finished_at=timezone.now())
    assert "There are no such answers at the end of" in page_of(run)


def test_of_very_many_answers_some_are_shown_evenly_the_ends_among_them(ppo_run, answers_of, monkeypatch):
    monkeypatch.setattr("runs.fixed_prompts.SHOWN_ANSWERS", 5)
    run = ppo_run([])
    write(run, evaluations(range(0, 410, 10)), OWN_FILE)
    found = fixed_prompts(run)
    assert (shown_steps(found), found.n_found) == ([0, 100, 200, 300, 400], 41)
    assert "5 of 41 answers, evenly over the steps" in answers_of(run).content.decode()


def test_reading_takes_memory_for_what_is_shown_only(ppo_run):
    run = ppo_run([])
    row = sample(1, "Why?", "x" * 5000, name="prompt")
    write(run, [*evaluations([0]), *[row] * 1600, *evaluations([1600])])
    assert (run.path / "samples.jsonl").stat().st_size > 8_000_000
    tracemalloc.start()
    found = fixed_prompts(run)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert shown_steps(found) == [0, 1600] and peak < 1_000_000


def polled_address(part):
    """The query with which a part asks for itself again; None where it does not."""
    if 'hx-trigger="every 30s"' not in part:
        return None
    return "?" + part.split("/answers/?", 1)[1].split('"', 1)[0].replace("&amp;", "&")


def test_a_poll_for_what_is_shown_already_is_answered_without_reading(
    ppo_run, answers_of, page_of, monkeypatch
):
    run = ppo_run([])
    write(run, evaluations([0]), OWN_FILE)
    query = polled_address(answers_of(run, "?prompt=1").content.decode())
    assert query.startswith("?prompt=1&version=")
    assert polled_address(page_of(run)) == query.replace("prompt=1", "prompt=0")
    # Steps between evaluations change nothing of it.
    write(run, [sample(1, "Why?", "x", name="prompt")])
    with monkeypatch.context() as patch:
        patch.setattr("runs.fixed_prompts.open_plain", lambda path: pytest.fail("it was read"))
        assert answers_of(run, query).status_code == 204
    write(run, evaluations([0, 10]), OWN_FILE)
    answer = answers_of(run, query)
    assert answer.status_code == 200 and "Cake? 10." in answer.content.decode()
    query = polled_address(answer.content.decode())
    assert answers_of(run, query).status_code == 204
    # The end comes once more, and ends the polling.
    Run.objects.filter(pk=run.pk).update(state="cancelled", finished_at=timezone.now())
    answer = answers_of(run, query)
    assert answer.status_code == 200 and polled_address(answer.content.decode()) is None


@pytest.mark.parametrize(
    "line", ["[1]", "7", "{", "[" * 5000, '{"step": "x", "evaluation_prompt": "Tea?", "response": "No."}',
             '{"step": 2, "evaluation_prompt": ["Tea?"], "response": "No."}', '{"step": 2, "evaluation_prompt": "a"}'],
)  # fmt: skip
def test_lines_of_another_shape_are_left_out(ppo_run, line):
    run = ppo_run([])
    write(run, evaluations([0]), OWN_FILE, more=f"{line}\n{json.dumps(sample(3, 'Tea?', 'Yes.'))}\n")
    assert fixed_prompts(run).prompts == ("Tea?", "Cake?")
    assert shown_steps(fixed_prompts(run)) == [0, 3]
