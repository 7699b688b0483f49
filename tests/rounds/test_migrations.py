"""The migrations that rename the keys of recorded plans and configurations, on what the version before wrote."""

import copy
import importlib
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection

from annotation.models import Batch
from learning.interface.options import load_options
from rounds.models import Round
from rounds.plans import load_plan, plan_to_dict, preset_plan
from rounds.reports import round_report
from rounds.stages.machine import advance_round
from rounds.worker_tasks import RUN_KINDS

plain_names = importlib.import_module("rounds.migrations.0003_plain_names")
PLANS_BEFORE = json.loads((Path(__file__).parent / "data" / "plans_before_plain_names.json").read_text())

run_configs = importlib.import_module("rounds.migrations.0004_run_configs")
CONFIGS_BEFORE = json.loads(
    (Path(__file__).parent / "data" / "run_configs_before_plain_names.json").read_text()
)


close_batches = importlib.import_module("rounds.migrations.0008_close_batches_of_ended_rounds")


@pytest.fixture
def make_batch_of_round(project, criterion):
    return lambda number, name: Batch.objects.create(
        project=project, criterion=criterion, name=name, kind="pairwise", responses_per_task=2, overlap=1, quota=1,
        round_number=number, state="open",
    )  # fmt: skip


RENAMED_VALUES = {
    "conversations": False, "windows": True, "plain": "torch", "packed": "shared_prompt", "code": "ziegler_code",
}  # fmt: skip


def values_of(config):
    """Every value at the end of a path, whatever its name."""
    if isinstance(config, dict):
        return sorted((value for part in config.values() for value in values_of(part)), key=repr)
    return [config]


def with_names_of_now(config):
    return [
        RENAMED_VALUES.get(value, value) if isinstance(value, str) else value for value in values_of(config)
    ]


def only_names_of(pattern, config):
    """`config` without the names that `pattern` does not have: options that came later."""
    if isinstance(pattern, dict) and isinstance(config, dict):
        return {name: only_names_of(pattern[name], config[name]) for name in pattern}
    return config


@pytest.mark.parametrize("name", ["demonstration", "instructgpt", "llama2", "tiny"])
def test_a_plan_of_the_version_before_says_the_same_under_the_names_of_now(name):
    # Against the plan itself and not against the preset of now, whose values may have been corrected since.
    renamed = plain_names.renamed_plan(PLANS_BEFORE[name])
    assert only_names_of(renamed, plan_to_dict(load_plan(renamed))) == renamed
    before = [
        RENAMED_VALUES.get(value, value) if isinstance(value, str) else value
        for value in values_of(PLANS_BEFORE[name])
    ]
    assert sorted(values_of(renamed), key=repr) == sorted(before, key=repr)


def test_values_that_were_set_by_hand_are_renamed_too():
    plan = copy.deepcopy(PLANS_BEFORE["tiny"])
    plan["sampling"] |= {"temperatures": [0.7, 1.0], "further_policies": ["older"]}
    plan["annotation"] |= {"hours": 2.5, "reserved_for": ["ada"], "reserved_tasks": 3}
    plan["open_next_round"] = False
    plan["reward_model"]["batch"]["layout"] = "packed"
    plan["reward_model"]["runtime"]["engine"] = "deepspeed"
    plan["policy"]["reward_batch"] = {**plan["policy"]["batch"], "layout": "packed"}
    plan["policy"]["reward"] |= {"kl_rule": "paper", "kl_target": 6.0}
    plan["policy"]["reference"] = {"path": None, "fresh": {"layers": 3, "heads": 2, "max_positions": 64}}
    now = load_plan(plain_names.renamed_plan(plan))
    assert (now.sampling.options.temperatures, now.sampling.other_policies) == ((0.7, 1.0), ("older",))
    assert (now.annotation.max_hours, now.annotation.reserved_tasks_per_person) == (2.5, 3)
    assert not now.continue_automatically
    assert (now.reward_model.batch.layout, now.reward_model.runtime.backend) == ("shared_prompt", "deepspeed")
    assert now.policy.reward_model_batch.layout == "shared_prompt"
    assert now.policy.reward.kl_controller == "ziegler_paper"
    assert now.policy.reference.from_scratch.num_hidden_layers == 3
    assert plain_names.former_plan(plain_names.renamed_plan(plan)) == plan


@pytest.mark.parametrize("name", sorted(PLANS_BEFORE))
def test_the_way_back_gives_the_plan_that_was(name):
    assert plain_names.former_plan(plain_names.renamed_plan(PLANS_BEFORE[name])) == PLANS_BEFORE[name]


@pytest.mark.parametrize("plan", [{}, [], None, "text", {"sampling": 3}, {"policy": {"reward": []}}])
def test_a_plan_without_that_shape_is_left_as_it_is(plan):
    assert plain_names.renamed_plan(plan) == plain_names.former_plan(plan) == plan


