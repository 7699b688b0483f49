"""A round against time: bars and the line of judgments stand where the recorded instants say."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from annotation.judging.actions import JudgmentInput, submit_judgment
from annotation.queue.actions import claim_task
from rounds.models import Round, RoundRun, Stage, StageEntry
from rounds.reports import HeadToHead
from rounds.round_figures import time_figure
from runs.line_pictures import line_picture
from runs.models import Run
from runs.states import RunState

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def dated_round(annotating_round, project, max_):
    """100 seconds: 10 of waiting for a worker and 20 of sampling, then people."""
    begun = timezone.now() - timedelta(seconds=100)
    Round.objects.filter(pk=annotating_round.pk).update(created_at=begun)
    run = Run.objects.create(
        project=project, kind="policy.sample", title="Sample", config={}, requested_by=max_
    )
    Run.objects.filter(pk=run.pk).update(
        state=RunState.DONE,
        created_at=begun,
        started_at=begun + timedelta(seconds=10),
        finished_at=begun + timedelta(seconds=30),
    )
    RoundRun.objects.create(round=annotating_round, run=run, stage=Stage.SAMPLING)
    StageEntry.objects.filter(round=annotating_round, stage=Stage.SAMPLING).update(created_at=begun)
    StageEntry.objects.filter(round=annotating_round, stage=Stage.ANNOTATING).update(
        created_at=begun + timedelta(seconds=40)
    )
    return Round.objects.get(pk=annotating_round.pk)


def test_bars_stand_where_the_instants_say(dated_round):
    figure = time_figure(dated_round)
    sampling, annotating = figure.rows
    assert [bar.kind for bar in sampling.bars] == ["worker", "computing"]
    places = [(float(bar.x), float(bar.width)) for bar in (*sampling.bars, *annotating.bars)]
    expected = [(0, 10), (10, 20), (40, 60)]
    assert places == [pytest.approx(place, abs=0.5) for place in expected]
    assert annotating.bars[0].kind == "people" and annotating.line == ""
    assert dict(figure.kinds).keys() == {"computing", "people", "worker"}
    assert "10 s" in sampling.said and "20 s" in sampling.said


def test_the_line_of_judgments_ends_at_the_top_where_all_are_in(dated_round, ada):
    assignment = claim_task(actor=ada, project=dated_round.project)
    content = JudgmentInput(tiers=[["A"], ["B"]], strengths=[1], seconds=1.0)
    submit_judgment(actor=ada, assignment=assignment, content=content, idempotency_key="the-only-one")
    line = time_figure(dated_round).rows[1].line
    points = [tuple(map(float, point.split(","))) for point in line.split()]
    assert points[0] == (0, 19) and points[-1] == (100, 1)
    assert all(y == 19 for x, y in points if x < 97)


def test_the_page_draws_it_and_says_it(client, dated_round, max_):
    client.force_login(max_)
    page = client.get(reverse("rounds:round", args=[dated_round.project.slug, dated_round.number]))
    content = page.content.decode()
    assert 'id="time-rows"' in content and "time-people" in content
    assert "Sample: waits for a worker 10 s, a worker computes 20 s" in content


def test_a_share_is_settled_where_its_interval_leaves_out_the_half():
    def met(wins, losses):
        by_prompt = [(1.0, 1)] * wins + [(0.0, 1)] * losses
        return HeadToHead(None, "older", "", wins, 0, losses, 0, 0, by_prompt)

    # Wilson's interval at 95 %: 60 of 100 is 50.2 to 69.1, 59 of 100 is 49.2 to 68.1 (Agresti and Coull 1998).
    assert met(60, 40).is_settled and met(40, 60).is_settled
    assert not met(59, 41).is_settled and not met(5, 5).is_settled


def test_a_curve_goes_from_its_first_value_to_its_last():
    picture = line_picture("KL", [(0, 1.0), (5, 3.0), (10, 2.0)], last_step=10)
    assert picture.line == "2.00,57.00 50.00,3.00 98.00,30.00"
    assert (picture.first, picture.last, picture.low, picture.high) == ("1.00", "2.00", "1.00", "3.00")
    assert picture.band == ""
    flat = line_picture("KL", [(0, 50.0), (4, 50.0)], last_step=4, scale=(0.0, 100.0), digits=0)
    assert flat.line == "2.00,30.00 98.00,30.00" and flat.middle == "30.00"
