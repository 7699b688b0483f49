"""A round whose policy is trained by several recipes, one after another."""

from dataclasses import replace
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from annotation.batches.actions import create_batch
from annotation.content.actions import NewDemonstration, add_demonstrations
from annotation.models import Batch, Source
from learning.interface.options import UserError, load_options
from policy_training.mixtures.options import PromptMixture, SetShare
from policy_training.models import Policy
from policy_training.registry import add_policy
from rounds.actions import end_annotation, retry_round, start_next_round
from rounds.errors import RoundRefused
from rounds.models import Round, Stage
from rounds.plan_changes import with_steps
from rounds.plans import load_plan, plan_to_dict, preset_plan, with_assignments, with_lengths
from rounds.stages.machine import advance_round
from rounds.stages.transitions import enter_stage
from rounds.starting_models import first_policy
from rounds.step_fields import StepForm
from rounds.step_runs import queue_step
from rounds.steps import PolicyStep, build_step, step_from_words
from runs.models import Artifact, Run
from runs.states import RunState
from tests.rounds.annotating import at_annotation, judge_elsewhere

pytestmark = [pytest.mark.db, pytest.mark.sqlite_only, pytest.mark.django_db]

CHAIN = (
    ["sft", "preferred_at_least=0.5", "optimizer.learning_rate=0.01"],
    [
        "best_of_n:llama2",
        "candidates.samples_per_prompt=3",
        "other_policies=older",
        "stored_answers=policies",
    ],
    ["dpo", "reference=step_start", "objective.beta=0.25"],
    ["policy_gradient:grpo", "rollout.steps=7"],
    ["ppo", "reference=named_policy", "reference_policy=older"],
    ["ppo:ppo_max", "rollout.steps=9", "algorithm.ptx_coefficient=0"],
)


def chain(plan, words=CHAIN):
    return with_steps(plan, [step_from_words(step, policy=plan.policy) for step in words])


@pytest.fixture
def at_policy(begin, finish_round, criterion, max_, ada, settings, tmp_path):
    """A round that goes into its policy training, with a real frozen dataset and a reward model without weights."""
    settings.DATA_DIR = tmp_path

    def bring(plan) -> Round:
        round_ = begin(plan=plan)
        at_annotation(round_, criterion, max_, pairs=3)
        judge_elsewhere(round_, criterion, max_, ada)
        end_annotation(actor=max_, round_=round_)
        assert advance_round(round_.pk)
        round_.refresh_from_db()
        dataset = round_.dataset
        reward_model = finish_round(round_).reward_model
        Policy.objects.filter(pk=round_.new_policy_id).update(name="of the fixture")
        Source.objects.filter(policy=round_.new_policy_id).update(name="of the fixture")
        with transaction.atomic():
            enter_stage(
                round_,
                Stage.POLICY,
                "goes on",
                reward_model=reward_model,
                dataset=dataset,
                new_policy=None,
                finished_at=None,
            )
        return round_

    return bring


def carry_out(run: Run, **report) -> Policy:
    """As if the worker had: its policy, a row without weights."""
    Run.objects.filter(pk=run.pk).update(state=RunState.DONE, finished_at=timezone.now())
    artifact = Artifact.objects.create(
        project=run.project,
        produced_by=run,
        kind=Artifact.Kind.POLICY,
        path=f"runs/{run.pk}/model",
        sha256="1" * 64,
        size_bytes=1,
    )
    return add_policy(
        actor=run.requested_by,
        project=run.project,
        name=run.parameters["name"],
        artifact=artifact,
        parent_id=run.parameters.get("parent"),
        produced_by=run,
        report=report,
    )


def latest_run(round_: Round) -> Run:
    return round_.round_runs.filter(stage=Stage.POLICY).order_by("pk").last().run


