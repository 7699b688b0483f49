"""A policy's server is started, seen and stopped by a page and by command, under the same checks."""

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from annotation.conversation.generation import AnswerRequest
from policy_training.models import PolicyServing
from policy_training.serving.actions import (
    PolicyServingRefused,
    start_policy_serving,
    stop_policy_serving,
)
from policy_training.serving.generator import _body
from policy_training.serving.kind import serve_config
from policy_training.serving.limits import serving_limits
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
    say("base", "--start", "--max-prompt-tokens", "90")
    assert PolicyServing.objects.get().max_prompt_tokens == 90
    with pytest.raises(CommandError, match="add --start"):
        say("base", "--max-prompt-tokens", "90")


def test_the_lengths_are_what_was_asked_or_else_what_the_context_allows(policy, max_):
    context = json.loads((policy.artifact.absolute_path / "config.json").read_text())[
        "max_position_embeddings"
    ]
    start_policy_serving(actor=max_, policy=policy)

    def served_with():
        found = serve_config(PolicyServing.objects.get(), 60.0)
        return found["max_prompt_tokens"], found["max_response_tokens"]

    assert served_with() == (context - 1, context // 2)
    stop_policy_serving(actor=max_, policy=policy)
    start_policy_serving(actor=max_, policy=policy, max_prompt_tokens=30, max_response_tokens=20)
    assert served_with() == (30, 20)
    asked = {"id": "a", "messages": [], "seed": "7", "temperature": 1.0, "top_p": 1.0}
    for tokens, sent in ((40, 20), (10, 10)):
        request = AnswerRequest(**asked, source=policy.source, max_tokens=tokens)
        assert _body(PolicyServing.objects.get(), request)["max_tokens"] == sent
    # A conversation that needs it later keeps them; a person's start sets them anew.
    stop_policy_serving(actor=max_, policy=policy)
    start_policy_serving(actor=max_, policy=policy, on_request=True)
    assert served_with() == (30, 20)
    stop_policy_serving(actor=max_, policy=policy)
    start_policy_serving(actor=max_, policy=policy)
    assert served_with() == (context - 1, context // 2)


def test_a_context_without_a_limit_or_a_long_one_is_used_within_bounds(policy, max_):
    config = policy.artifact.absolute_path / "config.json"
    for change in ({"max_position_embeddings": 131_072}, {"max_position_embeddings": None}):
        config.write_text(json.dumps(json.loads(config.read_text()) | change))
        found = serving_limits(PolicyServing(policy=policy))
        assert (found.max_prompt_tokens, found.max_response_tokens) == (8192, 2048)


def test_lengths_that_do_not_fit_are_refused_by_page_and_program(policy, project, max_, program, client):
    context = json.loads((policy.artifact.absolute_path / "config.json").read_text())[
        "max_position_embeddings"
    ]
    call, address = program(max_, project), f"projects/{project.slug}/policies/{policy.pk}/serving"
    for name, tokens in (("max_prompt_tokens", context), ("max_response_tokens", context // 2 + 1)):
        refused = call("POST", f"{address}/start", {name: tokens})
        assert (refused.status_code, list(refused.json()["fields"])) == (400, [name])
        assert f"found {tokens:,}" in refused.json()["detail"]
    too_long = f"Tokens of a conversation: “base” allows 1 to {context - 1:,} tokens here, found {context:,}."
    assert call("POST", f"{address}/start", {"max_prompt_tokens": context}).json()["detail"] == too_long
    with pytest.raises(CommandError, match=f"^{too_long}$"):
        call_command(
            "serve_policy", project.slug, "base", "--start", f"--max-prompt-tokens={context}",
            actor=max_.username,
        )  # fmt: skip
    page = reverse("policies:policy", args=[project.slug, policy.pk])
    client.force_login(max_)
    for sent, words in (
        (context, too_long),
        ("many", "Tokens of a conversation: Enter a whole number."),
    ):
        for on, back in (("", page), ("playground", f"{page}playground/")):
            typed = {"max_prompt_tokens": sent, "max_response_tokens": "20", "on": on}
            shown = client.post(f"{page}serving/start/", typed, follow=True)
            assert shown.redirect_chain[-1][0].partition("?")[0] == back
            form, html = shown.context["limits_form"], shown.content.decode()
            assert words in html and "max_prompt_tokens:" not in html
            assert (form["max_prompt_tokens"].value(), form["max_response_tokens"].value()) == (
                str(sent),
                "20",
            )
            assert f'value="{sent}"' in html and '<details class="mb-2" open>' in html
            assert list(form.errors) == ["max_prompt_tokens"]
    assert not PolicyServing.objects.exists()
    client.post(f"{page}serving/start/", {"max_prompt_tokens": "30", "max_response_tokens": ""})
    found = call("GET", address).json()
    assert (found["state"], found["max_prompt_tokens"], found["max_response_tokens"]) == (
        "waiting", 30, context // 2,
    )  # fmt: skip
    assert call("POST", f"{address}/start").status_code == 200  # as it is
    assert call("POST", f"{address}/start", {"max_prompt_tokens": 30}).status_code == 200
    other = call("POST", f"{address}/start", {"max_prompt_tokens": 40})
    assert (other.status_code, "other limits" in other.json()["detail"]) == (409, True)


def test_form_command_and_program_set_how_many_wait_and_for_how_long_it_writes_for_nobody(
    policy, project, max_, program, client
):
    call, address = program(max_, project), f"projects/{project.slug}/policies/{policy.pk}/serving"
    client.force_login(max_)
    page = reverse("policies:policy", args=[project.slug, policy.pk])
    asked = {"max_waiting_requests": 3, "abandoned_after_seconds": 600}
    words = ["--max-waiting-requests=3", "--abandoned-after-seconds=600"]

    def served_with():
        """What its server is started with; then it is unloaded."""
        found = serve_config(PolicyServing.objects.get(), 60.0)
        stop_policy_serving(actor=max_, policy=policy)
        return found["max_waiting_requests"], found["abandoned_after_seconds"]

    assert client.post(f"{page}serving/start/", asked).status_code == 302
    assert served_with() == (3, 600)
    assert client.get(page).context["limits_form"]["max_waiting_requests"].value() == 3  # what was set last
    client.post(f"{page}serving/start/", dict.fromkeys(asked, ""))
    assert served_with() == (64, 60)  # the usual
    call_command("serve_policy", project.slug, "base", "--start", *words, actor=max_.username)
    assert served_with() == (3, 600)
    with pytest.raises(CommandError, match="add --start"):
        call_command("serve_policy", project.slug, "base", *words, actor=max_.username)
    start_policy_serving(actor=max_, policy=policy, on_request=True)  # a conversation keeps them
    assert served_with() == (3, 600)
    assert call("POST", f"{address}/start", asked).status_code == 200
    assert asked.items() <= call("GET", address).json().items()
    assert call("POST", f"{address}/start", asked | {"max_waiting_requests": 4}).status_code == 409
    stop_policy_serving(actor=max_, policy=policy)
    for name, value, label in (
        ("max_waiting_requests", 0, "Answers that may wait: 1 to 1,024 are possible here, found 0."),
        ("max_waiting_requests", 1025, "Answers that may wait: 1 to 1,024 are possible here, found 1,025."),
        (
            "abandoned_after_seconds",
            9,
            "Seconds that it writes for nobody: 10 to 3,600 are possible here, found 9.",
        ),
    ):
        assert label in client.post(f"{page}serving/start/", {name: value}, follow=True).content.decode()
        refused = call("POST", f"{address}/start", {name: value})
        assert (refused.status_code, list(refused.json()["fields"])) == (400, [name])
        with pytest.raises(CommandError, match=label):
            option = f"--{name.replace('_', '-')}={value}"
            call_command("serve_policy", project.slug, "base", "--start", option, actor=max_.username)
    assert PolicyServing.objects.get().state == PolicyServing.State.STOPPED
