"""Mixtures of prompt sets on the form, in the API and by the command: one plan, and the same refusals."""

import json

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from annotation.models import Prompt, PromptSet, PromptSetMember
from rounds.models import Round
from rounds.plans import load_plan

pytestmark = [pytest.mark.db, pytest.mark.sqlite_only, pytest.mark.django_db]


@pytest.fixture
def asked(project, criterion, policy, prompt_set):
    for name, count in (("helpful = kind", 30), ("harmless", 12)):
        made = PromptSet.objects.create(project=project, name=name, purpose="policy")
        prompts = Prompt.objects.bulk_create(
            Prompt(
                project=project,
                external_id=f"{name} {number}",
                messages=[{"role": "user", "content": f"{name} {number}"}],
                content_hash=f"{name} {number}",
                split="train",
            )
            for number in range(count)
        )
        PromptSetMember.objects.bulk_create(
            PromptSetMember(prompt_set=made, prompt=prompt) for prompt in prompts
        )
    return {"preset": "tiny", "start_policy": policy.pk, "prompt_set": prompt_set.pk}


def by_form(client, project, criterion, asked):
    fields = dict(asked)
    for use in ("compared", "trained"):
        if sets := fields.pop(f"{use}_sets", None):
            fields[f"{use}_sets"] = "\n".join(f"{name} = {amount}" for name, amount in sets)
    url = reverse("rounds:start", args=[project.slug])
    answer = client.post(url, {**fields, "criterion": criterion.pk, "when": "now"})
    return None if answer.status_code == 302 else answer.content.decode()


def by_api(client, project, criterion, asked):
    body = {**asked, "criterion": criterion.name, "meet_previous": False}
    for use in ("compared", "trained"):
        if sets := body.pop(f"{use}_sets", None):
            body[f"{use}_sets"] = [{"prompt_set": name, "amount": amount} for name, amount in sets]
    url = f"/api/v1/projects/{project.slug}/rounds"
    answer = client.post(url, json.dumps(body), content_type="application/json")
    return None if answer.status_code == 201 else answer.content.decode()


def by_command(client, project, criterion, asked):
    names = {
        "start_policy": "--policy", "trained_prompts": "--trained-prompts", "prompts": "--prompts",
        "compared_are": "--compared-are", "compared_short": "--compared-short", "trained_are": "--trained-are",
        "trained_short": "--trained-short", "sampling_server": "--sampling-server",
        "sampling_model": "--sampling-model",
    }  # fmt: skip
    words = ["--opponents", "--prompt-set", "questions", "--policy", "base"]
    for name, value in asked.items():
        if name.endswith("_sets"):
            for set_name, amount in value:
                words += [f"--{name.removesuffix('s').replace('_', '-')}", f"{set_name}={amount}"]
        elif name == "servers_may_be_away":
            words += ["--servers-may-be-away"]
        elif name in names and name != "start_policy":
            words += [names[name], str(value)]
    try:
        call_command("start_round", project.slug, *words)
    except CommandError as error:
        return str(error)
    return None


WAYS = [by_form, by_api, by_command]


@pytest.mark.parametrize("way", WAYS)
def test_both_mixtures_are_asked_in_each_way(client, project, criterion, asked, max_, way):
    client.force_login(max_)
    refused = way(
        client,
        project,
        criterion,
        {
            **asked,
            "compared_sets": [("helpful = kind", 5), ("harmless", 2)],
            "compared_are": "numbers",
            "compared_short": "repeat",
            "trained_sets": [("harmless", 1.23456789), ("helpful = kind", 3)],
            "trained_prompts": 12,
            "trained_short": "top_up",
        },
    )
    assert refused is None, refused
    plan = load_plan(Round.objects.get().plan)
    mixture = plan.sampling.mixture
    assert [(s.prompt_set, s.prompts) for s in mixture.sets] == [("helpful = kind", 5), ("harmless", 2)]
    assert (mixture.when_short, plan.sampling.prompts) == ("repeat", 7)
    trained = plan.policy_prompts
    assert [(s.prompt_set, s.weight) for s in trained.sets] == [
        ("harmless", 1.23456789),
        ("helpful = kind", 3.0),
    ]
    assert (trained.when_short, trained.prompts) == ("top_up", 12)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"compared_sets": [("nothing", 1)]}, "no prompt set “nothing”"),
        ({"compared_sets": [("harmless", 40)], "compared_are": "numbers"}, "“harmless” has 12 prompts"),
        ({"trained_sets": [("harmless", 13)], "trained_are": "numbers"}, "“harmless” has 12 prompts"),
        ({"trained_sets": [("harmless", 0)]}, "must be above 0"),
        ({"trained_sets": [("harmless", 1.5)], "trained_are": "numbers"}, "a whole number"),
        ({"trained_prompts": 5}, "mixture by weights"),
    ],
)
def test_what_cannot_be_is_said_in_each_way(client, project, criterion, asked, max_, way, given, said):
    client.force_login(max_)
    refused = way(client, project, criterion, {**asked, **given})
    assert refused is not None and said in refused
    assert not Round.objects.exists()


def test_a_line_without_a_number_is_named_at_its_field(client, project, criterion, asked, max_):
    client.force_login(max_)
    fields = {**asked, "criterion": criterion.pk, "when": "now", "compared_sets": "helpful 5"}
    page = client.post(reverse("rounds:start", args=[project.slug]), fields)
    assert page.status_code == 422
    assert "“helpful 5”: write a prompt set" in page.context["form"].errors["compared_sets"][0]
