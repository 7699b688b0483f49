"""Throughput, forecast and costs of a batch: from counts put there by hand, by page, command and API."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from annotation.batches.pay import pay_rate, set_pay_rate, shown_pay
from annotation.errors import InvalidPayRate
from annotation.models import PayRate, WorkCount
from annotation.review import throughput
from annotation.review.throughput import read_throughput
from workspace.accounts import create_machine_annotator
from workspace.models import AuditEvent, Project
from workspace.shown_values import ChangedMeanwhile

pytestmark = [pytest.mark.db, pytest.mark.django_db]
NOW = datetime(2026, 11, 25, 20, 30, tzinfo=UTC)  # in Tokyo the 26th, 5:30


@pytest.fixture
def batch(make_batch, ada, max_, monkeypatch):
    """Of 100 tasks; ada judged 3 on the first day, then 4, 6, 5 (three quarters of an hour each day), and 2 today; a
    machine judged 10 of another kind of work, which is not paid.
    """
    batch = make_batch(tasks=100)
    for days, judgments in ((4, 3), (3, 4), (2, 6), (1, 5), (0, 2)):
        WorkCount.objects.create(
            batch=batch,
            annotator_id=ada.pk,
            quarter=datetime(2026, 11, 25, 12, tzinfo=UTC) - timedelta(days=days),
            judgments=judgments,
            counted=judgments,
            seconds=2700,
        )
    machine = create_machine_annotator(actor=max_, project=batch.project, name="robot", kind="simulated")
    hour = datetime(2026, 11, 25, 20, tzinfo=UTC)
    WorkCount.objects.create(
        batch=batch, annotator_id=machine.pk, quarter=hour, judgments=10, counted=0, seconds=9999
    )
    monkeypatch.setattr(throughput.timezone, "now", lambda: NOW)
    return batch


def test_days_and_hours_and_when_it_will_be_done(batch):
    found = read_throughput(batch, with_cost=False)
    assert list(found.by_day.values()) == [0] * 10 + [3, 4, 6, 5, 12]
    assert len(found.by_hour) == 24 and list(found.by_hour.values())[-1] == 10
    assert sum(found.by_hour.values()) == 12
    # Three whole days of 5 a day, the first and today left out: 100 more in twenty days.
    assert (found.whole_days, found.per_day, found.remaining) == (3, 5.0, 100)
    assert found.expected_at == NOW + timedelta(days=20)
    assert found.earliest_at < found.expected_at < found.latest_at
    assert found.cost is None


def test_hours_are_those_of_the_projects_clocks(batch):
    """At 20:30 UTC it is 2:00 in Kolkata: what the machine did at 20:00 belongs to the hour before."""
    type(batch.project).objects.filter(pk=batch.project_id).update(time_zone="Asia/Kolkata")
    batch.project.refresh_from_db()
    found = read_throughput(batch, with_cost=False)
    hours = list(found.by_hour.items())
    assert [hour.strftime("%H:%M") for hour, _ in hours[-2:]] == ["19:30", "20:30"]
    assert [number for _, number in hours[-2:]] == [10, 0] and sum(found.by_hour.values()) == 12


def test_days_are_those_of_the_project(batch):
    WorkCount.objects.filter(quarter=datetime(2026, 11, 24, 12, tzinfo=UTC)).update(
        quarter=datetime(2026, 11, 24, 15, tzinfo=UTC)
    )
    Project.objects.update(time_zone="Asia/Tokyo")
    batch.project.refresh_from_db()
    # 15:00 UTC is midnight there; today is the 26th.
    assert list(read_throughput(batch, with_cost=False).by_day.values())[-6:] == [3, 4, 6, 0, 7, 10]


@pytest.mark.parametrize(
    ("unit", "amount", "so_far", "each"),
    [("hour", "16", "60", "3"), ("judgment", "0.25", "5", "0.25")],
)
def test_costs_are_those_of_people(batch, max_, unit, amount, so_far, each):
    set_pay_rate(actor=max_, project=batch.project, unit=unit, amount=Decimal(amount), currency="eur")
    cost = read_throughput(batch, with_cost=True).cost
    # 5 times three quarters of an hour, 20 judgments, 100 to come.
    assert (cost.so_far, cost.per_judgment, cost.to_come) == (
        Decimal(so_far),
        Decimal(each),
        100 * Decimal(each),
    )
    assert cost.currency == "EUR"


def test_pay_is_set_once_refused_when_wrong_and_taken_away(project, max_):
    seen = shown_pay(project)
    rate = set_pay_rate(
        actor=max_, project=project, unit="hour", amount=Decimal("18.5"), currency="EUR", shown=[seen]
    )
    assert str(rate) == "18.5 EUR per active hour"
    with pytest.raises(ChangedMeanwhile):
        set_pay_rate(actor=max_, project=project, unit="", shown=[seen])
    with pytest.raises(InvalidPayRate) as refused:
        set_pay_rate(actor=max_, project=project, unit="week", amount=Decimal("-1"), currency="EURO")
    assert set(refused.value.fields) == {"unit", "amount", "currency"}
    set_pay_rate(actor=max_, project=project, unit="hour", amount=Decimal("18.50"), currency="eur")
    assert PayRate.objects.count() == 1
    set_pay_rate(actor=max_, project=project, unit="")
    assert pay_rate(project) is None
    told = AuditEvent.objects.filter(action="project.set_pay_rate").order_by("pk")
    assert [event.details["now"]["amount"] for event in told] == ["18.5", ""]


def test_by_page_command_and_program(client, program, batch, ruth, max_):
    slug = batch.project.slug
    call_command("set_pay_rate", slug, "hour", "16", "EUR")
    for wrong in (["hour", "much", "EUR"], ["hour"]):
        with pytest.raises(CommandError):
            call_command("set_pay_rate", slug, *wrong)
    pages = [
        reverse("annotation:all_throughput", args=[slug]),
        reverse("annotation:throughput", args=[slug, batch.pk]),
    ]
    client.force_login(ruth)
    for address in pages:
        page = client.get(address).content.decode()
        assert "0 of 100" in page and "likeliest 15 Dec" in page and "60.00" not in page
    client.force_login(max_)
    for address in pages:
        page = client.get(address).content.decode()
        assert "60.00" in page and "300.00" in page
    form = {"unit": "judgment", "amount": "0.5", "currency": "USD", "shown": shown_pay(batch.project)}
    address = reverse("annotation:set_pay_rate", args=[slug])
    assert client.post(address, form | {"amount": "none"}).status_code == 422
    assert client.post(address, form).status_code == 302
    assert client.post(address, form | {"amount": "9"}).status_code == 409
    client.logout()
    answer = program(max_)("GET", f"projects/{slug}/batches/{batch.pk}/throughput").json()
    assert (answer["quota"], answer["per_day"], answer["cost"]["so_far"]) == (100, 5.0, "10.0000")
    assert answer["by_day"]["2026-11-25"] == 12 and answer["by_hour"]["2026-11-25T20:00:00Z"] == 10
    assert program(ruth)("GET", f"projects/{slug}/batches/{batch.pk}/throughput").json()["cost"] is None
