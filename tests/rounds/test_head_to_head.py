"""Head to head: on prompts that no training has seen, drawn as for evaluation, against whom the plan says."""

from collections import Counter
from dataclasses import replace

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from annotation.batches.actions import NewTask, add_tasks, create_batch
from annotation.content.actions import (
    NewDemonstration,
    NewResponse,
    add_demonstrations,
    add_prompts,
    add_responses,
    get_or_create_prompt_set,
)
from annotation.judging.bulk import NewJudgment, add_judgments
from annotation.models import Prompt, Response, Task
from rounds.head_to_head import choose_pairings, held_out_prompts
from rounds.models import Round, RoundRun, Stage
from rounds.plan_changes import override_plan
from rounds.plans import load_plan, plan_to_dict, preset_plan
from rounds.reports import head_to_head, round_report
from rounds.stages.machine import advance_round
from rounds.stages.policy import advance_policy
from rounds.starting_models import first_policy
from runs.models import Run
from runs.states import RunState
from tests.rounds.stages.test_sampling import sample

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def prompt_set(project, max_):
    """300 prompts: about 240 to train on, 30 and 30 held out."""
    project.split_salt = "the same sides every time"
    project.save()
    return add_set(project, max_, "questions", "policy", "Question", 300)


def add_set(project, actor, name, purpose, word, count):
    prompt_set = get_or_create_prompt_set(actor=actor, project=project, name=name, purpose=purpose)
    rows = [{"messages": [{"role": "user", "content": f"{word} number {n}?"}]} for n in range(count)]
    add_prompts(actor=actor, project=project, rows=rows, prompt_set=prompt_set)
    return prompt_set


@pytest.fixture
def evaluation_set(project, prompt_set, max_):
    return add_set(project, max_, "kept", "evaluation", "Kept", 20)


@pytest.fixture
def line(make_policy, policy):
    """base <- second <- third: the third meets the second, its line began with base."""
    second = make_policy("second", parent=policy)
    return policy, second, make_policy("third", parent=second)


def demonstrate(project, actor, prompts):
    add_demonstrations(
        actor=actor,
        project=project,
        rows=[
            NewDemonstration(prompt=prompt, text=f"by hand: {prompt.external_id}", demonstration_id=f"d{n}")
            for n, prompt in enumerate(prompts)
        ],
    )


def plan_for(*opponents, prompts=100):
    return override_plan(preset_plan("tiny"), sampling={"prompts": prompts}, opponents=opponents)


def finish_sampling(round_):
    """All answers of the head-to-head runs; the rounds' own ones by their draws."""
    links = round_.round_runs.filter(purpose=RoundRun.Purpose.HEAD_TO_HEAD)
    for link in links.select_related("run", "policy__source"):
        prompts = {p.external_id: p for p in round_.project.prompts.all()}
        add_responses(
            actor=round_.started_by,
            project=round_.project,
            rows=[
                NewResponse(
                    prompt=prompts[prompt_id],
                    source=link.policy.source,
                    text="the same" if n == 0 else f"{link.policy.name} to {prompt_id}",
                    response_id=f"{link.run.config['id_prefix']}{prompt_id}-t0.8-0",
                )
                for n, prompt_id in enumerate(link.run.parameters["prompt_ids"])
            ],
        )
        Run.objects.filter(pk=link.run.pk).update(state=RunState.DONE, finished_at=timezone.now())
    sample(round_)
    advance_round(round_.pk)
    round_.refresh_from_db()
    assert round_.stage == Stage.ANNOTATING, round_.error


