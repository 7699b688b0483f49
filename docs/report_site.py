"""The site that record_reports.py takes its pictures of: every recipe once, on the demonstration's grammar.

Small models and few steps: the figures are real, and none of them is a result.
"""

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from annotation.content.actions import (
    NewDemonstration,
    add_demonstrations,
    add_prompts,
    get_or_create_prompt_set,
)
from annotation.models import PromptSet
from demo import constants, grammar
from demo.simulation import simulate_judgments
from learning.interface.options import options_to_dict
from learning.interface.vocabulary import SIMULATED
from policy_training.actions import evaluate_policy, pretrain, train_sft
from policy_training.benchmarks.actions import add_benchmark_file, benchmark_config, benchmark_policies
from policy_training.comparing.actions import compare_policies, comparison_config, evaluate_along_run
from policy_training.dpo.actions import dpo_config, train_dpo
from policy_training.evaluation_presets import evaluation_config
from policy_training.merging import merge_policies
from policy_training.models import BenchmarkFile, Policy, PolicyEvaluation
from policy_training.rewarded.actions import policy_gradient_config, train_policy_gradient
from policy_training.selecting.actions import select_policy
from rounds.actions import start_round
from rounds.models import Round, Stage
from rounds.plans import HUMAN_REFERENCE
from rounds.steps import step_from_words
from runs.models import Run
from workspace.accounts import create_machine_annotator
from workspace.actions import create_project
from workspace.models import Project, User

NAME = "Kitchen questions"
PROMPTS, EVALUATION_PROMPTS, JUDGED = 240, 48, 72
MAX_SECONDS = 3600
LENGTHS = ["batch.max_prompt_tokens=48", "batch.max_response_tokens=64"]
RUNTIME = ["runtime.threads=1", "runtime.dtype=fp32"]
MEASURED = ["evaluation.evaluate_every_steps=4", "evaluation.max_examples=24"]


ENDED = ("failed", "cancelled", "user_error", "paused")  # without what a picture is of
ROLLOUTS = ["rollout.steps=6", "rollout.prompts_per_step=16"]

# Kind of run -> the names of its pictures, in the order in which the runs are made.
KINDS = {
    "policy.pretrain": ["pretrain"],
    "policy.sft": ["sft"],
    "rewardmodel.train": ["reward_model"],
    "policy.best_of_n": ["best_of_n"],
    "policy.ppo": ["ppo"],
    "policy.dpo": ["dpo"],
    "policy.gradient": ["policy_gradient"],
    "policy.evaluate": [f"evaluation_{number}" for number in range(3)],
    "policy.compare": ["comparison", "along"],
    "policy.merge": ["merge"],
    "policy.benchmark": ["benchmark_0", "benchmark_1"],
}


@dataclass
class ReportSite:
    manager: User
    project: Project
    annotators: list[User]
    policy_prompts: PromptSet
    held_out: PromptSet
    runs: dict[str, Run] = field(default_factory=dict)

    def policy(self, name: str) -> Policy:
        return Policy.objects.get(project=self.project, name=name)


def get_or_make_site(password: str) -> ReportSite:
    project = Project.objects.filter(name=NAME).first()
    if project is None:
        return _make_site(password)
    manager = User.objects.get(username="marlene")
    manager.set_password(password)
    manager.save()
    annotators = list(User.objects.filter(kind=User.Kind.SIMULATED).order_by("username"))
    policy, held_out = (project.prompt_sets.get(name=f"{name} prompts") for name in ("policy", "evaluation"))
    return ReportSite(manager, project, annotators, policy, held_out)


def read_runs(site: ReportSite) -> None:
    """The runs of the site that are done, by the names of their pictures."""
    for kind, names in KINDS.items():
        runs = Run.objects.filter(project=site.project, kind=kind, state="done").order_by("pk")
        site.runs |= dict(zip(names, runs, strict=False))


def _make_site(password: str) -> ReportSite:
    manager = User.objects.create_user(username="marlene", password=password)
    project = create_project(
        actor=manager,
        name=NAME,
        question="Which answer is better?",
        guideline="Take the answer that is about the dish that was asked for, friendly, and no longer than needed.",
    )
    annotators = [
        create_machine_annotator(actor=manager, project=project, name=name, kind=User.Kind.SIMULATED)
        for name in ("simulated-1", "simulated-2", "simulated-3")
    ]
    rng = random.Random("reports")
    _add_demonstrations(manager, project, grammar.sample_demonstrations(900, rng))
    sets = {}
    for purpose in ("policy", "evaluation"):
        sets[purpose] = get_or_create_prompt_set(
            actor=manager, project=project, name=f"{purpose} prompts", purpose=purpose
        )
    rows = [
        {"messages": prompt.messages, "tags": [_tag(prompt)]}
        for prompt in grammar.sample_prompts("policy", PROMPTS, rng)
    ]
    add_prompts(actor=manager, project=project, rows=rows, prompt_set=sets["policy"])
    # Held-out prompts with an answer that somebody wrote: the policy meets it head to head.
    written = grammar.sample_demonstrations(EVALUATION_PROMPTS, rng)
    _add_demonstrations(manager, project, written, sets["evaluation"])
    return ReportSite(manager, project, annotators, sets["policy"], sets["evaluation"])


