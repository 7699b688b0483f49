"""Best-of-n (rejection sampling) fine-tuning: policies answer, a reward model scores, the best answers are learned.

    python -m policy_training.training.best_of_n.recipe RUN_DIR

Reads input `prompts`: those of split "train" are answered to be learned, of the others the first few are answered too,
to watch the loss and the score; and with stored.use input `candidates`: answers that are there already, of any policy
and round, which compete with the new ones. Answers and scores are written in shards (candidates/), each complete or
not there; a run started again goes on after the last, and then after the last checkpoint of the fine-tuning. What was
kept stands in chosen.parquet, where every candidate came from in origins.parquet. Sources: Llama 2 (Touvron et al.
2023), 3.2.3; WebGPT (Nakano et al. 2021). Writes model/ and result.json.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from learning.batches.collation import Example
from learning.distributed import DistributedContext
from learning.interface.options import UserError, options_to_compare
from learning.interface.record_files import write_records
from learning.interface.record_rows import CandidateOriginRow, DemonstrationRow
from learning.interface.record_schemas import CANDIDATE_ORIGINS, DEMONSTRATIONS
from learning.interface.training_options import ModelSource
from learning.micro_batch_size import with_micro_batch_tokens
from learning.models.loading import load_policy
from learning.models.tokenizers import load_tokenizer
from learning.recipe_runner import run_recipe
from learning.run_context import RunContext
from policy_training.training.alarms.alarms import KL, LENGTH, PERPLEXITY, SCORE
from policy_training.training.alarms.steps import compare_ends, reward_limits
from policy_training.training.best_of_n.best_answers import (
    best_answers,
    gain_over_mean,
    kl_bound,
    origin_figures,
)
from policy_training.training.best_of_n.candidates import (
    Answers,
    all_answers,
    load_run_scorer,
    sampling_request,
)
from policy_training.training.best_of_n.config import BestOfNConfig
from policy_training.training.best_of_n.judged_candidates import add_judges_rewards
from policy_training.training.best_of_n.served_candidates import candidates_server_report
from policy_training.training.ppo.setup import read_prompts
from policy_training.training.rewards.function_calls import require_functions
from policy_training.training.rewards.sources import scorer_report
from policy_training.training.rollouts.model_sources import model_source_sha256s
from policy_training.training.rollouts.policy_evaluation import PolicyEvaluation, evaluate_policy
from policy_training.training.rollouts.rollouts import (
    FrozenModel,
    Prompt,
    RolloutScorer,
    cut_notes,
    tokenize_prompts,
)
from policy_training.training.rollouts.same_inputs import require_same_inputs
from policy_training.training.supervised.training import fit


def main(context: RunContext[BestOfNConfig]) -> dict[str, Any]:
    config = context.options
    distributed = DistributedContext.start(config.runtime)

    # 1. Answers to every prompt by every policy, and their scores.
    context.set_status(stage="loading")
    train_rows, heldout_rows = read_prompts(context)
    heldout_rows = heldout_rows[: config.evaluation.max_examples]
    require_functions(config.rewards.functions, [*train_rows, *heldout_rows], distributed)
    tokenizer = load_tokenizer(config.model.source)
    train = tokenize_prompts(train_rows, tokenizer, config.batch.max_prompt_tokens)
    heldout = tokenize_prompts(heldout_rows, tokenizer, config.batch.max_prompt_tokens)
    notes = cut_notes([*train, *heldout], config.batch.max_prompt_tokens)
    context.set_status(notes=notes)
    require_same_inputs(
        context.path / "candidates",
        {
            "options": options_to_compare(config),
            "sampler_sha256s": [model_source_sha256s(source) for source in config.answering],
        },
        distributed,
    )
    answers = all_answers(context, distributed, tokenizer, train_rows + heldout_rows)
    judge_report: dict[str, Any] = {}
    if config.rewards.judge.server.name:
        answers, judge_report = add_judges_rewards(context, distributed, train_rows + heldout_rows, answers)

    # 2. The best of each prompt, as rows to learn.
    kept = {
        prompt_id: [own[place] for place in best_answers(own, config.candidates)]
        for prompt_id, own in answers.items()
    }

    def of_train(groups: Answers) -> Answers:
        return {prompt.prompt_id: groups[prompt.prompt_id] for prompt in train}

    def examples(prompts: Sequence[Prompt]) -> list[Example]:
        return [
            Example(prompt.token_ids, [answer.token_ids])
            for prompt in prompts
            for answer in kept[prompt.prompt_id]
        ]

    train_examples = examples(train)
    if not train_examples:
        raise UserError(
            f"config.candidates: none of the {sum(map(len, of_train(answers).values()))} answers is kept "
            f"(min_score {config.candidates.min_score}, only_ended {config.candidates.only_ended}); lower the score or "
            "raise batch.max_response_tokens so that answers end"
        )
    without = sum(not kept[prompt.prompt_id] for prompt in train)
    if without:
        notes = [*notes, f"{without} of {len(train)} prompts have no answer to learn."]
        context.set_status(notes=notes)
    write_chosen(context, train_rows + heldout_rows, answers, kept)

    # 3. Fine-tuning on them, with the score on held-out prompts before and after.
    measure = measurer(context, distributed, tokenizer, heldout or train[: config.evaluation.max_examples])
    before, _ = measure(config.model.source, None)
    result = fit(
        context,
        config=config.supervised,
        distributed=distributed,
        tokenizer=tokenizer,
        train=train_examples,
        heldout=examples(heldout),
        sample_prompts=[
            (prompt.text, prompt.token_ids) for prompt in heldout[: config.evaluation.logged_samples]
        ],
    )
    context.set_status(stage="scoring", step=result["steps"], steps_total=result["steps"])
    after, scorer = measure(ModelSource(path=str(context.path / "model")), config.model.source)
    alarms = compare_ends(
        watched_figures(before),
        watched_figures(after),
        config.alarms,
        reward_limits(config.alarms, config.rewards, scorer),
    )
    context.set_status(notes=[*notes, *alarms])
    every, chosen = (
        [answer for group in of_train(groups).values() for answer in group] for groups in (answers, kept)
    )
    return result | {
        "score_before": before.score,
        "score_after": after.score,
        "kl": after.kl,
        "eos_rate_before": before.eos_rate,
        "eos_rate_after": after.eos_rate,
        "tokens_before": before.tokens,
        "tokens_after": after.tokens,
        "evaluation_split": "heldout" if heldout else "train",
        "perplexity_before": before.perplexity,
        "perplexity_after": after.perplexity,
        "alarms": alarms,
        "evaluation_responses": after.responses,
        "candidates": len(every),
        "candidate_score": math.fsum(answer.score for answer in every) / len(every),
        "kept": len(chosen),
        "kept_score": math.fsum(answer.score for answer in chosen) / len(chosen),
        "gain_over_mean": gain_over_mean(of_train(answers), of_train(kept)),
        "origins": origin_figures(of_train(answers), of_train(kept)),
        "stored_candidates": sum(answer.origin.is_stored for answer in every),
        "kept_by_sampler": [
            sum(answer.sampler == number for answer in chosen) for number in range(len(config.sampled_by))
        ],
        "prompts_without_answer": without,
        # Not where answers are chosen among those of several models, or of one that is no policy, and not where a
        # prompt may be left with none.
        "kl_bound": kl_bound(config.candidates.samples_per_prompt)
        if [fresh.sampler for fresh in config.fresh_sources] == [0]
        and not config.stored.use
        and config.candidates.min_score is None
        and not without
        else None,
        **candidates_server_report(context),
        "policy_sha256s": model_source_sha256s(config.model.source),
        "sampler_sha256s": [model_source_sha256s(source) for source in config.sampled_by],
        "reward_model_sha256s": scorer.sha256s,
        **scorer_report(scorer, judge_report),
    }


def watched_figures(evaluation: PolicyEvaluation) -> dict[str, float]:
    """What alarms look at, by the names of a step's metrics."""
    found = {
        LENGTH: evaluation.tokens,
        PERPLEXITY: evaluation.perplexity,
        KL: evaluation.kl or 0.0,  # the start is its own reference
        SCORE: evaluation.score,
        **{f"score_{name}": mean for name, mean in evaluation.parts.items()},
    }
    return {name: value for name, value in found.items() if value is not None}