def test_each_step_starts_from_the_policy_of_the_one_before(at_policy, policy, make_policy, client, max_):
    older = make_policy("older")
    round_ = at_policy(chain(preset_plan("tiny")))
    policies, runs = [policy], []
    for number in range(1, len(CHAIN) + 1):
        assert advance_round(round_.pk)
        assert not advance_round(round_.pk)  # its run is under way
        run = latest_run(round_)
        runs.append(run)
        assert run.round_run.step == number - 1
        assert run.parameters["parent"] == policies[-1].pk
        page = client.get(reverse("rounds:round", args=["kitchen", round_.number]))
        if page.status_code == 302:
            client.force_login(max_)
        policies.append(carry_out(run, score_before=0.0, score_after=float(number)))
    assert advance_round(round_.pk)
    round_.refresh_from_db()
    assert (round_.stage, round_.new_policy) == (Stage.SCORING, policies[-1]), round_.error
    assert round_.stage_entries.last().reason == "mean reward 0.00 before, 6.00 after"

    folders = [policy.artifact.path for policy in policies]
    kinds = [run.kind for run in runs]
    assert kinds == [
        "policy.sft", "policy.best_of_n", "policy.dpo", "policy.gradient", "policy.ppo", "policy.ppo",
    ]  # fmt: skip
    starts = [run.config.get("model") or run.config["policy"] for run in runs]
    assert [start["source"]["path"] for start in starts] == folders[:-1]
    sft, best_of_n, dpo, gradient, ppo, last = runs
    assert sft.parameters["preferred"] == {"at_least": 0.5, "criterion": round_.criterion.name}
    assert sft.parameters["judgments"] == {"batches": None, "annotator_kinds": ["person"]}
    older_folder = older.artifact.path
    assert [source["path"] for source in best_of_n.config["samplers"]] == [folders[1], older_folder]
    assert best_of_n.parameters["stored"]["policies"] and best_of_n.config["stored"]["use"]
    # Held near: what the step before made, the round's start as the plan has it, and the one it names.
    references = [run.config["reference"]["path"] for run in (dpo, gradient, ppo, last)]
    assert references == [folders[2], folders[0], older_folder, folders[0]]
    assert dpo.parameters["dataset"] == round_.dataset_id
    assert [run.config["objective"]["beta"] for run in [dpo]] == [0.25]
    assert (gradient.config["rollout"]["steps"], last.config["rollout"]["steps"]) == (7, 9)
    assert last.config["preset"] == "ppo_max" and ppo.config["preset"] == "tiny"
    # All on the round's lengths.
    lengths = {
        (run.config["batch"]["max_prompt_tokens"], run.config["batch"]["max_response_tokens"]) for run in runs
    }
    assert len(lengths) == 1
    assert [policy.name for policy in policies[1:]] == [
        "policy, round 1, step 1: Supervised fine-tuning",
        "policy, round 1, step 2: Best-of-n",
        "policy, round 1, step 3: DPO",
        "policy, round 1, step 4: Policy gradient",
        "policy, round 1, step 5: PPO",
        "policy, round 1",
    ]
    # What a round fine-tuned on its way is not where the line began.
    assert first_policy(policies[-1]) == policy

    page = client.get(reverse("rounds:round", args=["kitchen", round_.number])).content.decode()
    assert all(f">{policy.name}</a>" in page for policy in policies[1:])
    assert "Reward on held-out prompts: 0.00 → 2.00" in page
    told = client.get(f"/api/v1/projects/kitchen/rounds/{round_.number}").json()
    assert [run["step"] for run in told["runs"] if run["stage"] == "policy"] == [0, 1, 2, 3, 4, 5]


def test_fine_tuning_learns_from_the_judgments_that_the_plan_names(at_policy, project, criterion, max_):
    """A file of others' judgments is in the project, too, and the round's own batch always counts."""
    create_batch(actor=max_, project=project, criterion=criterion, name="A file")
    plan = chain(preset_plan("tiny"), [["sft", "preferred_at_least=0.5"]])
    round_ = at_policy(plan)
    plan = replace(
        plan, batches=("Earlier",), annotation=replace(plan.annotation, annotator_kinds=("person", "ai"))
    )
    Round.objects.update(plan=plan_to_dict(plan))
    assert advance_round(round_.pk)
    judged = latest_run(round_).parameters["judgments"]
    names = set(Batch.objects.filter(pk__in=judged["batches"]).values_list("name", flat=True))
    assert names == {"Earlier", "Round 1"}
    assert judged["annotator_kinds"] == ["person", "ai"]


