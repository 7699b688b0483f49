"""The policy's run kinds: what goes into their folders and which rows come out."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext, gettext_noop

from annotation.content.actions import NewResponse, add_responses
from annotation.importing.usage import mark_demonstrations_used, mark_prompts_used, mark_texts_used
from annotation.models import Prompt, PromptSet
from annotation.records import demonstration_rows, prompt_rows, text_rows
from learning.interface.model_servers import VARIABLES as MODEL_SERVER_VARIABLES
from learning.interface.record_files import read_records
from learning.interface.record_schemas import (
    BENCHMARK_ITEMS,
    DEMONSTRATIONS,
    DRAWS,
    PROMPTS,
    SAMPLED_RESPONSES,
    STORED_CANDIDATES,
    TEXTS,
)
from policy_training.benchmark_files import parse_tasks
from policy_training.mixtures.drawing import ids_of_training
from policy_training.models import BenchmarkFile, Policy, PolicyBenchmark, PolicyEvaluation
from policy_training.registry import add_policy
from policy_training.sampled_tasks import save_sampled_tasks
from policy_training.supervised.judged_answers import JudgmentChoice
from policy_training.supervised.mixing import require_training_texts
from policy_training.supervised.preferred_answers import PreferredAnswers, require_preferred_answers
from policy_training.supervised.rated_answers import RatedAnswers, require_rated_answers
from policy_training.supervised.stored_answers import mark_used, stored_answers_of, stored_candidates
from policy_training.training.best_of_n.config import BestOfNConfig
from policy_training.training.config import AdoptConfig, EvaluateConfig, LanguageModelConfig, SampleConfig
from policy_training.training.dpo.config import DPOConfig
from policy_training.training.evaluation.config import BenchmarkConfig
from policy_training.training.policy_gradient.config import PolicyGradientConfig
from policy_training.training.ppo.config import PPOConfig
from policy_training.training.weights.config import MergeConfig
from rewardmodel.run_kinds import comparison_inputs
from runs.models import Artifact, Run
from runs.run_kinds import Output, Resources, RunKind
from runs.site_environment import SITE_ENVIRONMENT
from workspace.errors import ActionError

# A run's configuration names functions; this says which of them its process may call.
REWARD_FUNCTIONS_VARIABLE = "ROUNDTABLE_REWARD_FUNCTIONS"


def _demonstrations(run: Run) -> Mapping[str, Any]:
    mark_demonstrations_used(run.project, f"run {run.pk}")
    rows = list(demonstration_rows(run.project))
    if not rows:
        raise ActionError(
            gettext(
                "The project has no demonstrations: bring some in with `manage.py import_demonstrations`."
            ),
            code="no_demonstrations",
        )
    return {"demonstrations": (rows, DEMONSTRATIONS)}


def _texts(run: Run) -> Mapping[str, Any]:
    require_training_texts(run.project, "start a run that needs none")
    mark_texts_used(run.project, f"run {run.pk}")
    return {"texts": (text_rows(run.project), TEXTS)}


def _sft_inputs(run: Run) -> Mapping[str, Any]:
    mixes_in_texts = run.config.get("data", {}).get("texts_share", 0) > 0
    rated, preferred = run.parameters.get("rated"), run.parameters.get("preferred")
    if rated or preferred:
        learned = _with_judged_answers(
            run,
            RatedAnswers(**rated) if rated else None,
            PreferredAnswers(**preferred) if preferred else None,
        )
    else:
        learned = _demonstrations(run)
    return dict(learned) | (dict(_texts(run)) if mixes_in_texts else {})


def _with_judged_answers(
    run: Run, rated: RatedAnswers | None, preferred: PreferredAnswers | None
) -> Mapping[str, Any]:
    """Demonstrations, where there are any, and the answers that people rated well or put first, each once."""
    judged: list[Any] = []
    # Runs that were queued before there was a choice learn from all batches, as people judged them.
    of = JudgmentChoice(**run.parameters.get("judgments", {}))
    of.mark_used(run.project, f"run {run.pk}")
    if rated is not None:
        judged += require_rated_answers(run.project, rated, of)
    if preferred is not None:
        known = {(row["prompt_id"], row["response"]) for row in judged}
        judged += [
            row
            for row in require_preferred_answers(run.project, preferred, of)
            if (row["prompt_id"], row["response"]) not in known
        ]
    mark_demonstrations_used(run.project, f"run {run.pk}")
    return {"demonstrations": ([*demonstration_rows(run.project), *judged], DEMONSTRATIONS)}


def _pretraining_inputs(run: Run) -> Mapping[str, Any]:
    # Runs that were queued before there were texts read demonstrations.
    return _texts(run) if run.parameters.get("data") == "texts" else _demonstrations(run)


def _rollout_inputs(run: Run) -> Mapping[str, Any]:
    """The prompts of a whole set, or those that were drawn of several; with their held-out sides, to measure on."""
    shares = run.parameters.get("prompt_mixture")
    keys = [share["prompt_set"] for share in shares] if shares else [run.parameters["prompt_set"]]
    sets = [PromptSet.objects.get(pk=key, project=run.project) for key in keys]
    for prompt_set in sets:
        mark_prompts_used(prompt_set, f"run {run.pk}")
    if not shares:
        return {"prompts": (prompt_rows(run.project, prompt_set=sets[0]), PROMPTS)}
    prompt_ids = ids_of_training(run.project, shares)
    rows = {row["prompt_id"]: row for row in prompt_rows(run.project, prompt_ids=prompt_ids)}
    return {"prompts": ([rows[prompt_id] for prompt_id in prompt_ids], PROMPTS)}


def _best_of_n_inputs(run: Run) -> Mapping[str, Any]:
    inputs = dict(_rollout_inputs(run))
    if stored_answers_of(run):
        prompt_set = PromptSet.objects.get(pk=run.parameters["prompt_set"], project=run.project)
        mark_used(run, prompt_set)
        inputs["candidates"] = (stored_candidates(run, prompt_set), STORED_CANDIDATES)
    return inputs


def _mixed_rollout_inputs(run: Run) -> Mapping[str, Any]:
    """With what the ptx loss is computed on. Runs of policy gradients that were queued before they had one say nothing
    of it.
    """
    inputs = dict(_rollout_inputs(run))
    if run.parameters.get("with_texts"):
        inputs |= _texts(run)
    if run.parameters.get("with_demonstrations"):
        inputs |= _demonstrations(run)
    return inputs


def _sample_inputs(run: Run) -> Mapping[str, Any]:
    """The prompts of the run and, where prompts differ in it, their draws. A prompt whose import was taken back since
    the run was queued is left out.
    """
    prompt_ids, draws = run.parameters["prompt_ids"], run.parameters.get("draws")
    if draws is not None:
        by_prompt = {prompt_id: own for prompt_id, own in zip(prompt_ids, draws, strict=True) if own}
        prompt_ids = list(by_prompt)
    rows = {row["prompt_id"]: row for row in prompt_rows(run.project, prompt_ids=prompt_ids)}
    prompt_ids = [prompt_id for prompt_id in prompt_ids if prompt_id in rows]
    if not prompt_ids:
        raise ActionError(gettext("All prompts of this run were taken back."), code="no_prompts")
    inputs: dict[str, Any] = {"prompts": ([rows[prompt_id] for prompt_id in prompt_ids], PROMPTS)}
    if draws is not None:
        draw_rows = [
            {"prompt_id": prompt_id, "temperature": temperature, "samples": samples}
            for prompt_id in prompt_ids
            for temperature, samples in by_prompt[prompt_id]
        ]
        inputs["draws"] = (draw_rows, DRAWS)
    return inputs


def _evaluation_inputs(run: Run) -> Mapping[str, Any]:
    rows = list(prompt_rows(run.project, prompt_ids=run.parameters["prompt_ids"]))
    if not rows:
        raise ActionError(gettext("All prompts of this run were taken back."), code="no_prompts")
    return {"prompts": (rows, PROMPTS)}


def _save_evaluation(run: Run, result: Mapping[str, Any]) -> None:
    PolicyEvaluation.objects.get_or_create(
        produced_by=run,
        defaults={
            "policy_id": run.parameters["policy"],
            "reward_model_id": run.parameters["reward_model"],
            "reference_id": run.parameters["reference"],
            "prompt_set": run.parameters["prompt_set"],
            "report": dict(result),
        },
    )


def _benchmark_inputs(run: Run) -> Mapping[str, Any]:
    file = BenchmarkFile.objects.get(pk=run.parameters["file"], project=run.project)
    return {"items": (parse_tasks(file.content), BENCHMARK_ITEMS)}


def _save_benchmark(run: Run, result: Mapping[str, Any]) -> None:
    PolicyBenchmark.objects.get_or_create(
        produced_by=run,
        defaults={
            "policy_id": run.parameters["policy"],
            "file_id": run.parameters["file"],
            "report": dict(result),
        },
    )


def _save_policy(run: Run, result: Mapping[str, Any]) -> None:
    if Policy.objects.filter(produced_by=run).exists():
        return
    add_policy(
        actor=run.requested_by,
        project=run.project,
        name=run.parameters["name"],
        artifact=run.artifacts.get(kind=Artifact.Kind.POLICY),
        parent_id=run.parameters.get("parent"),
        reward_model_id=run.parameters.get("reward_model"),
        dataset_id=run.parameters.get("dataset"),
        produced_by=run,
        report=dict(result),
    )


def _save_responses(run: Run, result: Mapping[str, Any]) -> None:
    policy = Policy.objects.select_related("source").get(pk=run.parameters["policy"])
    prompts = {
        prompt.external_id: prompt
        for prompt in Prompt.objects.filter(project=run.project, external_id__in=run.parameters["prompt_ids"])
    }
    rows = [
        NewResponse(
            prompt=prompts[row["prompt_id"]],
            source=policy.source,
            text=row["text"],
            response_id=row["response_id"],
            sampling=row["sampling"],
            token_ids=row["token_ids"],
            logprobs=row["logprobs"],
            ended=row["ended"],
        )
        for row in read_records(run.path / "responses.parquet", SAMPLED_RESPONSES)
        if row["prompt_id"] in prompts  # its import may have been taken back meanwhile
    ]
    responses = add_responses(actor=run.requested_by, project=run.project, rows=rows)
    if run.parameters.get("tasks"):
        save_sampled_tasks(run, prompts, responses)


SFT = RunKind(
    name="policy.sft",
    label=gettext_noop("Supervised fine-tuning"),
    command="policy_training.training.supervised.sft",
    build_inputs=_sft_inputs,
    save_result=_save_policy,
    outputs=(Output(kind="policy", path="model"),),
    options=LanguageModelConfig,
)
PRETRAIN = RunKind(
    name="policy.pretrain",
    label=gettext_noop("Pretraining"),
    command="policy_training.training.supervised.pretrain",
    build_inputs=_pretraining_inputs,
    save_result=_save_policy,
    outputs=(Output(kind="policy", path="model"),),
    options=LanguageModelConfig,
)
SAMPLE = RunKind(
    name="policy.sample",
    label=gettext_noop("Sampling"),
    command="policy_training.training.sampling.sample",
    build_inputs=_sample_inputs,
    save_result=_save_responses,
    outputs=(Output(kind="responses", path="responses.parquet"),),
    options=SampleConfig,
    environment=MODEL_SERVER_VARIABLES,
)
PPO = RunKind(
    name="policy.ppo",
    label=gettext_noop("PPO"),
    command="policy_training.training.ppo.recipe",
    build_inputs=_mixed_rollout_inputs,
    save_result=_save_policy,
    outputs=(Output(kind="policy", path="model"), Output(kind="critic", path="critic")),
    options=PPOConfig,
    environment=(REWARD_FUNCTIONS_VARIABLE, *MODEL_SERVER_VARIABLES),
)
DPO = RunKind(
    name="policy.dpo",
    label=gettext_noop("DPO"),
    command="policy_training.training.dpo.recipe",
    build_inputs=comparison_inputs,
    save_result=_save_policy,
    outputs=(Output(kind="policy", path="model"),),
    options=DPOConfig,
)
POLICY_GRADIENT = RunKind(
    name="policy.gradient",
    label=gettext_noop("Policy gradient"),
    command="policy_training.training.policy_gradient.recipe",
    build_inputs=_mixed_rollout_inputs,
    save_result=_save_policy,
    outputs=(Output(kind="policy", path="model"),),
    options=PolicyGradientConfig,
    environment=(REWARD_FUNCTIONS_VARIABLE, *MODEL_SERVER_VARIABLES),
)
BEST_OF_N = RunKind(
    name="policy.best_of_n",
    label=gettext_noop("Best-of-n"),
    command="policy_training.training.best_of_n.recipe",
    build_inputs=_best_of_n_inputs,
    save_result=_save_policy,
    outputs=(Output(kind="policy", path="model"),),
    options=BestOfNConfig,
    environment=(REWARD_FUNCTIONS_VARIABLE, *MODEL_SERVER_VARIABLES),
)
MERGE = RunKind(
    name="policy.merge",
    label=gettext_noop("Merge of policies"),
    command="policy_training.training.weights.merge",
    build_inputs=lambda run: {},
    save_result=_save_policy,
    outputs=(Output(kind="policy", path="model"),),
    options=MergeConfig,
)
EVALUATE = RunKind(
    name="policy.evaluate",
    label=gettext_noop("Evaluation of a policy"),
    command="policy_training.training.evaluation.evaluate",
    build_inputs=_evaluation_inputs,
    save_result=_save_evaluation,
    options=EvaluateConfig,
    environment=(REWARD_FUNCTIONS_VARIABLE, *MODEL_SERVER_VARIABLES),
)
IMPORT = RunKind(
    name="policy.import",
    label=gettext_noop("Import of a policy"),
    command="policy_training.imports.program",
    build_inputs=lambda run: {},
    save_result=lambda run, result: None,  # the import itself is one transaction of the command
    resources=Resources(threads=1),
    environment=SITE_ENVIRONMENT,
)
BENCHMARK = RunKind(
    name="policy.benchmark",
    label=gettext_noop("Measurement on tasks"),
    command="policy_training.training.evaluation.benchmark",
    build_inputs=_benchmark_inputs,
    save_result=_save_benchmark,
    options=BenchmarkConfig,
)
ADOPT = RunKind(
    name="policy.adopt",
    label=gettext_noop("A checkpoint as a policy"),
    command="policy_training.training.weights.adopt",
    build_inputs=lambda run: {},
    save_result=_save_policy,
    outputs=(
        Output(kind="policy", path="model"),
        Output(kind="critic", path="critic", is_optional=True),
    ),
    options=AdoptConfig,
)
KINDS = (
    SFT,
    PRETRAIN,
    SAMPLE,
    PPO,
    DPO,
    POLICY_GRADIENT,
    BEST_OF_N,
    MERGE,
    EVALUATE,
    BENCHMARK,
    IMPORT,
    ADOPT,
)
