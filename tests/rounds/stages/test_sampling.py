from collections import Counter

import pytest
from django.utils import timezone

from annotation.content.actions import NewResponse, add_prompts, add_responses
from annotation.models import Response, Task
from learning.interface.record_schemas import DRAWS
from policy_training.run_kinds import SAMPLE
from rounds.models import Stage
from rounds.plan_changes import override_plan
from rounds.plans import preset_plan
from rounds.stages.machine import advance_round
from rounds.stages.transitions import stage_runs
from runs.models import Run
from runs.states import RunState

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def sample(round_, text=lambda policy, prompt, temperature, number: f"{policy}{temperature}{number}"):
    """What the sampling runs would write: the draws they were asked for, by the inputs they would get."""
    for link in round_.round_runs.filter(purpose="stage").select_related("run", "policy__source"):
        run, policy = link.run, link.policy
        inputs = SAMPLE.build_inputs(run)
        prompts = {prompt.external_id: prompt for prompt in round_.project.prompts.all()}
        rows, schema = inputs["draws"]
        assert schema == DRAWS
        asked = [row["prompt_id"] for row in inputs["prompts"][0]]
        assert set(asked) == {row["prompt_id"] for row in rows} and len(set(asked)) == len(asked)
        add_responses(
            actor=round_.started_by,
            project=round_.project,
            rows=[
                NewResponse(
                    prompt=prompts[row["prompt_id"]],
                    source=policy.source,
                    text=text(policy.name, row["prompt_id"], row["temperature"], number),
                    response_id=f"{run.config['id_prefix']}{row['prompt_id']}-{row['temperature']}-{number}",
                    sampling={"temperature": row["temperature"]},
                )
                for row in rows
                for number in range(row["samples"])
            ],
        )
        Run.objects.filter(pk=run.pk).update(state=RunState.DONE, finished_at=timezone.now())


def test_sampling_queues_one_run_a_policy_once_however_often_it_ticks(begin, make_policy):
    make_policy("older")
    plan = override_plan(preset_plan("tiny"), sampling={"other_policies": ("older",), "prompts": 5})
    round_ = begin(plan=plan)
    assert advance_round(round_.pk)
    assert not advance_round(round_.pk)
    runs = Run.objects.all()
    assert {run.parameters["policy"] for run in runs} == {link.policy_id for link in round_.round_runs.all()}
    assert len(runs) == 2
    assert all(len(run.parameters["prompt_ids"]) == 5 for run in runs)


def test_pairs_of_three_policies_at_two_temperatures_show_all_of_them_and_waste_nothing(
    begin, make_policy, prompt_set, project, max_
):
    rows = [{"messages": [{"role": "user", "content": f"More number {n}?"}]} for n in range(48)]
    add_prompts(actor=max_, project=project, rows=rows, prompt_set=prompt_set)
    for name in ("older", "oldest"):
        make_policy(name)
    plan = override_plan(
        preset_plan("tiny"),
        sampling={"other_policies": ("oldest", "older"), "prompts": 60},
        temperatures=(0.7, 1.0),
    )
    round_ = begin(plan=plan)
    advance_round(round_.pk)
    sample(round_)
    advance_round(round_.pk)
    round_.refresh_from_db()
    assert round_.stage == Stage.ANNOTATING, round_.error
    tasks = Task.objects.filter(batch=round_.batch).prefetch_related("task_responses__response__source")
    pairs = Counter(
        tuple(sorted(shown.response.source.name for shown in task.task_responses.all())) for task in tasks
    )
    assert pairs == {("base", "older"): 20, ("base", "oldest"): 20, ("older", "oldest"): 20}
    assert Response.objects.count() == 120
    assert not Response.objects.filter(task_responses=None).exists()


def test_a_policy_that_no_prompt_needs_is_not_sampled(begin, make_policy):
    for name in ("b", "c"):
        make_policy(name)
    plan = override_plan(preset_plan("tiny"), sampling={"other_policies": ("b", "c"), "prompts": 1})
    round_ = begin(plan=plan)
    advance_round(round_.pk)
    assert {link.policy.name for link in round_.round_runs.all()} == {"base", "b"}
    sample(round_)
    advance_round(round_.pk)
    round_.refresh_from_db()
    assert (round_.stage, Task.objects.count()) == (Stage.ANNOTATING, 1)


def test_samples_that_repeat_each_other_make_smaller_rankings_which_the_timeline_counts(begin, prompt_set):
    plan = override_plan(preset_plan("tiny"), sampling={"responses_per_task": 4, "prompts": 12})
    round_ = begin(plan=plan)
    advance_round(round_.pk)
    first, second = stage_runs(round_)[0].parameters["prompt_ids"][:2]

    def text(policy, prompt, temperature, number):
        return {first: "always the same", second: f"one of {number % 3}"}.get(prompt, f"answer {number}")

    sample(round_, text)
    advance_round(round_.pk)
    round_.refresh_from_db()
    sizes = Counter(task.task_responses.count() for task in Task.objects.all())
    assert sizes == {4: 10, 3: 1}
    assert round_.stage_entries.get(stage=Stage.ANNOTATING).reason == (
        "11 tasks are ready; 1 of them smaller than asked for, because samples repeated each other; "
        "1 prompt was left out, all of whose answers were the same"
    )


def test_a_prompt_whose_import_is_taken_back_meanwhile_is_left_out_and_the_round_goes_on(
    begin, prompt_set, project
):
    round_ = begin(plan=override_plan(preset_plan("tiny"), sampling={"prompts": 12}))
    advance_round(round_.pk)
    gone = prompt_set.prompts.first()
    prompt_set.members.filter(prompt=gone).delete()
    type(gone).objects.filter(pk=gone.pk).update(taken_back=True)
    inputs = SAMPLE.build_inputs(stage_runs(round_)[0])
    assert len(inputs["prompts"][0]) == 11
    assert gone.external_id not in {row["prompt_id"] for row in inputs["draws"][0]}
    sample(round_)
    advance_round(round_.pk)
    round_.refresh_from_db()
    assert round_.stage_entries.get(stage=Stage.ANNOTATING).reason == "11 tasks are ready"