def test_a_failed_step_is_tried_again_and_the_ones_before_stay(at_policy, max_):
    round_ = at_policy(chain(preset_plan("tiny"), [["ppo"], ["dpo"]]))
    assert advance_round(round_.pk)
    first = carry_out(latest_run(round_))
    assert advance_round(round_.pk)
    second = latest_run(round_)
    Run.objects.filter(pk=second.pk).update(
        state=RunState.FAILED, error="Out of memory.", finished_at=timezone.now()
    )
    assert advance_round(round_.pk)
    round_.refresh_from_db()
    assert (round_.stage, round_.failed_stage) == (Stage.FAILED, Stage.POLICY)
    assert "Out of memory" in round_.error
    retry_round(actor=max_, round_=round_)
    assert not advance_round(round_.pk)
    second.refresh_from_db()
    assert second.state == RunState.QUEUED and second.parameters["parent"] == first.pk
    carry_out(second, loss_before=1.5, loss_after=1.25)
    assert advance_round(round_.pk)
    round_.refresh_from_db()
    assert round_.stage == Stage.SCORING
    assert round_.stage_entries.last().reason == "loss on held-out rows 1.500 before, 1.250 after"


def test_command_and_api_ask_for_the_same_steps(
    client, project, criterion, policy, prompt_set, make_policy, max_
):
    older = make_policy("older")
    words = [word for step in CHAIN for word in ("--step", *step)]
    call_command(
        "start_round", "kitchen", "--policy", "base", "--max-prompt-tokens", "50", "--max-response-tokens", "20",
        "--device", "cuda", *words, stdout=StringIO(),
    )  # fmt: skip
    by_command = Round.objects.get()
    plan = load_plan(by_command.plan)
    assert [step.recipe for step in plan.steps] == [words[0].partition(":")[0] for words in CHAIN]
    assert {plan.config_of(step).batch.max_response_tokens for step in plan.steps} == {20}
    assert {plan.config_of(step).runtime.device for step in plan.steps} == {"cuda"}
    by_command.delete()

    client.force_login(max_)
    body = {
        "preset": "tiny", "criterion": criterion.name, "start_policy": policy.pk, "prompt_set": prompt_set.pk,
        "max_prompt_tokens": 50, "max_response_tokens": 20, "device": "cuda",
        "steps": [
            {"recipe": "sft", "preferred_at_least": 0.5, "options": {"optimizer.learning_rate": 0.01}},
            {"recipe": "best_of_n", "preset": "llama2", "options": {"candidates.samples_per_prompt": 3},
             "other_policies": [older.pk], "stored_answers": "policies"},
            {"recipe": "dpo", "reference": "step_start", "options": {"objective.beta": 0.25}},
            {"recipe": "policy_gradient", "preset": "grpo", "options": {"rollout.steps": 7}},
            {"recipe": "ppo", "reference_policy": older.pk},
            {"recipe": "ppo", "preset": "ppo_max", "options": {"rollout.steps": 9, "algorithm.ptx_coefficient": 0}},
        ],
    }  # fmt: skip
    del body["device"]
    answer = client.post("/api/v1/projects/kitchen/rounds", body, content_type="application/json")
    assert answer.status_code == 201, answer.content
    steps = answer.json()["plan"]["steps"]
    for step in steps:
        for config in step.values():
            if isinstance(config, dict):
                config["runtime"]["device"] = "cuda"
    assert steps == plan_to_dict(plan)["steps"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rlhf"], "There is no recipe “rlhf”"),
        (["dpo:best"], "There is no preset “best” of DPO"),
        (["dpo", "objective.beta=0"], "beta must be positive"),
        (["dpo", "objective.gamma=1"], "unknown option"),
        (["sft", "reference=step_start"], "'sft' has none"),
        (["ppo", "reference=named_policy"], "a name belongs to"),
        (["ppo", "other_policies=older"], "belongs to 'best_of_n'"),
        (["sft", "learn_from=demonstrations"], "belongs to 'pretrain'"),
        (["dpo", "preferred_at_least=0.5"], "are for 'sft'"),
        (["sft", "rated_mark=overall"], "belong together"),
        (["dpo", "batch.max_response_tokens=9"], "lengths are those of the whole round"),
        (["best_of_n", "stored_answers=some"], "stored_answers"),
        (["dpo", "model.source.path=/etc"], "the round fills this in"),
        (["dpo", "reference.path=/etc"], "the round fills this in"),
        (["ppo", "reward_model_path=/etc"], "the round fills this in"),
        (["best_of_n", "samplers=[]"], "the round fills this in"),
    ],
)
def test_a_step_that_cannot_be_is_refused_with_what_is_wrong(words, said):
    with pytest.raises(UserError, match=said):
        step_from_words(words, policy=preset_plan("tiny").policy)