def test_pairs_are_on_evaluation_prompts_and_the_test_side_alone_sampled_as_for_evaluation(
    begin, line, evaluation_set, prompt_set
):
    _, second, third = line
    round_ = begin(start_policy=third, plan=plan_for("previous_policy"))
    advance_round(round_.pk)
    runs = {link.policy: link.run for link in round_.round_runs.filter(purpose=RoundRun.Purpose.HEAD_TO_HEAD)}
    assert set(runs) == {second, third}
    asked = runs[third].parameters["prompt_ids"]
    assert runs[second].parameters["prompt_ids"] == asked
    assert len(set(asked)) == 20  # a fifth of 100
    prompts = Prompt.objects.filter(external_id__in=asked)
    kept = set(evaluation_set.prompts.values_list("pk", flat=True))
    assert kept & {prompt.pk for prompt in prompts}
    assert {prompt.split for prompt in prompts if prompt.pk not in kept} == {"test"}
    for run in runs.values():
        sampling = run.config["sampling"]
        assert sampling["temperatures"] == [0.8]  # Secrets of RLHF I, 6.1
        assert (sampling["top_p"], sampling["repetition_penalty"]) == (0.9, 1.1)
        assert sampling["repetition_penalty_scope"] == "response"
        assert (sampling["max_prompt_tokens"], sampling["max_response_tokens"]) == (256, 192)
        assert run.config["samples_per_prompt"] == 1 and "draws" not in run.parameters
    own = round_.round_runs.get(policy=third, purpose=RoundRun.Purpose.STAGE).run
    assert len(own.parameters["prompt_ids"]) == 80
    assert not set(own.parameters["prompt_ids"]) & set(asked)


def test_an_evaluation_prompt_that_a_training_may_have_met_is_left_out(
    project, prompt_set, evaluation_set, criterion, policy, max_
):
    on_training_side = list(evaluation_set.prompts.filter(split="train")[:4])
    demonstrated, in_another_set, judged, clean = on_training_side
    demonstrate(project, max_, [demonstrated])
    prompt_set.members.create(prompt=in_another_set)
    batch = create_batch(actor=max_, project=project, criterion=criterion, name="earlier")
    rows = [NewResponse(prompt=judged, source=policy.source, text=text) for text in "ab"]
    pair = add_responses(actor=max_, project=project, rows=rows)
    add_tasks(actor=max_, batch=batch, tasks=[NewTask(prompt=judged, responses=pair)])
    chosen = held_out_prompts(project, [prompt_set])
    assert clean in chosen
    assert not {demonstrated, in_another_set, judged} & set(chosen)
    kept = set(evaluation_set.prompts.values_list("pk", flat=True))
    assert all(prompt.split != "train" or prompt.pk in kept for prompt in chosen)


def test_too_few_held_out_prompts_are_said_at_the_start_and_none_is_taken_from_training(
    client, begin, line, prompt_set, max_, criterion
):
    _, second, third = line
    n_held_out = prompt_set.prompts.exclude(split="train").count()
    prompt_set.members.exclude(prompt__split="train").exclude(
        prompt__in=prompt_set.prompts.exclude(split="train")[:3]
    ).delete()
    sentence = "only 3 held-out prompts for 20 head-to-head pairs with second"
    assert n_held_out > 3
    round_ = begin(start_policy=third, plan=plan_for("previous_policy"))
    assert sentence in round_.stage_entries.get().reason
    advance_round(round_.pk)
    round_.refresh_from_db()
    (record,) = round_.head_to_head
    assert (record["opponent"], record["policy"], record["wanted"]) == ("previous_policy", second.pk, 20)
    assert len(record["prompt_ids"]) == 3
    assert not Prompt.objects.filter(external_id__in=record["prompt_ids"], split="train").exists()
    own = round_.round_runs.get(policy=third, purpose=RoundRun.Purpose.STAGE).run
    assert len(own.parameters["prompt_ids"]) == 97
    client.force_login(max_)
    assert sentence in client.get(reverse("rounds:round", args=["kitchen", 1])).content.decode()