def write_chosen(
    context: RunContext[BestOfNConfig], rows: Sequence[dict[str, Any]], answers: Answers, kept: Answers
) -> None:
    """The answers that are learned, for people to read and for other trainers (DEMONSTRATIONS), and where every
    candidate came from.
    """
    if not context.is_main or (context.path / "chosen.parquet").exists():
        return
    chosen: list[DemonstrationRow] = [
        {
            "prompt_id": row["prompt_id"],
            "prompt": row["messages"],
            "response": answer.text,
            "author": None,
            "split": row["split"],
        }
        for row in rows
        for answer in kept[row["prompt_id"]]
    ]
    learned = {answer.response_id for own in kept.values() for answer in own}
    origins: list[CandidateOriginRow] = [
        {
            "response_id": answer.response_id,
            "prompt_id": row["prompt_id"],
            "split": row["split"],
            "is_stored": answer.origin.is_stored,
            "source": answer.origin.source,
            "policy": answer.origin.policy,
            "round": answer.origin.round,
            "temperature": answer.origin.temperature,
            "ended": answer.ended,
            "reward": answer.score,
            "kept": answer.response_id in learned,
        }
        for row in rows
        for answer in answers[row["prompt_id"]]
    ]
    context.require_current()
    write_records(context.path / "origins.parquet", origins, CANDIDATE_ORIGINS)
    write_records(context.path / "chosen.parquet", chosen, DEMONSTRATIONS)  # last: with it both are there


def measurer(
    context: RunContext[BestOfNConfig],
    distributed: DistributedContext,
    tokenizer: Any,
    prompts: Sequence[Prompt],
) -> Callable[[ModelSource, ModelSource | None], tuple[PolicyEvaluation, RolloutScorer]]:
    """One answer to each of the prompts by a policy, scored, and its KL to a reference."""
    config = context.options

    def measure(source: ModelSource, reference: ModelSource | None) -> tuple[PolicyEvaluation, RolloutScorer]:
        policy, other = (
            None
            if one is None
            else FrozenModel(load_policy(one, tokenizer), config.runtime, distributed.device)
            for one in (source, reference)
        )
        assert policy is not None
        scorer = load_run_scorer(context, tokenizer, distributed)
        batch = with_micro_batch_tokens(config.batch, [policy.model], distributed.device.type)
        evaluation, _ = evaluate_policy(
            policy,
            other,
            prompts,
            scorer,
            sampling_request(config, 1, f"{config.runtime.seed}/evaluation"),
            max_micro_batch_tokens=batch.micro_batch_tokens,
            layout="padded",
            distributed=distributed,
            before_pass=context.require_current,
        )
        return evaluation, scorer

    return measure


if __name__ == "__main__":
    run_recipe(main, BestOfNConfig)
