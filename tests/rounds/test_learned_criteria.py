"""Which criteria a round learns: the newest reward model of another criterion beside its own, and one reward model over
several criteria. Form, command and API ask for the same.
"""

from io import StringIO

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from annotation.datasets.files import dataset_judgments, dataset_manifest
from annotation.models import PreferenceDataset
from policy_training.training.reward_config import RewardModelPart, RewardSourcesOptions
from rewardmodel.models import RewardModel
from rounds.actions import end_annotation
from rounds.errors import RoundRefused
from rounds.models import Round, Stage
from rounds.plan_changes import override_plan
from rounds.plans import load_plan, preset_plan
from rounds.reports import round_report
from rounds.stages.machine import advance_round
from rounds.stages.scoring import open_next_round
from rounds.stages.transitions import attach_run, enter_stage, stage_runs
from rounds.step_runs import queue_step
from runs.models import Artifact, Run
from runs.states import RunState
from tests.rounds.annotating import at_annotation, judge_elsewhere
from workspace.actions import add_criterion
from workspace.errors import ActionError
from workspace.models import Criterion

pytestmark = [pytest.mark.db, pytest.mark.django_db, pytest.mark.sqlite_only]


@pytest.fixture
def safety(project, max_):
    return add_criterion(actor=max_, project=project, name="safety", question="Which answer is safer?")


@pytest.fixture
def make_model(project, criterion, max_):
    def make(name: str, *criteria: Criterion) -> RewardModel:
        artifact = Artifact.objects.create(
            project=project, kind="reward_model", path=f"models/{name}", sha256="0" * 64, size_bytes=1
        )
        dataset = PreferenceDataset.objects.create(
            project=project, name=name, criterion=criterion, directory=name, created_by=max_
        )
        run = Run.objects.create(
            project=project, kind="rewardmodel.train", title=name, config={}, requested_by=max_
        )
        model = RewardModel.objects.create(
            project=project, name=name, artifact=artifact, dataset=dataset, produced_by=run
        )
        model.criteria.set(criteria)
        return model

    return make


@pytest.fixture
def asked(criterion, policy, prompt_set):
    return {
        "preset": "tiny",
        "criterion": criterion.pk,
        "start_policy": policy.pk,
        "prompt_set": prompt_set.pk,
    }


def gated(**changes):
    return override_plan(
        preset_plan("tiny"),
        rewards={"combination": "safety_gate", "models": [{"criterion": "safety"}]},
        **changes,
    )


def test_form_command_and_api_name_the_newest_reward_model_of_a_criterion(
    client, project, criterion, policy, prompt_set, safety, make_model, asked, max_
):
    style = add_criterion(actor=max_, project=project, name="style", question="Which is better written?")
    named = make_model("first helpful", criterion)
    make_model("safe 1", safety)
    make_model("stylish", style)
    client.force_login(max_)
    sent = {
        "further_reward_models": [named.pk],
        "further_criteria": ["style", "safety"],
        "criterion_weights": "2 0.5",  # in the order of the list: safety, style
    }
    answer = client.post(reverse("rounds:start", args=["kitchen"]), asked | sent)
    assert answer.status_code == 302, answer.context["form"].errors
    by_form = Round.objects.latest("pk")
    models = by_form.plan["policy"]["rewards"]["models"]
    assert [(part["name"], part["criterion"], part["weight"]) for part in models] == [
        ("first helpful", "", 1.0),
        ("", "safety", 2.0),
        ("", "style", 0.5),
    ]
    by_form.delete()
    call_command(
        "start_round", "kitchen", "--criterion", criterion.name, "--further-reward-model", "first helpful",
        "--further-reward-criterion", "style=0.5", "--further-reward-criterion", "safety=2", stdout=StringIO(),
    )  # fmt: skip
    by_command = Round.objects.latest("pk")
    assert by_command.plan["policy"] == by_form.plan["policy"]
    by_command.delete()
    answer = client.post(
        "/api/v1/projects/kitchen/rounds",
        asked | sent | {"criterion": criterion.name, "criterion_weights": [0.5, 2]},  # in the order given
        content_type="application/json",
    )
    assert answer.status_code == 201, answer.content
    assert Round.objects.latest("pk").plan["policy"] == by_form.plan["policy"]