def test_the_command_and_the_form_say_it_and_take_the_opponents_and_the_reference(
    client, line, prompt_set, criterion, project, max_, capsys
):
    _, _, third = line
    prompt_set.members.exclude(prompt__split="train").delete()
    flags = ["--policy", "third", "--prompts", "10", "--opponents", "first_policy", "previous_policy"]
    call_command("start_round", "kitchen", *flags, "--reference", "first_policy")
    assert "only 0 held-out prompts for 1 head-to-head pairs with base" in capsys.readouterr().out
    plan = load_plan(Round.objects.get().plan)
    assert plan.head_to_head.opponents == ("first_policy", "previous_policy")
    assert plan.reference == "first_policy"
    Round.objects.update(stage=Stage.CANCELLED, finished_at=timezone.now())
    client.force_login(max_)
    values = {
        "preset": "tiny",
        "criterion": criterion.pk,
        "start_policy": third.pk,
        "prompt_set": prompt_set.pk,
        "reference": "first_policy",
        "meet_first": "on",
        "meet_reference": "on",
    }
    page = client.post(reverse("rounds:start", args=["kitchen"]), values, follow=True).content.decode()
    assert "only 0 held-out prompts for" in page
    plan = load_plan(Round.objects.latest("pk").plan)
    assert plan.head_to_head.opponents == ("first_policy", "human_reference")
    assert plan.reference == "first_policy"


def test_every_opponent_of_the_plan_has_its_pairs_and_its_own_wins_ties_and_losses(
    begin, line, project, prompt_set, max_, ada, client
):
    base, second, third = line
    held_out = list(prompt_set.prompts.exclude(split="train"))
    demonstrate(project, max_, held_out[:9])
    plan = plan_for("previous_policy", "first_policy", "human_reference", prompts=60)
    plan = replace(plan, annotation=replace(plan.annotation, head_to_head_share=0.25))
    round_ = begin(start_policy=third, plan=plan)
    advance_round(round_.pk)
    finish_sampling(round_)
    assert [(r["opponent"], r["wanted"], len(r["prompt_ids"])) for r in round_.head_to_head] == [
        ("previous_policy", 5, 5),
        ("first_policy", 5, 5),
        ("human_reference", 5, 5),
    ]
    tasks = list(Task.objects.filter(purpose=Task.Purpose.HEAD_TO_HEAD).order_by("pk"))
    opponents = Counter()
    judged = Counter()
    rows = []
    for task in tasks:
        by_source = {entry.response.source: entry.response for entry in task.task_responses.all()}
        assert third.source in by_source and len(by_source) == 2
        (other,) = set(by_source) - {third.source}
        opponents[other.name] += 1
        new, old = by_source[third.source].pk, by_source[other].pk
        # The third wins once, then ties once, and loses the rest, against each.
        judged[other.name] += 1
        tiers = {1: [[new], [old]], 2: [[new, old]]}.get(judged[other.name], [[old], [new]])
        strengths = [2] * (len(tiers) - 1)
        rows.append(
            NewJudgment(
                task=task,
                annotator=ada,
                tiers=tiers,
                strengths=strengths,
                idempotency_key=f"judgment-{task.pk}",
            )
        )
    # Of its five prompts the second was first asked one to which both said the same; nobody is shown that.
    assert opponents == {"second": 4, "base": 5, "demonstrations": 5}
    for response in Response.objects.filter(source__name="demonstrations"):
        assert response.text == f"by hand: {response.prompt.external_id}"
        assert (response.source.kind, response.prompt.split != "train") == ("reference", True)
    assert round_.stage_entries.get(stage=Stage.ANNOTATING).reason == (
        f"{round_.batch.tasks.count()} tasks are ready; "
        "1 head-to-head pair left out, both answers being the same"
    )
    add_judgments(actor=max_, batch=round_.batch, rows=rows)
    results = {result.opponent: result for result in head_to_head(round_)}
    assert {name: (r.wins, r.ties, r.losses) for name, r in results.items()} == {
        "second": (1, 1, 2),
        "base": (1, 1, 3),
        "the human reference": (1, 1, 3),
    }
    assert {name: r.role for name, r in results.items()} == {
        "second": "the policy before",
        "base": "the first policy",
        "the human reference": "",
    }
    assert {name: r.equal for name, r in results.items()} == {
        "second": 1,
        "base": 0,
        "the human reference": 0,
    }
    assert all(r.on_trained_prompts == 0 for r in results.values())
    client.force_login(max_)
    page = client.get(reverse("rounds:round", args=["kitchen", 1])).content.decode()
    for words in ("third against second, the policy before", "against the human reference"):
        assert words in " ".join(page.split())