def test_what_a_step_needs_is_asked_before_people_judge(begin, project, policy, max_):
    plan = preset_plan("tiny")
    with pytest.raises(RoundRefused, match=r"Step 2 .*no demonstrations"):
        begin(plan=chain(plan, [["ppo"], ["sft"]]))
    with pytest.raises(RoundRefused, match="nobody"):
        begin(plan=chain(plan, [["best_of_n", "other_policies=nobody"]]))
    with pytest.raises(RoundRefused, match="texts"):
        begin(plan=chain(plan, [["pretrain"], ["ppo"]]))
    with pytest.raises(RoundRefused, match="Step 1 .*mark “tone”"):
        begin(plan=chain(plan, [["sft", "rated_mark=tone", "rated_at_least=5"]]))
    with pytest.raises(RoundRefused, match="no batch named “Gone”"):
        begin(plan=replace(plan, batches=("Gone",)))
    for name, said in (("nobody", "no policy “nobody”"), ("base", "“base” has no critic")):
        with pytest.raises(RoundRefused, match=said):
            begin(plan=with_assignments(plan, [f"sampling.options.guidance.policy={name}"]))
    for of_annotation in ("reserved_tasks_per_person=2", f'reserved_for=["{max_.username}"]'):
        with pytest.raises(RoundRefused, match="belong together"):
            begin(plan=with_assignments(plan, [f"annotation.{of_annotation}"]))
    longer = with_lengths(plan, max_prompt_tokens=99, max_response_tokens=33)
    with pytest.raises(RoundRefused, match="Step 1 .*other lengths"):
        begin(plan=with_steps(plan, [build_step("dpo", policy=longer.policy)]))
    assert not project.rounds.exists()