def test_each_round_takes_the_newest_model_and_records_and_shows_which(
    begin, criterion, safety, make_model, finish_round, max_
):
    make_model("safe 1", safety)
    round_ = begin(plan=gated())
    assert (
        "the newest reward model of “safety” where it says less than 0.15"
        in round_report(round_, max_).rewards
    )
    finish_round(round_)  # with a reward model of its own criterion
    make_model("both", criterion, safety)  # newer, and no model of safety alone
    following = open_next_round(round_)
    newest = make_model("safe 2", safety)
    following.reward_model = make_model("helpful 2", criterion)
    enter_stage(following, Stage.POLICY, "trained", reward_model=following.reward_model)
    run = queue_step(following, load_plan(following.plan), 1, following.start_policy)
    attach_run(following, run)
    [part] = run.config["rewards"]["models"]
    assert (part["name"], part["criterion"], part["path"]) == ("safe 2", "safety", newest.artifact.path)
    assert run.parameters["further_reward_models"] == [newest.pk]
    make_model("safe 3", safety)  # the run's stays the one it has
    said = round_report(following, max_).rewards
    assert "“safe 2” (the newest of “safety”) where it says less than 0.15" in said and "safe 3" not in said
    # The plan keeps the rule, for the rounds to come.
    assert following.plan["policy"]["rewards"]["models"][0]["name"] == ""


def test_a_criterion_without_a_model_is_refused_at_the_start_and_fails_its_stage_later(
    begin, safety, make_model, criterion
):
    with pytest.raises(
        RoundRefused, match="no reward model of “safety” alone to take rewards from: train one"
    ):
        begin(plan=gated())
    of_nothing = {"models": [{"criterion": "nothing"}]}
    with pytest.raises(RoundRefused, match="no criterion “nothing” whose reward model"):
        begin(plan=override_plan(preset_plan("tiny"), rewards=of_nothing))
    own = {"models": [{"criterion": criterion.name}]}
    make_model("helpful 1", criterion)
    with pytest.raises(RoundRefused, match="will be the round's own, which scores already"):
        begin(plan=override_plan(preset_plan("tiny"), rewards=own))
    model = make_model("safe 1", safety)
    round_ = begin(plan=gated())
    enter_stage(round_, Stage.POLICY, "trained", reward_model=make_model("helpful 2", criterion))
    model.criteria.add(criterion)  # it is no model of safety alone any more
    assert advance_round(round_.pk)
    round_.refresh_from_db()
    assert (round_.stage, round_.failed_stage) == (Stage.FAILED, Stage.POLICY)
    assert round_.error.startswith("The project has no reward model of “safety” alone to take rewards from")


def test_what_is_the_first_model_already_or_stands_twice_is_refused(
    begin, project, criterion, policy, prompt_set, safety, make_model, max_
):
    from policy_training.rewarded.actions import ppo_config, train_ppo

    safe = make_model("safe 1", safety)
    config = ppo_config("tiny") | {"rewards": {"models": [{"criterion": "safety"}]}}
    with pytest.raises(ActionError, match="is “safe 1”, which is the first one already"):
        train_ppo(
            actor=max_, project=project, name="new", start=policy, reward_model=safe, prompt_set=prompt_set,
            config=config,
        )  # fmt: skip
    with pytest.raises(ValueError, match="'newest of safety' stands twice"):
        RewardSourcesOptions(
            models=(RewardModelPart(criterion="safety"), RewardModelPart(criterion="safety"))
        )
    with pytest.raises(ValueError, match="give the name of a reward model, or a criterion"):
        RewardModelPart()
    with pytest.raises(ValueError, match="name is empty; give the reward model there a name"):
        RewardModelPart(criterion="safety", path="/somewhere")
    # By its name and as the newest: said when the round starts, not after people have judged.
    helpful = make_model("helpful 1", criterion)
    both = {"models": [{"name": "safe 1"}, {"criterion": "safety"}]}
    with pytest.raises(RoundRefused, match="“safe 1” stands twice among the further reward models"):
        begin(plan=override_plan(preset_plan("tiny"), rewards=both))
    with pytest.raises(ActionError, match="“safe 1” stands twice"):
        train_ppo(
            actor=max_, project=project, name="new", start=policy, reward_model=helpful, prompt_set=prompt_set,
            config=ppo_config("tiny") | {"rewards": both},
        )  # fmt: skip