def test_the_policy_before_and_the_first_one_are_one_opponent_where_they_are_the_same(
    project, prompt_set, line
):
    base, second, _ = line
    pairings = choose_pairings(
        project=project,
        prompt_sets=[prompt_set],
        plan=plan_for("previous_policy", "first_policy"),
        start=second,
        previous=base,
    )
    assert [(p.opponent.policy, p.wanted) for p in pairings] == [(base, 20)]
    first_round = choose_pairings(
        project=project,
        prompt_sets=[prompt_set],
        plan=plan_for("previous_policy", "first_policy"),
        start=base,
        previous=None,
    )
    assert first_round == []


def test_pairs_of_an_earlier_version_on_trained_prompts_are_counted_as_such(
    begin, line, project, criterion, prompt_set, max_, ada
):
    _, second, third = line
    round_ = begin(start_policy=third)
    batch = create_batch(actor=max_, project=project, criterion=criterion, name="Round 1", round_number=1)
    rows = []
    for number, prompt in enumerate(
        [*prompt_set.prompts.filter(split="train")[:2], prompt_set.prompts.filter(split="test")[0]]
    ):
        pair = add_responses(
            actor=max_,
            project=project,
            rows=[
                NewResponse(prompt=prompt, source=policy.source, text=policy.name)
                for policy in (third, second)
            ],
        )
        (task,) = add_tasks(
            actor=max_,
            batch=batch,
            tasks=[NewTask(prompt=prompt, responses=pair, purpose=Task.Purpose.HEAD_TO_HEAD)],
        )
        tiers = [[response.pk] for response in pair]
        rows.append(
            NewJudgment(
                task=task, annotator=ada, tiers=tiers, strengths=[1], idempotency_key=f"earlier-{number}"
            )
        )
    add_judgments(actor=max_, batch=batch, rows=rows)
    (result,) = head_to_head(round_)
    assert (result.opponent, result.wins, result.on_trained_prompts) == ("second", 3, 2)


def test_the_first_policy_is_the_supervised_one_and_not_what_it_was_pretrained_from(
    make_policy, max_, project
):
    def made_by(policy, kind):
        policy.produced_by = Run.objects.create(
            project=project, kind=kind, title=kind, config={}, requested_by=max_
        )
        policy.save()
        return policy

    pretrained = made_by(make_policy("pretrained"), "policy.pretrain")
    supervised = made_by(make_policy("supervised", parent=pretrained), "policy.sft")
    round_1 = made_by(make_policy("round 1", parent=supervised), "policy.ppo")
    round_2 = made_by(make_policy("round 2", parent=round_1), "policy.ppo")
    assert [first_policy(p) for p in (pretrained, supervised, round_1, round_2)] == [
        pretrained,
        supervised,
        supervised,
        supervised,
    ]


@pytest.mark.parametrize(("reference", "name"), [("start_policy", "third"), ("first_policy", "base")])
def test_ppo_is_held_to_the_reference_of_the_plan_which_is_recorded_and_shown(
    begin, line, finish_round, reference, name, max_
):
    policies = {policy.name: policy for policy in line}
    plan = override_plan(preset_plan("tiny"), reference=reference)
    assert load_plan(plan_to_dict(plan)).reference == reference
    round_ = begin(start_policy=policies["third"], plan=plan)
    finish_round(round_)
    Round.objects.update(stage=Stage.POLICY, new_policy=None, finished_at=None)
    round_.refresh_from_db()
    advance_policy(round_, plan)
    run = round_.round_runs.get(stage=Stage.POLICY).run
    assert run.config["policy"]["source"]["path"].endswith("models/third")
    assert run.config["reference"]["path"].endswith(f"models/{name}")
    assert run.parameters["reference"] == policies[name].pk
    new_policy = policies["third"].__class__.objects.get(name="round 1")
    new_policy.produced_by = run
    new_policy.save()
    round_.new_policy = new_policy
    assert round_report(round_, max_).reference == name