def test_form_command_and_api_have_a_step_pretrain_on_whole_demonstrations(
    client, begin, project, criterion, policy, prompt_set, max_
):
    plan = preset_plan("tiny")
    pretraining = chain(plan, [["pretrain", "learn_from=demonstrations"], ["ppo"]])
    with pytest.raises(RoundRefused, match="Step 1 .*no demonstrations to train on"):
        begin(plan=pretraining)
    prompt = prompt_set.prompts.filter(split="train").first()
    add_demonstrations(actor=max_, project=project, rows=[NewDemonstration(prompt=prompt, text="So.")])
    with pytest.raises(
        RoundRefused, match="no texts .* learn whole demonstrations .learn_from=demonstrations."
    ):
        begin(plan=chain(plan, [["pretrain"], ["ppo"]]))
    round_ = begin(plan=pretraining)
    run = queue_step(round_, load_plan(round_.plan), 1, policy)
    assert (run.kind, run.parameters["data"]) == ("policy.pretrain", "demonstrations")
    round_.delete()
    call_command(
        "start_round", "kitchen", "--step", "pretrain", "learn_from=demonstrations", stdout=StringIO()
    )
    by_command = Round.objects.get()
    assert by_command.plan["steps"][0]["learn_from"] == "demonstrations"
    by_command.delete()
    client.force_login(max_)
    body = {
        "preset": "tiny", "criterion": criterion.name, "start_policy": policy.pk, "prompt_set": prompt_set.pk,
        "steps": [{"recipe": "pretrain", "learn_from": "demonstrations"}],
    }  # fmt: skip
    answer = client.post("/api/v1/projects/kitchen/rounds", body, content_type="application/json")
    assert answer.status_code == 201, answer.content
    assert answer.json()["plan"]["steps"] == by_command.plan["steps"]
    data = {"step_1.recipe": "pretrain", "step_1.preset": "tiny", "step_1.learn_from": "demonstrations"}
    form = StepForm(data, project=project, number=1, recipe="pretrain")
    assert form.is_valid(), form.errors
    assert form.step(plan.policy) == pretraining.steps[0]
    # Steps that were stored before there was a choice learn texts.
    stored = {**by_command.plan["steps"][0]}
    del stored["learn_from"]
    assert load_options(PolicyStep, stored).learn_from == "texts"


def test_answers_that_are_there_already_do_not_go_with_a_mixture_of_prompt_sets():
    mixture = PromptMixture(sets=(SetShare(prompt_set="questions", weight=1.0),))
    plan = replace(preset_plan("tiny"), policy_prompts=mixture)
    with pytest.raises(UserError, match="Policy_prompts|policy_prompts"):
        chain(plan, [["best_of_n", "stored_answers=all"]])
    assert chain(plan, [["best_of_n"]]).policy_prompts == mixture


def test_options_that_no_step_has_are_refused(client, project, criterion, policy, prompt_set, max_):
    with pytest.raises(CommandError, match="None of the steps is PPO"):
        call_command("start_round", "kitchen", "--step", "dpo", "--ppo-preset", "ppo_max", stdout=StringIO())
    client.force_login(max_)
    body = {
        "preset": "tiny", "criterion": criterion.name, "start_policy": policy.pk, "prompt_set": prompt_set.pk,
        "steps": [{"recipe": "dpo"}], "policy_options": {"rollout.steps": 3},
    }  # fmt: skip
    answer = client.post("/api/v1/projects/kitchen/rounds", body, content_type="application/json")
    assert answer.status_code == 400 and "steps" in answer.json()["fields"]


def test_a_step_of_ppo_with_options_of_its_own_has_the_others_of_the_plan(project, policy, prompt_set):
    call_command(
        "start_round", "kitchen", "--step", "ppo", "rollout.steps=9", "--step", "ppo",
        "--set", "policy.algorithm.clip_range=0.3", stdout=StringIO(),
    )  # fmt: skip
    plan = load_plan(Round.objects.get().plan)
    found = [
        (config.rollout.steps, config.algorithm.clip_range)
        for config in (plan.config_of(step) for step in plan.steps)
    ]
    assert found == [(9, 0.3), (plan.policy.rollout.steps, 0.3)]


def test_the_next_round_is_not_opened_where_a_step_of_it_is_bound_to_fail(begin, finish_round, project, max_):
    """Better before people judge than after: its demonstrations were taken back."""
    round_ = finish_round(begin())
    plan = chain(load_plan(round_.plan), [["sft"], ["ppo"]])
    Round.objects.filter(pk=round_.pk).update(plan=plan_to_dict(plan))
    round_.refresh_from_db()
    with pytest.raises(RoundRefused, match=r"Step 1 .*no demonstrations"):
        start_next_round(actor=max_, round_=round_)
    assert project.rounds.count() == 1


def test_a_plan_without_steps_is_read_as_it_was_written(begin):
    """Rounds of before there were steps: PPO alone."""
    recorded = plan_to_dict(preset_plan("tiny"))
    del recorded["steps"]
    [step] = load_plan(recorded).policy_steps
    assert (step.recipe, step.config) == ("ppo", None)