@pytest.mark.db
@pytest.mark.django_db
@pytest.mark.parametrize("plan", [{}, [], "text", {"sampling": 3}])
def test_a_round_whose_plan_cannot_be_read_fails_with_one_sentence(annotating_round, policy, max_, plan):
    Round.objects.update(plan=plan, comparison_policy=policy)
    advance_round(annotating_round.pk)
    annotating_round.refresh_from_db()
    assert annotating_round.stage == "failed"
    assert annotating_round.error.startswith("plan")
    assert "\n" not in annotating_round.error
    assert round_report(annotating_round, max_).head_to_head == []


@pytest.fixture
def models_before(schema_at):
    """The models of the time before the renaming."""
    apps = schema_at(("rounds", "0002_stage_rules"))
    return lambda app, name: apps.get_model(app, name)


@pytest.mark.db
@pytest.mark.django_db(transaction=True)
def test_an_open_round_goes_through_the_migration_with_its_plan_deadline_and_policies(
    models_before, migrate_to
):
    def create(app, model, /, **values):
        return models_before(app, model).objects.create(**values)

    user = create("workspace", "User", username="max", pseudonym="annotator-1")
    project = create("workspace", "Project", name="Kitchen", slug="kitchen", split_salt="salt")
    criterion = create("workspace", "Criterion", project=project, name="overall", question="?")
    prompt_set = create("annotation", "PromptSet", project=project, name="p", purpose="policy")
    policies = []
    for name in ("older", "newer"):
        artifact = create(
            "runs", "Artifact", project=project, kind="policy", path=name, sha256="0" * 64, size_bytes=1
        )
        source = create("annotation", "Source", project=project, kind="policy", name=name)
        policies.append(
            create("policy_training", "Policy", project=project, name=name, artifact=artifact, source=source)
        )
    older, newer = policies
    before = create(
        "rounds",
        "Round",
        project=project,
        number=1,
        criterion=criterion,
        prompt_set=prompt_set,
        plan=PLANS_BEFORE["tiny"],
        start_policy=newer,
        previous_policy=older,
        annotate_until="2026-11-27T12:00:00Z",
        started_by=user,
    )
    get_model = migrate_to(("rounds", "0003_plain_names")).get_model
    now = get_model("rounds", "Round").objects.get(pk=before.pk)
    plan = preset_plan("tiny")
    # What a recorded plan names stays: these were the preset's sizes of micro-batches before it said "auto".
    reward_batch = replace(plan.reward_model.batch, max_micro_batch_tokens=4096)
    policy_batch = replace(plan.policy.batch, max_micro_batch_tokens=1024)
    # And these zeros, where the preset now says something else.
    evaluation = replace(plan.policy.evaluation, evaluate_every_steps=0)
    algorithm = replace(plan.policy.algorithm, ptx_examples_per_minibatch=0)
    plan = replace(
        plan,
        reward_model=replace(plan.reward_model, batch=reward_batch),
        policy=replace(plan.policy, batch=policy_batch, algorithm=algorithm, evaluation=evaluation),
    )
    assert load_plan(now.plan) == plan
    assert now.comparison_policy_id == older.pk
    assert now.annotation_deadline.isoformat() == "2026-11-27T12:00:00+00:00"


# Kinds without options (imports of files) came later, and evaluations did.
@pytest.mark.parametrize(
    "kind",
    [kind for kind in RUN_KINDS if kind.name in CONFIGS_BEFORE],  # others came later
    ids=lambda kind: kind.name,
)
def test_the_config_of_a_run_of_the_version_before_loads_and_says_the_same(kind):
    before = CONFIGS_BEFORE[kind.name]
    after = run_configs.renamed_config(kind.name, before)
    load_options(kind.options, after, where="config")
    expected = with_names_of_now(before)
    if kind.name == "policy.sample":
        expected.remove(before["sampling"]["temperature"])  # never read
    assert sorted(values_of(after), key=repr) == sorted(expected, key=repr)


@pytest.mark.parametrize("kind", sorted(run_configs.RENAMES))
@pytest.mark.parametrize("config", [{}, [], None, "text", {"data": 3}, {"sampling": []}])
def test_a_config_without_that_shape_is_left_as_it_is(kind, config):
    assert run_configs.renamed_config(kind, config) == config


@pytest.mark.db
@pytest.mark.django_db
def test_batches_of_rounds_that_ended_before_the_upgrade_are_closed_and_no_others(
    annotating_round, finish_round, begin, make_batch_of_round
):
    finish_round(annotating_round)
    kept = make_batch_of_round(1, "Kept")  # open, as a round left it before
    begin()
    open_one, elsewhere = make_batch_of_round(2, "Of round 2"), make_batch_of_round(None, "By hand")
    close_batches.close_batches(apps, SimpleNamespace(connection=connection))
    for batch, state in ((kept, "closed"), (open_one, "open"), (elsewhere, "open")):
        batch.refresh_from_db()
        assert batch.state == state
