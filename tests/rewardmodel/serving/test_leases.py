"""Who starts and stops the service of a reward model, which worker has it, and what makes room for what."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from rewardmodel.models import Serving
from rewardmodel.serving.actions import start_serving, stop_serving
from rewardmodel.serving.errors import ServingRefused
from rewardmodel.serving.kind import SCORERS
from runs.launchers import Process
from runs.serving.leases import (
    LostService,
    claim_service,
    end_service,
    record_ready,
    record_server,
    renew,
)
from workspace.database import database_now_plus
from workspace.models import AuditEvent

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def claim(name="first"):
    return claim_service(SCORERS, worker_name=name, host="here", lease_seconds=30)


def audited():
    found = AuditEvent.objects.filter(action__startswith="reward_model.").order_by("pk")
    return [(event.action.removeprefix("reward_model."), event.actor.username) for event in found]


@pytest.fixture
def start(make_model, max_):
    def start(name):
        return start_serving(actor=max_, reward_model=make_model(name))

    return start


@pytest.fixture
def ready(start):
    """One that is served, ready and last used so many seconds ago."""

    def ready(name, *, ready_for=100.0, unused_for=None):
        start(name)
        serving = claim().service
        record_ready(serving, address="127.0.0.1:1", secret="s", lease_seconds=30)
        Serving.objects.filter(pk=serving.pk).update(
            ready_at=database_now_plus(-ready_for),
            last_used_at=None if unused_for is None else database_now_plus(-unused_for),
        )
        serving.refresh_from_db()
        return serving

    return ready


def test_a_start_and_a_stop_are_one_audit_row_each_and_a_second_one_is_none(make_model, max_, settings):
    model = make_model("taste")
    with pytest.raises(ServingRefused, match="is not being served"):
        stop_serving(actor=max_, reward_model=model)
    assert start_serving(actor=max_, reward_model=model).state == "waiting"
    assert start_serving(actor=max_, reward_model=model, on_request=True).state == "waiting"
    assert stop_serving(actor=max_, reward_model=model).state == "stopped"
    with pytest.raises(ServingRefused, match="is not being served"):
        stop_serving(actor=max_, reward_model=model)
    start_serving(actor=max_, reward_model=model, on_request=True)
    assert audited() == [("serve", "max"), ("stop_serving", "max"), ("serve", "max")]
    assert AuditEvent.objects.order_by("-pk").first().details == {"on_request": True}
    settings.SCORER_MAX_MODELS = 0
    with pytest.raises(ServingRefused, match="serves no reward models"):
        start_serving(actor=max_, reward_model=model)


def test_a_stop_that_is_not_carried_out_yet_is_taken_back_by_a_start(ready, max_):
    serving = ready("taste")
    assert stop_serving(actor=max_, reward_model=serving.reward_model).stop_requested
    assert renew(serving, 30) is True
    found = start_serving(actor=max_, reward_model=serving.reward_model)
    assert (found.state, found.stop_requested) == ("ready", False)


def test_one_worker_has_it_and_the_next_one_only_when_its_lease_has_lapsed(start):
    start("taste")
    first = claim("first")
    assert (first.service.state, first.service.fence, first.previous_process) == ("starting", 1, None)
    assert claim("second") is None
    record_server(first.service, Process(host="here", pid=4321, identity="boot:1"), "here", 30)
    Serving.objects.update(lease_until=Now() - timedelta(seconds=1))
    second = claim("second")
    assert (second.service.fence, second.service.worker_name) == (2, "second")
    assert second.previous_process == Process(host="here", pid=4321, identity="boot:1")
    for write in (
        lambda: renew(first.service, 30),
        lambda: record_ready(first.service, address="127.0.0.1:1", secret="s", lease_seconds=30),
        lambda: end_service(first.service, "stopped"),
    ):
        with pytest.raises(LostService):
            write()
    assert Serving.objects.get().fence == 2


def test_the_least_recently_used_one_makes_room(ready, start, settings):
    settings.SCORER_MAX_MODELS = 3
    old, never, used = ready("old", unused_for=50), ready("never", ready_for=60), ready("used", unused_for=2)
    start("next")
    assert claim() is None and claim() is None
    asked = Serving.objects.filter(stop_requested=True)
    # Never used since it was ready, a minute ago: longer than the 50 s of the other.
    assert [serving.pk for serving in asked] == [never.pk]
    end_service(never, "stopped", reason="to make room")
    assert claim().service.reward_model.name == "next"
    assert {serving.pk for serving in Serving.objects.filter(state="ready")} == {old.pk, used.pk}


def test_a_model_that_was_just_loaded_answers_before_it_makes_room(ready, start, settings):
    settings.SCORER_MAX_MODELS = 1
    serving = ready("fresh", ready_for=1)
    start("next")
    assert claim() is None and not Serving.objects.filter(stop_requested=True).exists()
    Serving.objects.filter(pk=serving.pk).update(ready_at=database_now_plus(-6))
    assert claim() is None and Serving.objects.get(stop_requested=True).pk == serving.pk


def test_three_failures_in_a_row_end_it_for_a_while(start):
    start("taste")
    for number in (1, 2, 3):
        end_service(claim().service, "waiting", error=f"It broke, {number}.")
    serving = Serving.objects.get()
    assert (serving.state, serving.error, serving.failures) == ("failed", "It broke, 3.", 3)
    assert 50 < (serving.retry_at - timezone.now()).total_seconds() <= 60
    assert claim() is None
    assert audited() == [("serve", "max"), ("serving_failed", "max")]
