"""Rounds on several prompt sets: shares of what is compared and of what is trained on, from round to round."""

from collections import Counter

import pytest

from annotation.batches.actions import NewTask, add_tasks, create_batch
from annotation.content.actions import (
    NewResponse,
    add_prompts,
    add_responses,
    get_or_create_prompt_set,
    get_or_create_source,
)
from annotation.models import Import, Prompt, PromptSetMember, Source
from learning.interface.options import UserError, options_to_dict
from policy_training.mixtures.options import PromptMixture, SetShare
from policy_training.rewarded.actions import train_ppo
from policy_training.run_kinds import PPO
from policy_training.training.ppo.presets import PPO_PRESETS
from rewardmodel.models import RewardModel
from rounds.errors import RoundRefused
from rounds.mixed_prompts import describe_prompts, training_arguments
from rounds.models import Round, RoundRun, Stage
from rounds.plan_changes import override_plan
from rounds.plans import load_plan, plan_to_dict, preset_plan
from rounds.stages.machine import advance_round
from rounds.stages.scoring import open_next_round
from rounds.steps import placeholder_source
from runs.models import Run
from workspace.models import AuditEvent

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def make_set(project, max_):
    def make(name, train=0, held_out=0, purpose="policy", prompts=None):
        """A set with so many prompts on either side; or with these, which another set may have too."""
        made = get_or_create_prompt_set(actor=max_, project=project, name=name, purpose=purpose)
        if prompts is None:
            sides = ["train"] * train + ["validation"] * held_out
            prompts = Prompt.objects.bulk_create(
                Prompt(
                    project=project,
                    external_id=f"{name}-{number:03d}",
                    messages=[{"role": "user", "content": f"{name} {number}"}],
                    content_hash=f"{name}-{number}",
                    split=split,
                )
                for number, split in enumerate(sides)
            )
        PromptSetMember.objects.bulk_create(
            PromptSetMember(prompt_set=made, prompt=prompt) for prompt in prompts
        )
        return made

    return make


def weights(**shares):
    return tuple(SetShare(prompt_set=name, weight=weight) for name, weight in shares.items())


def numbers(**shares):
    return tuple(SetShare(prompt_set=name, prompts=count) for name, count in shares.items())


def plan_with(compared=None, trained=None, when_short="refuse", prompts=None, **trained_options):
    sampling = {"mixture": PromptMixture(sets=compared, when_short=when_short)} if compared else {}
    if prompts is not None:
        sampling["prompts"] = prompts
    return override_plan(
        preset_plan("tiny"),
        sampling=sampling,
        annotation={"head_to_head_share": 0.0},
        policy_prompts=PromptMixture(sets=trained, **trained_options) if trained else None,
    )


def sampled(round_):
    """Ids of the prompts in the order of the sampling, which is that of the tasks."""
    advance_round(round_.pk)
    round_.refresh_from_db()
    assert not round_.error, round_.error
    return round_.round_runs.get(purpose="stage", stage="sampling").run.parameters["prompt_ids"]


def of_sets(ids):
    return dict(Counter(prompt_id.rpartition("-")[0] for prompt_id in ids))


@pytest.fixture
def make_tasks(project, criterion, max_):
    """Tasks of a round's prompts, as its sampling would make them, and the end of the round."""

    def make(round_, ids):
        source = get_or_create_source(actor=max_, project=project, kind=Source.Kind.POLICY, name="base")
        prompts = list(project.prompts.filter(external_id__in=ids))
        rows = [NewResponse(prompt=prompt, source=source, text=text) for prompt in prompts for text in "ab"]
        responses = add_responses(actor=max_, project=project, rows=rows)
        batch = create_batch(
            actor=max_,
            project=project,
            criterion=criterion,
            name=f"Round {round_.number}",
            responses_per_task=2,
            round_number=round_.number,
        )
        tasks = [NewTask(prompt=p, responses=responses[2 * n : 2 * n + 2]) for n, p in enumerate(prompts)]
        add_tasks(actor=max_, batch=batch, tasks=tasks)

    return make


