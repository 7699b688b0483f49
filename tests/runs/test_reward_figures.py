"""The pictures of a PPO run: what stands in metrics.jsonl, counted by hand."""

import json
import re

import pytest
from django.urls import reverse

from runs.reward_figures import bin_counts, reward_figures

pytestmark = [pytest.mark.db, pytest.mark.django_db]


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


def test_of_a_long_run_the_newest_steps_are_drawn_too(ppo_run, monkeypatch):
    monkeypatch.setattr("runs.reward_figures.PART_BYTES", 1000)
    rows = [
        {"step": n, "phase": "policy", "kl": float(n), "score": n / 10, "other": "x" * 50}
        for n in range(1, 101)
    ]
    rows[-1]["eval_scores"] = [1.0, 2.0]
    figures = reward_figures(ppo_run(rows))
    assert (figures.frontier.first, figures.frontier.last) == ((1.0, 0.1), (10.0, 10.0))
    assert [histogram.label for histogram in figures.histograms] == ["Step 100"]


def test_a_poll_for_the_pictures_that_are_shown_is_answered_without_reading(
    client, ppo_run, ruth, monkeypatch
):
    client.force_login(ruth)
    run = ppo_run([{"step": 1, "phase": "policy", "initial_scores": [1, 2]}])
    address = reverse("runs:figures", args=["kitchen", run.pk])
    version = re.search(r"figures/\?version=(\w+)", client.get(address).content.decode())[1]
    page = client.get(reverse("runs:run", args=["kitchen", run.pk])).content.decode()
    assert f"figures/?version={version}" in page
    with monkeypatch.context() as patch:
        patch.setattr("runs.views.reward_figures", lambda run: pytest.fail("it was read"))
        assert client.get(address, {"version": version}).status_code == 204
    (run.path / "result.json").write_text(json.dumps({"scores_after": [3.0]}))
    part = client.get(address, {"version": version})
    assert part.status_code == 200 and "The policy that was saved" in part.content.decode()
