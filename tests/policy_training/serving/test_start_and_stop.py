"""A policy's server is started, seen and stopped by a page and by command, under the same checks."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from policy_training.models import PolicyServing
from policy_training.serving.actions import (
    PolicyServingRefused,
    start_policy_serving,
    stop_policy_serving,
)
from workspace.database import database_now_plus
from workspace.models import AuditEvent

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def policy(make_served_policy):
    return make_served_policy("base")


def make_ready(policy, actor):
    start_policy_serving(actor=actor, policy=policy)
    PolicyServing.objects.filter(policy=policy).update(
        state="ready", fence=1, lease_until=database_now_plus(60), address="127.0.0.1:9", secret="s"
    )


def test_by_page_a_reviewer_sees_it_and_a_manager_starts_and_stops_it(policy, project, max_, ruth, client):
    page = reverse("policies:policy", args=[project.slug, policy.pk])
    client.force_login(ruth)
    assert "Stopped" in (shown := client.get(page).content.decode()) and "start-serving" not in shown
    assert client.post(f"{page}serving/start/").status_code == 404
    client.force_login(max_)
    client.post(f"{page}serving/start/")
    assert PolicyServing.objects.get().state == "waiting"
    shown = client.get(f"{page}serving/").content.decode()
    assert "Waiting for a worker" in shown and "none that serves models is alive" in shown
    assert "stop-serving" in shown and "start-serving" not in shown
    client.post(f"{page}serving/stop/")
    assert PolicyServing.objects.get().state == "stopped"
    PolicyServing.objects.update(state="failed", error="The model's files are gone.")
    shown = client.get(page).content.decode()
    assert "files are gone" in shown and "Clear the error" in shown
    actions = AuditEvent.objects.filter(action__startswith="policy.").order_by("pk")
    assert list(actions.values_list("action", "actor__username")) == [
        ("policy.serve", max_.username),
        ("policy.stop_serving", max_.username),
    ]


def test_by_program_under_the_same_checks(policy, project, max_, ruth, program):
    call, address = program(max_, project), f"projects/{project.slug}/policies/{policy.pk}/serving"
    found = call("GET", address).json()
    assert (found["policy"], found["state"], found["requested_at"]) == (policy.pk, "stopped", None)
    assert program(ruth, project, role="reviewer")("POST", f"{address}/start").status_code == 404
    assert call("POST", f"{address}/start").json()["state"] == "waiting"
    assert call("GET", address).json()["worker_alive"] is False
    assert call("POST", f"{address}/stop").json()["state"] == "stopped"
    refused = call("POST", f"{address}/stop")
    assert (refused.status_code, refused.json()["code"]) == (409, "serving_refused")


def test_one_that_is_being_unloaded_is_not_taken_back(policy, max_):
    make_ready(policy, max_)
    stop_policy_serving(actor=max_, policy=policy)
    with pytest.raises(PolicyServingRefused, match="being unloaded"):
        stop_policy_serving(actor=max_, policy=policy)
    with pytest.raises(PolicyServingRefused, match="finishes what it writes"):
        start_policy_serving(actor=max_, policy=policy)
    serving = start_policy_serving(actor=max_, policy=policy, on_request=True)
    assert (serving.state, serving.stop_requested) == ("ready", True)
    assert AuditEvent.objects.filter(action="policy.serve").count() == 1


def test_a_site_that_serves_none_says_so(policy, max_, settings):
    settings.POLICY_SERVER_MAX_MODELS = 0
    with pytest.raises(PolicyServingRefused, match="ROUNDTABLE_POLICY_SERVER_MAX_MODELS"):
        start_policy_serving(actor=max_, policy=policy)
    assert not PolicyServing.objects.exists()


def test_by_command(policy, project, max_):
    def say(*arguments):
        out = StringIO()
        call_command("serve_policy", project.slug, *arguments, actor=max_.username, stdout=out)
        return out.getvalue().strip()

    assert say("base") == "base: Stopped."
    assert say("base", "--start") == "base: Waiting for a worker."
    assert say("base", "--stop") == "base: Stopped."
    with pytest.raises(CommandError, match="not being served"):
        say("base", "--stop")
    with pytest.raises(CommandError, match="no policy of the project"):
        say("other")