def test_prompts_are_drawn_by_shares_and_take_turns(begin, make_set):
    make_set("helpful", train=40, held_out=10)
    make_set("harmless", train=20, held_out=5)
    round_ = begin(plan=plan_with(weights(helpful=5, harmless=2), prompts=28))
    ids = sampled(round_)
    assert of_sets(ids) == {"helpful": 20, "harmless": 8}
    for end in (7, 14, 21):  # any beginning has the shares too
        assert abs(of_sets(ids[:end])["harmless"] - end * 2 / 7) < 1.5
    run = round_.round_runs.get().run
    assert [(s["name"], s["prompts"]) for s in run.parameters["prompt_mixture"]] == [
        ("helpful", 20),
        ("harmless", 8),
    ]
    assert describe_prompts(round_) == ["Prompts compared: “helpful” 20 (71.4 %), “harmless” 8 (28.6 %)."]


def test_two_rounds_in_a_row_use_no_prompt_twice(begin, make_set, make_tasks, finish_round):
    make_set("helpful", train=20)
    make_set("harmless", train=8)
    first = begin(plan=plan_with(numbers(helpful=10, harmless=4)))
    ids = sampled(first)
    assert of_sets(ids) == {"helpful": 10, "harmless": 4}
    make_tasks(first, ids)
    second = open_next_round(finish_round(first))
    again = sampled(second)
    assert of_sets(again) == {"helpful": 10, "harmless": 4}
    assert not set(ids) & set(again)
    make_tasks(second, again)
    # Now both sets are exhausted: the next round is not begun.
    with pytest.raises(
        RoundRefused, match=r"“helpful” has 0 prompts that no round compared yet, .* of 14 is 10"
    ):
        open_next_round(finish_round(second))


@pytest.mark.parametrize(
    ("when_short", "expected"),
    [("top_up", {"helpful": 16, "harmless": 4}), ("repeat", {"helpful": 10, "harmless": 10})],
)
def test_an_exhausted_set_is_topped_up_or_repeated_where_the_plan_says_so(
    begin, make_set, make_tasks, finish_round, when_short, expected
):
    make_set("helpful", train=40)
    make_set("harmless", train=14)
    plan = plan_with(weights(helpful=1, harmless=1), when_short=when_short, prompts=20)
    first = begin(plan=plan)
    ids = sampled(first)
    assert of_sets(ids) == {"helpful": 10, "harmless": 10}
    make_tasks(first, ids)
    again = sampled(open_next_round(finish_round(first)))
    assert of_sets(again) == expected
    # What no round compared yet comes first.
    assert {i for i in again if i.startswith("harmless")} >= {f"harmless-{n:03d}" for n in range(14)} - set(
        ids
    )


@pytest.mark.parametrize(
    ("sets", "when_short", "code", "said"),
    [
        (
            numbers(helpful=10, harmless=9),
            "refuse",
            "too_few_prompts",
            "“harmless” has 8 .* of 19 is 9.*top_up",
        ),
        (numbers(helpful=10, harmless=99), "top_up", "too_few_prompts", "have 28 .* together, and 109"),
        (numbers(helpful=10, harmless=9), "repeat", "too_few_prompts", "“harmless” has 8 prompts"),
        (numbers(helpful=10, nothing=1), "refuse", "no_prompts", "no prompt set “nothing”"),
        (numbers(helpful=10, kept=1), "refuse", "held_out_prompts", "“kept” is kept for evaluation"),
    ],
)
def test_what_cannot_be_drawn_is_said_before_the_round_begins(begin, make_set, sets, when_short, code, said):
    make_set("helpful", train=20)
    make_set("harmless", train=8)
    make_set("kept", train=5, purpose="evaluation")
    for plan in (plan_with(sets, when_short=when_short), plan_with(trained=sets, when_short="refuse")):
        if plan.policy_prompts and when_short != "refuse":
            continue
        audit = AuditEvent.objects.count()
        with pytest.raises(RoundRefused, match=said.replace(" .* of", ".* of")) as caught:
            begin(plan=plan)
        assert caught.value.code == code
        assert not Round.objects.exists() and AuditEvent.objects.count() == audit


def test_a_prompt_of_two_sets_counts_to_the_first_and_is_asked_once(begin, make_set, project):
    make_set("helpful", train=6)
    make_set("harmless", prompts=list(project.prompts.filter(external_id__startswith="helpful"))[:4])
    with pytest.raises(RoundRefused, match="“harmless” has 0"):
        begin(plan=plan_with(numbers(helpful=3, harmless=1)))
    ids = sampled(begin(plan=plan_with(numbers(harmless=4, helpful=2))))
    assert len(set(ids)) == 6


