"""The pages of events and webhooks: who may open them, what they say and do; the command beside them."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from annotation.judging.actions import withdraw_judgment
from events import actions, delivery
from events.actions import create_webhook
from events.models import Delivery, OutboxEntry, Webhook
from events.publishing import publish_events
from workspace.database import database_now
from workspace.models import AuditEvent

pytestmark = [pytest.mark.db, pytest.mark.django_db]
URL = "https://receiver.example/hook"


@pytest.fixture
def webhook(project, max_):
    return create_webhook(actor=max_, project=project, url=URL, kinds=["run"], description="Trainer")


@pytest.fixture
def make_delivery(project, webhook):
    def make(state, **fields):
        OutboxEntry.objects.create(kind="run.done", project_id=project.pk, data={"run": 1, "title": "A run"})
        publish_events()
        event = project.events.order_by("pk").last()
        times = {"next_attempt_at": database_now()} if state == "waiting" else {"settled_at": database_now()}
        return Delivery.objects.create(webhook=webhook, event=event, state=state, **times, **fields)

    return make


def addresses(project, webhook, waiting, dead):
    """(url name, key, method, who may)"""
    managers = {"max"}
    table = [("events:list", None, "get", {"max", "ruth"})]
    table += [(f"events:{name}", None, "get", managers) for name in ("webhooks", "dead_letters")]
    table += [("events:webhook", webhook.pk, "get", managers)]
    posts = "turn_off turn_on send_test replace_secret resend_all".split()
    table += [(f"events:{name}", webhook.pk, "post", managers) for name in posts]
    table += [(f"events:{name}", waiting.pk, "post", managers) for name in ("try_now", "give_up")]
    table += [(f"events:{name}", dead.pk, "post", managers) for name in ("resend", "drop")]
    return [*table, ("events:remove", webhook.pk, "post", managers)]


@pytest.mark.parametrize("name", ["max", "ruth", "ada", "olga", None])
def test_who_may_open_which_page(client, project, webhook, make_delivery, max_, ruth, ada, olga, name):
    people = {"max": max_, "ruth": ruth, "ada": ada, "olga": olga}
    waiting, dead = make_delivery("waiting"), make_delivery("dead")
    if name:
        client.force_login(people[name])
    before = AuditEvent.objects.filter(action__startswith="webhook.").count()
    for url_name, key, method, allowed in addresses(project, webhook, waiting, dead):
        answer = getattr(client, method)(reverse(url_name, args=[project.slug, *([key] if key else [])]))
        if name in allowed:
            assert answer.status_code == (200 if method == "get" else 302), url_name
        elif name is None:
            assert answer.status_code == 302 and "/login/" in answer["Location"], url_name
        else:
            assert answer.status_code == 404, url_name
    changed = AuditEvent.objects.filter(action__startswith="webhook.").count() - before
    assert (changed > 0) is (name == "max") and Webhook.objects.exists() is (name != "max")


def test_another_projects_manager_reaches_no_delivery_by_an_address_of_their_own(client, olga, make_delivery):
    waiting, own = make_delivery("waiting"), olga.memberships.get().project
    client.force_login(olga)
    for name in ("try_now", "give_up"):
        assert client.post(reverse(f"events:{name}", args=[own.slug, waiting.pk])).status_code == 404
    waiting.refresh_from_db()
    assert waiting.state == "waiting"


def test_the_feed_is_a_list_with_links_and_filters(client, project, max_, make_batch, judge, ada, key):
    make_batch(tasks=1, name="Herbs")
    judgment = judge()
    withdraw_judgment(actor=ada, assignment=judgment.assignment, idempotency_key=key())
    OutboxEntry.objects.create(
        kind="run.failed",
        project_id=project.pk,
        data={"run": 7, "title": "<b>A run</b>", "error": "The disk was full."},
    )
    client.force_login(max_)
    text = client.get(reverse("events:list", args=[project.slug])).content.decode()
    batch = judgment.task.batch_id
    assert reverse("annotation:judgment", args=[project.slug, batch, judgment.pk]) in text
    assert reverse("runs:run", args=[project.slug, 7]) in text
    assert "The disk was full." in text and "&lt;b&gt;A run&lt;/b&gt;" in text
    assert (
        text.index("A run has failed")
        < text.index("A judgment was taken back")
        < text.index("A task was judged")
    )
    text = client.get(
        reverse("events:list", args=[project.slug]) + "?kind=judgment.withdrawn"
    ).content.decode()
    assert "A judgment was taken back" in text and "A task was judged" not in text
    # The judgment's page is there for each of them.
    assert (
        client.get(reverse("annotation:judgment", args=[project.slug, batch, judgment.pk])).status_code == 200
    )


def test_a_webhook_is_made_and_its_secret_shown_once(client, project, max_):
    client.force_login(max_)
    address = reverse("events:webhooks", args=[project.slug])
    answer = client.post(address, {"url": URL, "description": "Trainer", "kinds": ["run.done", "round.done"]})
    webhook = Webhook.objects.get()
    assert (webhook.url, webhook.description, webhook.kinds) == (URL, "Trainer", ["run.done", "round.done"])
    page = reverse("events:webhook", args=[project.slug, webhook.pk])
    assert answer["Location"] == page
    assert webhook.secret in client.get(page).content.decode()
    for again in (page, address):
        assert webhook.secret not in client.get(again).content.decode()
    old = webhook.secret
    client.post(reverse("events:replace_secret", args=[project.slug, webhook.pk]))
    webhook.refresh_from_db()
    text = client.get(page).content.decode()
    assert webhook.secret != old and webhook.secret in text and old not in text
    assert old not in str(list(AuditEvent.objects.values_list("details", flat=True)))


@pytest.mark.parametrize(
    "values",
    [
        {"url": "http://receiver.example/"},
        {"url": "https://127.0.0.1/"},
        {"url": ""},
        {"url": URL, "kinds": ["x"]},
    ],
)
def test_what_cannot_be_a_webhook_is_said_in_the_form(client, project, max_, values):
    client.force_login(max_)
    answer = client.post(reverse("events:webhooks", args=[project.slug]), values)
    assert answer.status_code == 422 and not Webhook.objects.exists()
    assert 'class="text-danger"' in answer.content.decode()


def test_a_webhook_is_changed_on_its_page_and_shows_what_waits_and_was_delivered(
    client, project, max_, webhook, make_delivery
):
    waiting = make_delivery("waiting", attempts=3, reason="It answered 500.", status=500)
    delivered = make_delivery("delivered", attempts=1, status=204)
    client.force_login(max_)
    page = reverse("events:webhook", args=[project.slug, webhook.pk])
    text = client.get(page).content.decode()
    assert "It answered 500." in text and waiting.event.name in text and delivered.event.name in text
    shown = client.get(page).context["form"]["shown"].value()
    assert client.post(page, {"url": URL + "/2", "all_kinds": "on", "shown": shown}).status_code == 302
    webhook.refresh_from_db()
    assert (webhook.url, webhook.kinds, webhook.description) == (URL + "/2", [], "")
    shown = client.get(page).context["form"]["shown"].value()
    refused = client.post(page, {"url": "https://10.0.0.1/", "shown": shown})
    assert refused.status_code == 422 and 'value="https://10.0.0.1/"' in refused.content.decode()


def test_of_two_who_change_a_webhook_the_slower_sees_both(client, program, project, max_, webhook):
    client.force_login(max_)
    page = reverse("events:webhook", args=[project.slug, webhook.pk])
    shown = client.get(page).context["form"]["shown"].value()
    call, address = program(max_, project), f"projects/{project.slug}/webhooks/{webhook.pk}"
    read = call("GET", address)
    assert call("PATCH", address, {"url": URL + "/theirs"}, If_Match=read["ETag"]).status_code == 200
    mine = {"url": URL + "/mine", "kinds": ["run.done"], "description": "Mine", "shown": shown}
    answer = client.post(page, mine)
    text = answer.content.decode()
    assert answer.status_code == 409 and URL + "/theirs" in text and f'value="{URL}/mine"' in text
    # A program is told so, too; turned on and off is no change of what it is.
    stale = call("PATCH", address, {"description": "X"}, If_Match=read["ETag"])
    assert (stale.status_code, stale.json()["code"]) == (412, "changed_meanwhile")
    webhook.refresh_from_db()
    assert (webhook.url, webhook.description) == (URL + "/theirs", "Trainer")
    again = mine | {"shown": answer.context["form"]["shown"].value()}
    assert client.post(page, again).status_code == 302
    webhook.refresh_from_db()
    assert (webhook.url, webhook.kinds, webhook.description) == (URL + "/mine", ["run.done"], "Mine")
    read = call("GET", address)
    assert call("PATCH", address, {"is_on": False}, If_Match=read["ETag"]).status_code == 200
    assert call("PATCH", address, {"description": "Off"}, If_Match=read["ETag"]).status_code == 200


@pytest.mark.parametrize(
    "kinds", [["webhook.test"], ["run", "judgment.submitted"], ["older.kind", "round"], []]
)
def test_a_form_that_is_saved_as_it_came_changes_no_kinds(client, project, max_, webhook, kinds):
    """Also groups, which are more than their kinds of today, and what this version does not know."""
    Webhook.objects.update(kinds=kinds)
    client.force_login(max_)
    page = reverse("events:webhook", args=[project.slug, webhook.pk])
    form = client.get(page).context["form"]
    shown = {field.html_name: field.value() for field in form}
    offered = [value for _, group in form.fields["kinds"].choices for value, _ in group]
    assert set(shown["kinds"]) <= set(offered)
    sent = {"url": shown["url"], "description": "New", "kinds": shown["kinds"], "shown": shown["shown"]}
    sent |= {"all_kinds": "on"} if shown["all_kinds"] else {}
    assert client.post(page, sent).status_code == 302
    webhook.refresh_from_db()
    assert (webhook.description, webhook.kinds) == ("New", kinds)


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ({}, "Choose at least one"),
        ({"kinds": ["nothing"]}, "nothing is not one of"),
        ({"kinds": ["run"], "all_kinds": "on"}, "Either all events or those"),
    ],
)
def test_a_form_without_a_known_kind_widens_nothing(client, project, max_, webhook, sent, said):
    Webhook.objects.update(kinds=["run.done"])
    client.force_login(max_)
    page = reverse("events:webhook", args=[project.slug, webhook.pk])
    shown = client.get(page).context["form"]["shown"].value()
    answer = client.post(page, {"url": URL, "shown": shown} | sent)
    assert answer.status_code == 422 and said in answer.content.decode()
    webhook.refresh_from_db()
    assert webhook.kinds == ["run.done"]


def test_dead_letters_are_listed_with_their_reason_and_sent_again_or_dropped(
    client, project, max_, webhook, make_delivery
):
    first, second, third = (
        make_delivery("dead", attempts=10, reason=f"It answered {n}.") for n in (500, 501, 502)
    )
    client.force_login(max_)
    page = reverse("events:dead_letters", args=[project.slug])
    text = client.get(page).content.decode()
    assert "It answered 500." in text and "It answered 502." in text and "3 dead letters" in text
    assert "3 events" in client.get(reverse("events:list", args=[project.slug])).content.decode()
    client.post(reverse("events:resend", args=[project.slug, first.pk]))
    client.post(reverse("events:drop", args=[project.slug, second.pk]))
    assert [row.state for row in Delivery.objects.order_by("pk")] == ["waiting", "dropped", "dead"]
    client.post(reverse("events:resend_all", args=[project.slug, webhook.pk]))
    third.refresh_from_db()
    assert (third.state, third.is_resend, third.attempts) == ("waiting", True, 0)
    # Sent again already: the page says so.
    answer = client.post(reverse("events:drop", args=[project.slug, first.pk]), follow=True)
    assert "It is no dead letter any more" in answer.content.decode()


def test_what_the_site_turned_off_is_said_to_managers_where_they_look(client, project, max_, ruth, webhook):
    Webhook.objects.update(is_on=False, off_reason="Nothing was delivered for 5 days.")
    client.force_login(max_)
    for name in ("list", "webhooks"):
        text = client.get(reverse(f"events:{name}", args=[project.slug])).content.decode()
        assert "Nothing was delivered for 5 days." in text
    client.force_login(ruth)
    text = client.get(reverse("events:list", args=[project.slug])).content.decode()
    assert "Nothing was delivered" not in text and URL not in text


def test_of_an_address_the_feed_and_the_audit_say_its_host_alone(client, project, max_, ruth, program):
    """An address is often a secret itself; a reason may quote what the receiver said."""
    secret = "https://Hooks.example:8443/services/T0/SECRET?key=HIDDEN"
    webhook = actions.create_webhook(actor=max_, project=project, url=secret)
    actions.change_webhook(actor=max_, webhook=webhook, url=secret + "2")
    claim = delivery._Claim.take(webhook.pk)
    delivery._turn_off(claim, "It said HIDDEN.")
    actions.remove_webhook(actor=max_, webhook=webhook)
    # An event as versions before this one stored it.
    OutboxEntry.objects.create(
        kind="webhook.turned_off",
        project_id=project.pk,
        data={"webhook": 77, "url": secret, "reason": "It said HIDDEN."},
    )
    publish_events()
    told = [event for event in project.events.all() if event.kind == "webhook.turned_off"]
    assert len(told) == 2
    client.force_login(ruth)
    page = client.get(reverse("events:list", args=[project.slug])).content.decode()
    answer = program(ruth, project, role="reviewer")("GET", f"projects/{project.slug}/events").json()
    audited = list(AuditEvent.objects.filter(action__startswith="webhook.").values_list("details", flat=True))
    sent = [delivery.message_body(event).decode() for event in told]
    for said in (page, json.dumps(answer), json.dumps(audited), *sent):
        assert "https://hooks.example:8443" in said
        assert "SECRET" not in said and "HIDDEN" not in said
    assert [event["data"] for event in answer["results"]] == [
        {"webhook": webhook.pk, "url": "https://hooks.example:8443"},
        {"webhook": 77, "url": "https://hooks.example:8443"},
    ]


def test_the_api_shows_a_secret_once_and_turns_a_webhook_on_and_off(program, project, max_):
    call = program(max_, project)
    address = f"projects/{project.slug}/webhooks"
    made = call("POST", address, {"url": URL, "kinds": ["judgment"]}, Idempotency_Key="hook-1").json()
    again = call("POST", address, {"url": URL, "kinds": ["judgment"]}, Idempotency_Key="hook-1").json()
    assert made["secret"] == Webhook.objects.get().secret and again["secret"] is None
    assert made["id"] == again["id"]
    changed = call("PATCH", f"{address}/{made['id']}", {"is_on": False, "description": "Mine"}).json()
    assert (changed["is_on"], changed["description"]) == (False, "Mine") and "secret" not in changed
    refused = call("POST", f"{address}/{made['id']}/test", {})
    assert (refused.status_code, refused.json()["code"]) == (409, "webhook_off")
    refused = call("POST", address, {"url": "https://10.0.0.1/"})
    assert (refused.status_code, list(refused.json()["fields"])) == (400, ["url"])
    assert call("POST", address, {"url": URL, "kinds": ["nothing"]}).status_code == 400


def test_a_project_has_at_most_so_many_webhooks(project, max_, monkeypatch, webhook, client):
    monkeypatch.setattr("events.actions.MAX_WEBHOOKS", 1)
    client.force_login(max_)
    answer = client.post(reverse("events:webhooks", args=[project.slug]), {"url": URL, "all_kinds": "on"})
    assert answer.status_code == 422 and "remove one" in answer.content.decode()


def command(*arguments):
    out = StringIO()
    call_command("webhooks", *map(str, arguments), stdout=out)
    return out.getvalue()


def test_the_command_does_what_the_pages_do(project, max_, make_delivery):
    said = command(project.slug, "--add", URL, "--kinds", "judgment,round.done")
    webhook = project.webhooks.order_by("pk").last()
    assert webhook.secret in said and f"{webhook.pk}: {URL} (judgment, round.done); on" in said
    assert webhook.secret not in command(project.slug)
    assert f"{webhook.pk}: {URL} (judgment, round.done); off" in command(project.slug, "--off", webhook.pk)
    command(project.slug, "--on", webhook.pk)
    command(project.slug, "--test", webhook.pk)
    assert (
        OutboxEntry.objects.filter(kind="webhook.test", data={"webhook": webhook.pk, "by": "max"}).count()
        == 1
    )
    said = command(project.slug, "--new-secret", webhook.pk)
    webhook.refresh_from_db()
    assert webhook.secret in said
    dead = make_delivery("dead", attempts=10, reason="It answered 500.")
    assert (
        f"{dead.pk}: run.done {dead.event.name}, dead letter after 10 attempts: It answered 500."
        in command(project.slug)
    )
    command(project.slug, "--resend", dead.pk)
    dead.refresh_from_db()
    assert dead.state == "waiting"
    command(project.slug, "--remove", webhook.pk)
    assert project.webhooks.count() == 1  # that of the delivery


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--add", "http://receiver.example/"], "https://"),
        (["--add", URL, "--kinds", "nothing"], "“nothing”"),
        (["--off", "99"], "no webhook 99"),
        (["--drop", "99"], "no dead letter 99"),
        (["--kinds", "run"], "--add"),
    ],
)
def test_the_command_refuses_in_one_sentence(project, arguments, said):
    with pytest.raises(CommandError, match=said) as refused:
        command(project.slug, *arguments)
    assert refused.value.returncode == 2
