"""Model servers are asked before rounds that start without a form, too, and never inside a transaction."""

from datetime import time

import pytest
from django.db import connection
from django.utils import timezone

from rounds import servers
from rounds.actions import start_next_round
from rounds.errors import RoundRefused
from rounds.models import Round, Stage
from rounds.plans import preset_plan, with_assignments
from rounds.schedules.firing import fire_due_schedules
from rounds.schedules.triggers import every_week
from rounds.stages.machine import advance_round
from runs.models import Run
from tests.policy_training.training.model_servers import serving
from tests.rounds.schedules.conftest import HOUR, MONDAY
from tests.rounds.schedules.conftest import add_schedule as add_schedule
from tests.rounds.test_servers import listing
from tests.rounds.test_servers import nobody as nobody
from tests.rounds.test_servers import reachable as reachable

pytestmark = [pytest.mark.db, pytest.mark.django_db]
AWAY = "“toy” does not answer now"


@pytest.fixture
def answering(reachable):
    with serving(lambda number, path, body: listing("m")) as server:
        reachable(server.address)
        yield server


@pytest.fixture
def asked_inside(monkeypatch):
    """For each time that a server was asked: how many transactions were open beside the test's own."""
    own, found, really_ask = len(connection.savepoint_ids), [], servers.require_answering_server

    def ask(name, models):
        found.append(len(connection.savepoint_ids) - own)
        really_ask(name, models)

    monkeypatch.setattr(servers, "require_answering_server", ask)
    return found


def plan_with_server(*assignments):
    server = ("sampling.options.server.name=toy", "sampling.options.server.model=m")
    return with_assignments(preset_plan("tiny"), [*server, *assignments])


def at_scoring(round_, finish_round, **run):
    """The round at its last stage, whose run is as given."""
    finish_round(round_)
    run = Run.objects.create(
        project=round_.project,
        kind="rewardmodel.score",
        title="score",
        config={},
        requested_by=round_.started_by,
        **run,
    )
    round_.round_runs.create(run=run, stage=Stage.SCORING)
    Round.objects.filter(pk=round_.pk).update(stage=Stage.SCORING, finished_at=None)
    return round_


def done():
    return {"state": "done", "finished_at": timezone.now()}


@pytest.fixture
def of_before(begin, finish_round, answering):
    return finish_round(begin(plan=plan_with_server()))


def test_the_button_asks_before_the_next_round(of_before, answering, asked_inside, max_):
    second = start_next_round(actor=max_, round_=of_before)
    assert second.number == 2 and asked_inside == [0]
    assert [path for path, _, _ in answering.requests] == ["/v1/models"] * 2


def test_the_button_refuses_a_next_round_whose_server_is_away(of_before, nobody, max_):
    with pytest.raises(RoundRefused, match=AWAY):
        start_next_round(actor=max_, round_=of_before)
    assert Round.objects.count() == 1


def test_a_round_that_goes_on_by_itself_asks_when_it_is_over(begin, finish_round, answering, asked_inside):
    round_ = at_scoring(begin(plan=plan_with_server()), finish_round)
    assert asked_inside == [0]
    assert not advance_round(round_.pk)
    assert len(asked_inside) == 1  # not at each look of the worker
    Run.objects.filter(kind="rewardmodel.score").update(**done())
    assert advance_round(round_.pk)
    assert (Round.objects.count(), asked_inside) == (2, [0, 0])


def test_a_round_is_done_and_opens_none_whose_server_is_away(begin, finish_round, answering, nobody):
    plan = plan_with_server()
    round_ = at_scoring(
        begin(plan=with_assignments(plan, ["servers_may_be_away=true"])), finish_round, **done()
    )
    Round.objects.update(plan={**round_.plan, "servers_may_be_away": False})
    assert advance_round(round_.pk)
    round_.refresh_from_db()
    assert round_.stage == Stage.DONE and Round.objects.count() == 1
    reason = round_.stage_entries.last().reason
    assert "the next round was not opened" in reason and AWAY in reason


def test_a_schedule_asks_before_it_locks_anything(add_schedule, answering, asked_inside):
    schedule = add_schedule(every_week(0, time(9, 0)), plan=plan_with_server())
    assert fire_due_schedules(MONDAY + HOUR) == 1
    assert schedule.firings.get().state == "started"
    assert asked_inside == [0, 0]  # when it was made, and when it fired


def test_a_schedule_whose_server_is_away_fails_with_a_sentence(add_schedule, answering, reachable):
    schedule = add_schedule(every_week(0, time(9, 0)), plan=plan_with_server())
    with serving(lambda number, path, body: (503, {}, b"busy")) as busy:
        reachable(busy.address)
        assert fire_due_schedules(MONDAY + HOUR) == 1
    firing = schedule.firings.get()
    assert firing.state == "failed" and AWAY in firing.error and not Round.objects.exists()