def _tag(prompt: grammar.Prompt) -> str:
    [message] = prompt.messages
    named = any(occasion in message["content"] for occasion in grammar.OCCASIONS)
    return "planning a meal" if named else "technique"


def _add_demonstrations(
    actor: User,
    project: Project,
    drawn: list[grammar.GrammarDemonstration],
    prompt_set: PromptSet | None = None,
) -> None:
    prompts = add_prompts(
        actor=actor,
        project=project,
        rows=[{"messages": one.prompt.messages} for one in drawn],
        prompt_set=prompt_set,
    )
    rows = [
        NewDemonstration(prompt=prompt, text=one.response) for prompt, one in zip(prompts, drawn, strict=True)
    ]
    add_demonstrations(actor=actor, project=project, rows=rows)


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
            config=dpo_config("tiny", [*LENGTHS, *RUNTIME, *MEASURED]),
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
            config=policy_gradient_config("rloo", [*LENGTHS, *RUNTIME, *MEASURED, *ROLLOUTS]),
        ),
    )
    for number, policy in enumerate((made, site.policy("bread by DPO"), site.policy("bread by RLOO"))):
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
    compared = comparison_config(assignments=[*LENGTHS, *RUNTIME])
    _run(
        site,
        "comparison",
        lambda: compare_policies(
            **measured,
            policy=made,
            others=[start, site.policy("dough")],
            with_reference=True,
            config=compared,
        ),
    )
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
    if not project.policy_selections.exists():
        evaluations = PolicyEvaluation.objects.filter(policy__project=project)
        select_policy(**asked, rule="one_standard_error", evaluations=list(evaluations), pin=True)


def _run(site: ReportSite, name: str, start: Callable[[], Run]) -> None:
    """The run of this name, started unless it is there, when it is done."""
    [kind] = [kind for kind, names in KINDS.items() if name in names]
    runs = Run.objects.filter(project=site.project, kind=kind).exclude(state__in=ENDED).order_by("pk")
    place = KINDS[kind].index(name)
    run = runs[place] if place < len(runs) else start()

    def done() -> bool:
        run.refresh_from_db()
        assert run.state not in ENDED, f"{run.title}: {run.error}"
        return run.state == "done"

    _wait(done, run.title)
    site.runs[name] = run
    print(f"{run.title}: done", flush=True)


def _benchmark_file(site: ReportSite) -> BenchmarkFile:
    found = site.project.benchmark_files.filter(name="cooking").first()
    return found or add_benchmark_file(
        actor=site.manager, project=site.project, name="cooking", content=_tasks()
    )


def _round(site: ReportSite) -> Round:
    """The project's first round, started unless it is there, when it is done."""
    there = site.project.rounds.first()
    round_ = there or _start_round(site)

    def done() -> bool:
        round_.refresh_from_db()
        assert round_.stage not in (Stage.FAILED, Stage.CANCELLED), round_.error
        if round_.stage == Stage.ANNOTATING and round_.batch is not None:
            simulate_judgments(
                actor=site.manager, batch=round_.batch, annotators=site.annotators, seed=0, limit=25
            )
        return round_.stage == Stage.DONE

    _wait(done, "the round")
    return Round.objects.get(pk=round_.pk)


def _start_round(site: ReportSite) -> Round:
    plan = constants.round_plan(0, 1, "")
    policy = replace(
        plan.policy,
        rollout=replace(plan.policy.rollout, steps=8),
        runtime=replace(plan.policy.runtime, checkpoint_every_steps=2, keep_checkpoints=4),
    )
    steps = (
        step_from_words(["best_of_n", "candidates.samples_per_prompt=4", "data.epochs=1"], policy=policy),
        step_from_words(["ppo"], policy=policy),
    )
    plan = replace(
        plan,
        policy=policy,
        steps=steps,
        sampling=replace(plan.sampling, prompts=JUDGED + 30),
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
        assert time.monotonic() < deadline, f"{what} does not end"
        time.sleep(1)


def _tasks() -> str:
    """Texts that the policy should find likely, and a choice between the right dish and another."""
    rng = random.Random("benchmark")
    rows: list[dict[str, object]] = []
    for one in grammar.sample_demonstrations(24, rng):
        rows.append({"task": "held-out answers", "kind": "perplexity", "text": one.response})
        other = grammar.sample_demonstrations(1, rng)[0]
        rows.append(
            {
                "task": "the right dish",
                "kind": "choice",
                "prompt": one.prompt.messages,
                "choices": [one.response, other.response],
                "answer": one.response,
            }
        )
    return "".join(json.dumps(row) + "\n" for row in rows)
