"""The runs that record_reports.py takes its pictures of: every recipe once, and whatever measures what they made.

Small models and few steps: the figures are real, and none of them is a result.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from annotation.models import Batch
from demo import constants
from demo.simulation import simulate_judgments
from docs import report_judge
from docs.report_site import ReportSite, tasks_file
from learning.interface.options import options_to_dict
from learning.interface.vocabulary import SIMULATED
from policy_training.actions import evaluate_policy, pretrain, train_sft
from policy_training.benchmarks.actions import add_benchmark_file, benchmark_config, benchmark_policies
from policy_training.comparing.actions import compare_policies, comparison_config, evaluate_along_run
from policy_training.dpo.actions import dpo_config, train_dpo
from policy_training.evaluation_presets import evaluation_config
from policy_training.judging.actions import judge_batch, judge_config
from policy_training.merging import merge_policies
from policy_training.models import BenchmarkFile, Policy, PolicyEvaluation, PolicySelection
from policy_training.rewarded.actions import (
    policy_gradient_config,
    ppo_config,
    train_policy_gradient,
    train_ppo,
)
from policy_training.selecting.actions import select_policy
from rewardmodel.actions import evaluate_reward_model
from rounds.actions import start_round
from rounds.models import Round, Stage
from rounds.plans import HUMAN_REFERENCE
from rounds.steps import step_from_words
from runs.models import Run
from workspace.models import User

JUDGED = 60  # tasks that a round waits for
MAX_SECONDS = 3600  # of one run
LENGTHS = ["batch.max_prompt_tokens=48", "batch.max_response_tokens=64"]
RUNTIME = ["runtime.threads=1", "runtime.dtype=fp32"]
MEASURED = ["evaluation.evaluate_every_steps=4", "evaluation.max_examples=24"]
ENDED = ("failed", "cancelled", "user_error", "paused")  # without what a picture is of
COMPARISONS = ["data.comparisons_per_step=8", "optimizer.warmup_steps=1"]
ROLLOUTS = ["rollout.steps=8", "rollout.prompts_per_step=8", "algorithm.responses_per_minibatch=32"]

# Without a penalty and in large steps, so that an alarm comes; held-out answers at every other step.
FAR = [
    "policy_optimizer.learning_rate=0.003",
    "reward.kl_coefficient=0",
    "alarms.action=pause",
    "alarms.supporting_answers=60",
    "evaluation.evaluate_every_steps=2",
    "evaluation.max_examples=24",
]

# Kind of run -> the names of its pictures, in the order in which the runs are made.
KINDS = {
    "policy.pretrain": ["pretrain"],
    "policy.sft": ["sft"],
    "rewardmodel.train": ["reward_model"],
    "policy.best_of_n": ["best_of_n"],
    "policy.ppo": ["ppo"],
    "policy.dpo": ["dpo"],
    "policy.gradient": ["policy_gradient"],
    "policy.evaluate": [f"evaluation_{number}" for number in range(4)],
    "policy.compare": ["comparison", "along"],
    "policy.merge": ["merge"],
    "policy.benchmark": ["benchmark_0", "benchmark_1"],
    "rewardmodel.evaluate": ["reward_model_evaluation"],
    "judge.batch": ["ai_judge"],
}


class RunFailed(Exception):
    """A run ended otherwise than done, or not at all."""


def read_runs(site: ReportSite) -> None:
    """The runs of the site that are done, by the names of their pictures."""
    for kind, names in KINDS.items():
        runs = Run.objects.filter(project=site.project, kind=kind, state="done").order_by("pk")
        site.runs |= dict(zip(names, runs, strict=False))
    if paused := Run.objects.filter(project=site.project, state="paused").first():
        site.runs["paused"] = paused


def run_everything(site: ReportSite) -> None:
    """Each recipe once, and what measures them; runs that are there already are waited for. It needs a worker and
    takes minutes.
    """
    project, asked = site.project, {"actor": site.manager, "project": site.project}
    config = constants.base_policy_config(0, 1)
    short = replace(config, data=replace(config.data, steps=16))
    base = replace(
        config,
        data=replace(config.data, steps=90),
        evaluation=replace(config.evaluation, evaluate_every_steps=15),
    )
    _run(
        site,
        "pretrain",
        lambda: pretrain(**asked, name="dough", config=options_to_dict(short), data="demonstrations"),
    )
    _run(
        site,
        "sft",
        lambda: train_sft(**asked, name="bread", config=options_to_dict(base), parent=site.policy("dough")),
    )
    round_ = _round(site)
    read_runs(site)
    reward_model, made, start = round_.reward_model, round_.new_policy, round_.start_policy
    assert reward_model is not None and made is not None
    judged = {**asked, "reward_model": reward_model}
    measured = {**judged, "prompt_set": site.held_out}
    _run(
        site,
        "dpo",
        lambda: train_dpo(
            **asked,
            name="bread by DPO",
            start=start,
            criteria=list(project.criteria.all()),
            annotator_kinds=[SIMULATED],
            config=dpo_config("tiny", [*LENGTHS, *RUNTIME, *MEASURED, *COMPARISONS]),
        ),
    )
    _run(
        site,
        "policy_gradient",
        lambda: train_policy_gradient(
            **judged,
            name="bread by RLOO",
            start=start,
            prompt_set=site.policy_prompts,
            config=policy_gradient_config("tiny", [*LENGTHS, *RUNTIME, *MEASURED, *ROLLOUTS]),
        ),
    )
    best = Policy.objects.get(produced_by=site.runs["best_of_n"])
    by_dpo = site.policy("bread by DPO")
    for number, policy in enumerate((best, made, by_dpo, site.policy("bread by RLOO"))):
        _run(
            site,
            f"evaluation_{number}",
            lambda policy=policy: evaluate_policy(
                **measured,
                policy=policy,
                reference=start,
                config=evaluation_config("plain", [*LENGTHS, *RUNTIME]),
            ),
        )
    judge = {"server": report_judge.NAME, "model": report_judge.MODEL}
    compared = comparison_config(**judge, assignments=[*LENGTHS, *RUNTIME])
    _run(
        site,
        "comparison",
        lambda: compare_policies(
            **measured,
            policy=made,
            others=[start, by_dpo],
            with_reference=True,
            config=compared,
            criteria=list(project.criteria.all()),
            overlap=2,
        ),
    )
    for batch in site.runs["comparison"].policy_comparison.batches.all():
        _judge(site, batch, site.people)
    _run(site, "along", lambda: evaluate_along_run(**measured, run=site.runs["ppo"], config=compared))
    _run(
        site,
        "merge",
        lambda: merge_policies(**asked, name="half and half", policies=[start, made], weights=[0.5, 0.5]),
    )
    for number, policy in enumerate((start, made)):
        _run(
            site,
            f"benchmark_{number}",
            lambda policy=policy: benchmark_policies(
                **asked,
                policies=[policy],
                file=_benchmark_file(site),
                config=benchmark_config([*LENGTHS, *RUNTIME]),
            )[0],
        )
    _select(site)
    assert round_.dataset is not None
    _run(
        site,
        "reward_model_evaluation",
        lambda: evaluate_reward_model(**judged, dataset=round_.dataset),
    )
    question = project.criteria.get().question
    # People have judged these pairs, so that the page says how it agrees with them.
    batch = site.runs["comparison"].policy_comparison.batches.get()
    _run(
        site,
        "ai_judge",
        lambda: judge_batch(**asked, batch=batch, config=judge_config(**judge, question=question)),
    )
    _pause(
        site,
        lambda: train_ppo(
            **judged,
            name="bread too far",
            start=start,
            prompt_set=site.policy_prompts,
            config=ppo_config("tiny", [*LENGTHS, *RUNTIME, *ROLLOUTS, *FAR]),
        ),
    )


def _pause(site: ReportSite, start: Callable[[], Run]) -> None:
    """A run that an alarm pauses, started unless it is there."""
    paused = Run.objects.filter(project=site.project, state="paused").first()
    run = paused or start()

    def is_paused() -> bool:
        run.refresh_from_db()
        if run.state in ("done", *ENDED) and run.state != "paused":
            raise RunFailed(f"{run.title}: {run.state} without an alarm: {run.error}")
        return run.state == "paused"

    _wait(is_paused, run.title)


def _select(site: ReportSite) -> None:
    """By each rule once, unless it was."""
    evaluations = list(PolicyEvaluation.objects.filter(policy__project=site.project))
    kls = sorted(evaluation.report["kl"] for evaluation in evaluations)
    by_rewards: dict[str, Any] = {"evaluations": evaluations}
    rules: dict[PolicySelection.Rule, dict[str, Any]] = {
        PolicySelection.Rule.LAST: by_rewards,
        PolicySelection.Rule.BEST_REWARD: by_rewards,
        PolicySelection.Rule.REWARD_WITHIN_KL: by_rewards | {"max_kl": round(kls[1] + 0.1, 1)},
        PolicySelection.Rule.BEST_WIN_RATE: {
            "comparisons": [site.runs["comparison"].policy_comparison],
            "judged_by": PolicySelection.JudgedBy.JUDGE,
        },
        PolicySelection.Rule.ONE_STANDARD_ERROR: by_rewards | {"pin": True},
    }
    known = set(site.project.policy_selections.values_list("rule", flat=True))
    for rule, asked in rules.items():
        if rule not in known:
            select_policy(actor=site.manager, project=site.project, rule=rule, **asked)


def _run(site: ReportSite, name: str, start: Callable[[], Run]) -> None:
    """The run of this name, started unless it is there, when it is done."""
    [kind] = [kind for kind, names in KINDS.items() if name in names]
    runs = Run.objects.filter(project=site.project, kind=kind).exclude(state__in=ENDED).order_by("pk")
    place = KINDS[kind].index(name)
    run = runs[place] if place < len(runs) else start()

    def done() -> bool:
        run.refresh_from_db()
        if run.state in ENDED:
            raise RunFailed(f"{run.title}: {run.state}: {run.error}")
        return run.state == "done"

    _wait(done, run.title)
    site.runs[name] = run
    print(f"{run.title}: done", flush=True)


def _benchmark_file(site: ReportSite) -> BenchmarkFile:
    found = site.project.benchmark_files.filter(name="cooking").first()
    return found or add_benchmark_file(
        actor=site.manager, project=site.project, name="cooking", content=tasks_file()
    )


def _round(site: ReportSite) -> Round:
    """The project's first round, started unless it is there, when it is done."""
    there = site.project.rounds.first()
    round_ = there or _start_round(site)

    def done() -> bool:
        round_.refresh_from_db()
        if round_.stage in (Stage.FAILED, Stage.CANCELLED):
            raise RunFailed(f"the round: {round_.stage}: {round_.error}")
        if round_.stage == Stage.ANNOTATING and round_.batch is not None:
            _judge(site, round_.batch, site.annotators, at_once=25)
        return round_.stage == Stage.DONE

    _wait(done, "the round")
    return Round.objects.get(pk=round_.pk)


