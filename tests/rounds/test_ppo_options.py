"""PPO's options of a round: on the form, in the API and by the command, to the same plan and the same refusal."""

import json
from html import unescape
from html.parser import HTMLParser

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse
from django.utils import timezone

from annotation.models import Source
from learning.interface.options import options_to_dict
from policy_training.models import Policy
from policy_training.training.ppo.presets import PPO_PRESETS
from rounds.forms import NAMED
from rounds.models import Round, Stage
from rounds.plans import load_plan
from rounds.ppo_options import OPTIONS
from rounds.starting_models import reference_policy
from runs.models import Artifact
from workspace.models import Project

pytestmark = [pytest.mark.db, pytest.mark.sqlite_only, pytest.mark.django_db]

# A text, a choice, a yes or no, one that is turned off, and one of the config itself.
TYPED = {
    "policy.algorithm.gae_lambda": "0.9",
    "policy.policy_loss.objective": "log_probability",
    "policy.algorithm.whiten_advantages": "false",
    "policy.algorithm.clip_range": "none",
    "policy.ema_decay": "0.99",
}
GIVEN = {
    "algorithm.gae_lambda": 0.9,
    "policy_loss.objective": "log_probability",
    "algorithm.whiten_advantages": False,
    "algorithm.clip_range": None,
    "ema_decay": 0.99,
}


@pytest.fixture
def values(criterion, policy, prompt_set):
    return {
        "preset": "tiny",
        "criterion": criterion.pk,
        "start_policy": policy.pk,
        "prompt_set": prompt_set.pk,
    }


@pytest.fixture
def api(client, project, max_):
    client.force_login(max_)

    def post(address="rounds", **body):
        url = f"/api/v1/projects/{project.slug}/{address}"
        return client.post(url, json.dumps(body), content_type="application/json")

    return post


@pytest.fixture
def body(criterion, policy, prompt_set):
    return {
        "preset": "tiny", "criterion": criterion.name, "start_policy": policy.pk, "prompt_set": prompt_set.pk,
    }  # fmt: skip


def check_plan() -> None:
    plan = Round.objects.get().plan
    preset = options_to_dict(
        PPO_PRESETS["tiny"].config(load_plan(plan).policy.policy.source, plan["policy"]["reward_model_path"])
    )
    for section in ("reward", "rollout", "critic", "evaluation", "policy_optimizer", "critic_optimizer"):
        assert plan["policy"][section] == preset[section]
    algorithm = {"gae_lambda": 0.9, "whiten_advantages": False, "clip_range": None}
    assert plan["policy"]["algorithm"] == preset["algorithm"] | algorithm
    assert plan["policy"]["policy_loss"] == preset["policy_loss"] | {"objective": "log_probability"}
    assert (plan["policy"]["ema_decay"], preset["ema_decay"]) == (0.99, None)


def test_options_typed_on_the_form_are_the_rounds(client, project, max_, values):
    client.force_login(max_)
    answer = client.post(reverse("rounds:start", args=["kitchen"]), values | TYPED)
    assert answer.status_code == 302, answer.content.decode()
    check_plan()


def test_options_given_to_the_api_are_the_rounds(api, body):
    answer = api(**body, policy_options=GIVEN)
    assert answer.status_code == 201, answer.content
    check_plan()
    assert answer.json()["plan"]["policy"]["algorithm"]["clip_range"] is None


def test_options_given_to_the_command_are_the_rounds(project, policy, prompt_set, criterion, max_):
    given = [f"policy.{path}={json.dumps(value)}" for path, value in GIVEN.items()]
    call_command("start_round", "kitchen", "--set", *given)
    check_plan()