def test_form_command_and_api_ask_for_one_reward_model_of_several_criteria(
    client, project, criterion, policy, prompt_set, safety, asked, max_, ada, begin
):
    round_ = begin()
    judge_elsewhere(round_, safety, max_, ada)
    round_.delete()
    client.force_login(max_)
    sent = {"reward_model_criteria": ["safety"]}
    answer = client.post(reverse("rounds:start", args=["kitchen"]), asked | sent)
    assert answer.status_code == 302, answer.context["form"].errors
    by_form = Round.objects.latest("pk")
    assert by_form.plan["reward_model_criteria"] == ["safety"]
    by_form.delete()
    call_command(
        "start_round", "kitchen", "--criterion", criterion.name, "--reward-model-criterion", "safety",
        stdout=StringIO(),
    )  # fmt: skip
    by_command = Round.objects.latest("pk")
    assert by_command.plan["reward_model_criteria"] == ["safety"]
    by_command.delete()
    answer = client.post(
        "/api/v1/projects/kitchen/rounds",
        asked | sent | {"criterion": criterion.name},
        content_type="application/json",
    )
    assert answer.status_code == 201, answer.content
    assert Round.objects.latest("pk").plan["reward_model_criteria"] == ["safety"]


def test_a_round_trains_one_reward_model_on_the_judgments_of_its_criteria_and_says_which(
    begin, make_model, criterion, safety, max_, ada, settings, tmp_path, client
):
    settings.DATA_DIR = tmp_path
    plan = override_plan(preset_plan("tiny"), reward_model_criteria=["safety"])
    with pytest.raises(RoundRefused, match="There are no judgments on “safety” yet for the reward model"):
        begin(plan=plan)
    with pytest.raises(RoundRefused, match="no criterion “nothing” for the reward model to learn"):
        begin(plan=override_plan(preset_plan("tiny"), reward_model_criteria=["nothing"]))
    round_ = begin()
    judge_elsewhere(round_, safety, max_, ada, count=3)
    round_.delete()
    round_ = begin(plan=plan)
    at_annotation(round_, criterion, max_, pairs=3)
    judge_elsewhere(round_, criterion, max_, ada, name="Own")
    end_annotation(actor=max_, round_=round_)
    assert advance_round(round_.pk)
    round_.refresh_from_db()
    [run] = stage_runs(round_, Stage.REWARD_MODEL)
    assert run.parameters["criteria"] == [criterion.pk, safety.pk]
    assert run.config["criterion"] == f"{criterion.name}, safety"
    assert sorted(dataset_manifest(round_.dataset)["criteria"]) == sorted([criterion.name, "safety"])
    # Three judgments on safety and two on the round's own.
    assert [row["criterion"] for row in dataset_judgments(round_.dataset)].count("safety") == 3
    assert len(list(dataset_judgments(round_.dataset))) == 5
    assert round_report(round_, max_).learned == [(criterion.name, ""), ("safety", "")]
    model = make_model("both", criterion, safety)
    report = {
        "accuracy": 0.75,
        "by_criterion": {"safety": {"accuracy": 0.5, "n": 40, "interval": [0.35, 0.65]}},
    }
    RewardModel.objects.filter(pk=model.pk).update(produced_by=run, report=report)
    Run.objects.filter(pk=run.pk).update(state=RunState.DONE, finished_at=timezone.now())
    assert advance_round(round_.pk)
    client.force_login(max_)
    page = client.get(reverse("rounds:round", args=["kitchen", round_.number])).content.decode()
    said = f"several criteria: “{criterion.name}”, “safety” (50.0 % of 40 held-out pairs (35.0 to 65.0 %))."
    assert said in page
    reason = round_.stage_entries.last().reason
    assert reason == f"agrees with 75.0% of the held-out comparisons (criteria: {criterion.name}, safety)"
