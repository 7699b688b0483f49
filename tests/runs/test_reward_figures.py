"""The pictures of a PPO run: what stands in metrics.jsonl, counted by hand."""

import json

import pytest
from django.urls import reverse
from django.utils import timezone

from runs.fixed_prompts import fixed_prompts
from runs.models import Run
from runs.reward_figures import bin_counts, reward_figures

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def ppo_run(project, max_):
    def make(rows, result=None) -> Run:
        run = Run.objects.create(
            project=project, kind="policy.ppo", title="PPO: base to new", config={}, requested_by=max_
        )
        run.path.mkdir(parents=True)
        (run.path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        if result is not None:
            (run.path / "result.json").write_text(json.dumps(result))
        return run

    return make


def test_scores_are_counted_into_equal_parts_with_the_end_in_the_last():
    assert bin_counts([0.0, 0.24, 0.25, 0.5, 0.99, 1.0], 0.0, 1.0, 4) == [2, 1, 1, 2]


def test_histograms_share_one_scale_and_the_frontier_is_drawn_over_the_root_of_the_kl(ppo_run):
    rows = [
        {"step": 1, "phase": "critic", "kl": 0.0, "score": 0.0, "initial_scores": [-1.0, 0.0, 1.0]},
        {"step": 2, "phase": "policy", "kl": 1.0, "score": 0.5, "eval_scores": [0.0, 0.0, 3.0]},
        {"step": 3, "phase": "policy", "kl": 4.0, "score": 1.5},
        {"step": 4, "phase": "policy", "kl": "nan", "score": 9.0},
    ]
    figures = reward_figures(ppo_run(rows, {"scores_after": [2.0, 2.0, 2.0]}))
    assert (figures.low, figures.high) == (-1.0, 3.0)
    assert [(h.label, h.mean, h.least, h.most) for h in figures.histograms] == [
        ("Before training", 0.0, -1.0, 1.0),
        ("Step 2", 1.0, 0.0, 3.0),
        ("The policy that was saved", 2.0, 2.0, 2.0),
    ]
    # 24 parts of a sixth: 0 begins the seventh, 3 is in the last; two of three scores make the tallest bar.
    assert [(bar.x, bar.height) for bar in figures.histograms[1].bars] == [
        ("25.20", "60.00"),
        ("96.03", "30.00"),
    ]
    frontier = figures.frontier
    assert (frontier.first, frontier.last) == ((1.0, 0.5), (2.0, 1.5))
    # x from 2 to 98 over 0 to 2, y from 58 (the lowest score) to 2.
    assert frontier.line == "50.00,58.00 98.00,2.00"


def sample(step, prompt, response, name="evaluation_prompt", **further):
    return {"step": step, name: prompt, "response": response, **further}


def test_one_prompt_is_shown_over_the_steps(ppo_run, client, max_):
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
    (run.path / "samples.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in rows) + '{"step": 5, "ev'
    )
    tea, cake = fixed_prompts(run)
    found = [(answer.step, answer.text, answer.score, answer.kl) for answer in tea.answers.values()]
    assert found == [(0, "No.", "-1.0000", "0.0000"), (4, "Yes, please.", "1.5000", "1.2600")]
    assert (tea.text, cake.text, list(cake.answers)) == ("Tea?", "Cake?", [0, 4])
    client.force_login(max_)
    page = client.get(reverse("runs:run", args=["kitchen", run.pk])).content.decode()
    assert "One prompt over the steps" in page and "Yes, please." in page
    address = reverse("runs:answers", args=["kitchen", run.pk])
    part = client.get(address, {"prompt": "1"}).content.decode()
    assert (
        "What &lt;cake&gt;?" in part
        and "Yes, please." not in part
        and '<option value="1" selected>Cake?' in part
    )
    for wrong in ("9", "-1", "x", "9" * 40):
        assert "Yes, please." in client.get(address, {"prompt": wrong}).content.decode()


def test_a_run_of_before_shows_no_prompt_over_the_steps(ppo_run, client, max_):
    run = ppo_run([])
    (run.path / "samples.jsonl").write_text(json.dumps(sample(1, "Tea?", "Yes.", name="prompt")) + "\n")
    Run.objects.filter(pk=run.pk).update(state="cancelled", finished_at=timezone.now())
    client.force_login(max_)
    page = client.get(reverse("runs:run", args=["kitchen", run.pk])).content.decode()
    assert "One prompt over the steps" not in page and "Yes." in page
    Run.objects.filter(pk=run.pk).update(kind="policy.sft")  # its prompts are the same at every step
    page = client.get(reverse("runs:run", args=["kitchen", run.pk])).content.decode()
    assert "One prompt over the steps" in page


def test_of_many_evaluations_six_are_shown_the_ends_among_them(ppo_run):
    rows = [{"step": n, "phase": "policy", "eval_scores": [float(n)]} for n in range(1, 41)]
    labels = [histogram.label for histogram in reward_figures(ppo_run(rows)).histograms]
    assert len(labels) == 6 and (labels[0], labels[-1]) == ("Step 1", "Step 40")


def test_the_page_shows_them_and_copes_with_a_run_that_wrote_nothing(client, ppo_run, ruth):
    client.force_login(ruth)
    run = ppo_run([{"step": 1, "phase": "policy", "initial_scores": [1, 2, "x", True]}])
    page = client.get(reverse("runs:run", args=["kitchen", run.pk])).content.decode()
    assert "Scores of 2 answers: mean 1.50, from 1.00 to 2.00" in page and 'hx-trigger="every 30s"' in page
    part = client.get(reverse("runs:figures", args=["kitchen", run.pk])).content.decode()
    assert "Before training" in part and "<html" not in part
    empty = ppo_run([])
    assert (
        "Scores appear here"
        in client.get(reverse("runs:figures", args=["kitchen", empty.pk])).content.decode()
    )