def test_rollouts_may_come_from_a_server_that_the_settings_name_and_no_other(
    client, project, max_, values, api, body, settings
):
    client.force_login(max_)
    typed = {
        "policy.rollout.server.name": "vllm",
        "policy.rollout.server.model": "served",
        "policy.rollout.importance.weights": "token",
        "policy.rollout.importance.cap": "none",
    }
    given = {name.removeprefix("policy."): text for name, text in typed.items()}
    given["rollout.importance.cap"] = None
    page = client.post(reverse("rounds:start", args=["kitchen"]), values | typed)
    assert page.status_code == 422 and "ROUNDTABLE_MODEL_SERVERS" in page.content.decode()
    refused = api(**body, policy_options=given)
    assert refused.status_code == 400 and refused.json()["code"] == "unknown_model_server"
    # Without weights the server's policy stays behind, and the form says what to do.
    typed_wrong = {name: text for name, text in typed.items() if "importance" not in name}
    wrong = client.post(reverse("rounds:start", args=["kitchen"]), values | typed_wrong)
    assert wrong.status_code == 422 and "set importance.weights" in unescape(wrong.content.decode())
    assert not Round.objects.exists()
    settings.MODEL_SERVERS = {"vllm": "https://models.example.org/v1"}
    away = {"servers_may_be_away": "on"}  # nobody answers there
    assert client.post(reverse("rounds:start", args=["kitchen"]), values | typed | away).status_code == 302
    rollout = Round.objects.get().plan["policy"]["rollout"]
    assert (rollout["server"]["name"], rollout["server"]["model"]) == ("vllm", "served")
    assert rollout["importance"] == {"weights": "token", "cap": None}


def test_a_refusal_stands_at_the_option_it_is_about(client, project, max_, values, api, body):
    client.force_login(max_)
    page = client.post(
        reverse("rounds:start", args=["kitchen"]), values | {"policy.algorithm.gae_lambda": "1.5"}
    )
    assert page.status_code == 422
    errors = page.context["form"].errors
    assert "gae_lambda must be between 0 and 1, found 1.5" in str(errors["policy.algorithm.gae_lambda"])
    section = next(s for s in page.context["form"].ppo_sections() if s["section"].path == "algorithm")
    assert section["is_open"]
    answer = api(**body, policy_options={"algorithm.gae_lambda": 1.5})
    assert answer.status_code == 400
    said = answer.json()["fields"]["policy_options"]
    assert said == "algorithm.gae_lambda: gae_lambda must be between 0 and 1, found 1.5"
    for options, sentence in (
        ({"algorithm.gae_lamda": 0.9}, "There is no option “algorithm.gae_lamda”."),
        ({"reward_model_path": "/etc"}, "There is no option “reward_model_path”."),
        ({"policy.source.path": "/etc"}, "There is no option"),
        ({"batch.max_prompt_tokens": 3}, "There is no option"),
        ({"rewards.functions": [{"function": "os.system"}]}, "There is no option"),
    ):
        answer = api(**body, policy_options=options)
        assert answer.status_code == 400 and sentence in answer.content.decode(), options
    answer = api(**body, policy_options={"algorithm.gae_lambda": "high"})
    assert answer.status_code == 400 and "expected a number" in answer.content.decode()
    assert not Round.objects.exists()


def test_what_fits_no_single_option_is_refused_for_the_whole_form(client, project, max_, values):
    client.force_login(max_)
    page = client.post(
        reverse("rounds:start", args=["kitchen"]),
        values | {"policy.policy_loss.objective": "log_probability"},
    )
    assert page.status_code == 422 and "no ratio to clip: set it to null" in page.content.decode()


class Fields(HTMLParser):
    def __init__(self):
        super().__init__()
        self.placeholders, self.names = {}, set()

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag in ("input", "select") and attrs.get("name"):
            self.names.add(attrs["name"])
            self.placeholders[attrs["name"]] = attrs.get("placeholder")


@pytest.mark.parametrize("name", sorted(PPO_PRESETS))
def test_empty_fields_show_the_values_of_the_chosen_ppo_preset(client, project, policy, max_, name):
    client.force_login(max_)
    page = client.get(reverse("rounds:start", args=["kitchen"]), {"ppo_preset": name}).content.decode()
    fields = Fields()
    fields.feed(page)
    preset = PPO_PRESETS[name]
    assert set(OPTIONS) <= fields.names
    assert float(fields.placeholders["policy.reward.kl_coefficient"]) == preset.reward.kl_coefficient
    assert float(fields.placeholders["policy.algorithm.gae_lambda"]) == preset.algorithm.gae_lambda
    assert fields.placeholders["policy.ema_decay"] == ("0.992" if name == "instructgpt" else "none")
    whitens = "yes" if preset.algorithm.whiten_advantages else "no"
    assert f"{whitens} (preset)" in page
    assert f"{name}: {preset.source}" in " ".join(unescape(page).split())