def _start_round(site: ReportSite) -> Round:
    plan = constants.round_plan(0, 1, "")
    policy = replace(
        plan.policy,
        rollout=replace(plan.policy.rollout, steps=8, prompts_per_step=12),
        algorithm=replace(plan.policy.algorithm, responses_per_minibatch=24),
        evaluation=replace(plan.policy.evaluation, evaluate_every_steps=2, max_examples=24),
        runtime=replace(plan.policy.runtime, checkpoint_every_steps=2, keep_checkpoints=4),
    )
    best = ["candidates.samples_per_prompt=3", "data.epochs=1", "evaluation.max_examples=24"]
    steps = tuple(step_from_words(words, policy=policy) for words in (["best_of_n", *best], ["ppo"]))
    plan = replace(
        plan,
        policy=policy,
        steps=steps,
        sampling=replace(plan.sampling, prompts=JUDGED + 24),
        annotation=replace(
            plan.annotation,
            quota=JUDGED,
            reserved_for=(),
            reserved_tasks_per_person=0,
            head_to_head_share=0.3,
        ),
        head_to_head=replace(plan.head_to_head, opponents=(HUMAN_REFERENCE,)),
        continue_automatically=False,
    )
    return start_round(
        actor=site.manager,
        project=site.project,
        criterion=site.project.criteria.get(),
        start_policy=site.policy("bread"),
        prompt_set=site.policy_prompts,
        plan=plan,
    )


def _wait(done: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + MAX_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise RunFailed(f"{what} does not end")
        time.sleep(1)


def _judge(site: ReportSite, batch: Batch, annotators: Sequence[User], at_once: int | None = None) -> None:
    """All that is asked, or `at_once` of it."""
    limit = at_once or batch.tasks.count() * batch.overlap
    simulate_judgments(actor=site.manager, batch=batch, annotators=annotators, seed=0, limit=limit)