def queue_training(round_, plan, max_):
    """The round's PPO run, its models being rows without weights."""
    config = options_to_dict(PPO_PRESETS["tiny"].config(placeholder_source(), "x"))
    config["algorithm"]["ptx_coefficient"] = 0.0
    run = train_ppo(
        actor=max_,
        project=round_.project,
        name=f"new {round_.number} {Run.objects.count()}",
        start=round_.start_policy,
        reward_model=RewardModel.objects.filter(project=round_.project).first(),
        config=config,
        **training_arguments(round_, plan),
    )
    RoundRun.objects.create(round=round_, run=run, stage=Stage.POLICY)
    return run


def test_training_takes_another_mixture_and_never_what_is_kept_for_measuring(
    begin, make_set, finish_round, project, max_
):
    make_set("labelled", train=20)
    api = make_set("api", train=30, held_out=4)
    harmless = make_set("harmless", train=12, held_out=2)
    kept = make_set("kept", purpose="anchor", prompts=list(api.prompts.filter(split="train"))[:9])
    # Sets that are only trained on are used as well: their imports stay.
    imports = []
    for used in (api, harmless):
        imports.append(Import.objects.create(project=project, kind="prompts", state="done", actor=max_))
        used.members.update(from_import=imports[-1])
    plan = plan_with(weights(labelled=1), weights(api=5, harmless=2), prompts=10)
    first = begin(plan=plan)
    assert of_sets(sampled(first)) == {"labelled": 10}
    for imported in imports:
        imported.refresh_from_db()
        assert imported.used_for == "a round"
    finish_round(first)
    run = queue_training(first, plan, max_)
    shares = run.parameters["prompt_mixture"]
    # 21 of api are left to train on: with 5 to 2, as many of harmless as 21 * 2 / 5 = 8.4; 29 in all, 20.71 and 8.29.
    assert [(s["name"], s["prompts"]) for s in shares] == [("api", 21), ("harmless", 8)]
    rows, _ = PPO.build_inputs(run)["prompts"]
    trained = [row["prompt_id"] for row in rows if row["split"] == "train"]
    assert of_sets(trained) == {"api": 21, "harmless": 8}
    assert not set(trained) & set(kept.prompts.values_list("external_id", flat=True))
    assert [row["prompt_id"] for row in rows[: len(trained)]] == trained
    # The held-out sides of both sets, to measure on.
    assert of_sets(row["prompt_id"] for row in rows[len(trained) :]) == {"api": 4, "harmless": 2}
    assert any(
        sentence.startswith("Prompts the policy is trained on: “api” 21")
        for sentence in describe_prompts(first)
    )


def test_a_second_round_trains_on_the_next_prompts_also_when_more_came_in(
    begin, make_set, finish_round, project, max_
):
    grown = make_set("api", train=20)
    make_set("harmless", train=9)
    plan = plan_with(trained=numbers(api=8, harmless=3))
    trained = []
    start = None
    for number in range(3):
        round_ = begin(plan=plan, **({"start_policy": start} if start else {}))
        finish_round(round_)
        start = round_.new_policy
        rows, _ = PPO.build_inputs(queue_training(round_, plan, max_))["prompts"]
        trained.append({row["prompt_id"] for row in rows})
        assert of_sets(trained[-1]) == {"api": 8, "harmless": 3}
        if number == 0:
            more = [
                {
                    "messages": [{"role": "user", "content": f"More {n}?"}],
                    "prompt_id": f"api-9{n:02d}",
                    "split": "train",
                }
                for n in range(5)
            ]
            add_prompts(actor=max_, project=project, rows=more, prompt_set=grown)
    assert not trained[0] & trained[1]
    # The prompts have all had their turn when they come again.
    assert not trained[1] & trained[2]


def test_numbers_say_how_many_prompts_there_are(make_set):
    plan = plan_with(numbers(a=20, b=8))
    assert plan.sampling.prompts == 28
    assert load_plan(plan_to_dict(plan)) == plan
    with pytest.raises(UserError, match="(?i)prompts is 5, and those of the mixture are 28"):
        plan_with(numbers(a=20, b=8), prompts=5)
    with pytest.raises(UserError, match="repeat"):
        override_plan(
            preset_plan("tiny"), policy_prompts=PromptMixture(sets=numbers(a=2), when_short="repeat")
        )