def test_ppo_by_another_preset_keeps_the_rounds_lengths_and_machine(
    client, project, max_, values, api, body, policy, prompt_set
):
    client.force_login(max_)
    extra = {"ppo_preset": "ppo_vanilla", "max_response_tokens": 64, "max_prompt_tokens": 60, "processes": 2}
    assert (
        client.post(
            reverse("rounds:start", args=["kitchen"]), values | extra | {"device": "cuda"}
        ).status_code
        == 302
    )
    first = load_plan(Round.objects.get().plan)
    assert first.preset == "tiny" and first.policy.preset == "ppo_vanilla"
    assert first.policy.algorithm == PPO_PRESETS["ppo_vanilla"].algorithm
    assert first.policy.policy_optimizer.warmup_ratio == 0.1
    batch = first.policy.batch
    assert (batch.max_prompt_tokens, batch.max_response_tokens, first.processes) == (60, 64, 2)
    assert first.policy.runtime.device == "cuda"
    Round.objects.update(stage=Stage.CANCELLED, finished_at=timezone.now())
    assert api(**body, ppo_preset="ppo_vanilla").status_code == 201
    Round.objects.update(stage=Stage.CANCELLED, finished_at=timezone.now())
    call_command("start_round", "kitchen", "--ppo-preset", "n_plus")
    presets = [
        load_plan(plan).policy.preset for plan in Round.objects.order_by("pk").values_list("plan", flat=True)
    ]
    assert presets == ["ppo_vanilla", "ppo_vanilla", "n_plus"]
    assert api(**body, ppo_preset="secret").status_code == 400


def test_any_policy_of_the_project_can_be_the_reference(
    client, project, max_, values, api, body, policy, make_policy, prompt_set
):
    other = make_policy("hand-picked")
    client.force_login(max_)
    url = reverse("rounds:start", args=["kitchen"])
    page = client.get(url).content.decode()
    assert "“hand-picked”" in page
    assert client.post(url, values | {"reference": f"{NAMED}{other.pk}"}).status_code == 302
    Round.objects.update(stage=Stage.CANCELLED, finished_at=timezone.now())
    assert api(**body, reference_policy=other.pk).status_code == 201
    Round.objects.update(stage=Stage.CANCELLED, finished_at=timezone.now())
    call_command("start_round", "kitchen", "--policy", "base", "--reference-policy", "hand-picked")
    for plan in map(load_plan, Round.objects.values_list("plan", flat=True)):
        assert (plan.reference, plan.reference_policy) == ("named_policy", "hand-picked")
        assert reference_policy(policy, plan) == other
    Round.objects.update(stage=Stage.CANCELLED, finished_at=timezone.now())
    assert client.post(url, values | {"reference": f"{NAMED}99999"}).status_code == 422
    assert api(**body, reference_policy=99999).status_code == 400
    both = api(**body, reference_policy=other.pk, reference="start_policy")
    assert both.status_code == 400 and "not both" in both.content.decode()
    with pytest.raises(CommandError, match="There is no policy “nobody” in this project"):
        call_command("start_round", "kitchen", "--reference-policy", "nobody")
    with pytest.raises(CommandError, match="not both"):
        call_command("start_round", "kitchen", "--reference-policy", "base", "--reference", "start_policy")
    assert Round.objects.count() == 3


def test_a_policy_of_another_project_is_no_reference(client, project, max_, values, api, body, olga):
    """Neither offered nor taken, by its key."""
    foreign = Project.objects.get(name="Garden")
    artifact = Artifact.objects.create(
        project=foreign, kind=Artifact.Kind.POLICY, path="models/theirs", sha256="0" * 64, size_bytes=1
    )
    source = Source.objects.create(project=foreign, kind="policy", name="theirs")
    theirs = Policy.objects.create(project=foreign, name="theirs", artifact=artifact, source=source)
    client.force_login(max_)
    url = reverse("rounds:start", args=["kitchen"])
    assert "theirs" not in client.get(url).content.decode()
    assert client.post(url, values | {"reference": f"{NAMED}{theirs.pk}"}).status_code == 422
    assert api(**body, reference_policy=theirs.pk).status_code == 400
    assert not Round.objects.exists()
