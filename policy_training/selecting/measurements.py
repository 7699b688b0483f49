"""What there is to choose policies by: evaluations and comparisons, whether they were made alike, and what they say of
each prompt.

Heads are read from the database alone; the figures of each prompt are in the files of the runs.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext, gettext_lazy

from learning.interface.options import UserError, load_options, options_to_dict
from learning.interface.record_files import read_records
from learning.interface.record_schemas import SCORES
from policy_training.guidance import led_text
from policy_training.model_servers import served_by
from policy_training.models import Policy, PolicyComparison, PolicyEvaluation, PolicySelection
from policy_training.selection_rules import Candidate
from policy_training.training.config import EvaluateConfig
from policy_training.training.evaluation.config import ComparePoliciesConfig
from rewardmodel.models import RewardModel
from runs.models import Run
from workspace.errors import ActionError

BASELINE = -1  # the place of the policy that a comparison compares with the others
SETTINGS: Mapping[str, str | Promise] = {
    "method": gettext_lazy("the way of measuring"),
    "prompts": gettext_lazy("the prompts"),
    "reward_model": gettext_lazy("the reward model"),
    "rewards": gettext_lazy("what the reward is made of"),
    "sampling": gettext_lazy("the sampling"),
    "samples_per_prompt": gettext_lazy("the number of answers to a prompt"),
    "lengths": gettext_lazy("the limits of lengths"),
    "seed": gettext_lazy("the seed"),
    "precision": gettext_lazy("the precision of numbers"),
    "reference": gettext_lazy("the reference"),
    "judge": gettext_lazy("the judge"),
}


JUDGE_SETTINGS = ("server", "model", "question", "template_version")


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One policy's figures; `place` is its own in a comparison."""

    policy: Policy
    made_by: PolicyEvaluation | PolicyComparison
    place: int
    reward_model: RewardModel
    reference: Policy | None
    prompt_ids: tuple[str, ...]
    reward: float
    standard_error: float | None  # None: only the figures of each prompt tell
    kl: float | None  # nats an answer, to the reference
    settings: Mapping[str, Any]  # SETTINGS, what must be the same for two to be compared

    @property
    def run(self) -> Run:
        return self.made_by.produced_by

    @cached_property
    def key(self) -> str:
        """The same of all that were measured alike, the reference included, whether or not a judge read them too."""
        alike = {name: value for name, value in self.settings.items() if name != "judge"}
        return hashlib.sha256(json.dumps(alike, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def origin(self) -> dict[str, Any]:
        kind = "evaluation" if isinstance(self.made_by, PolicyEvaluation) else "comparison"
        return {"kind": kind, "id": self.made_by.pk, "run": self.made_by.produced_by_id}


@dataclass(frozen=True, kw_only=True)
class CheckpointFigures:
    """A checkpoint of a training, measured like the policy that it started from."""

    step: int
    reward: float
    kl: float


def evaluation_measurement(evaluation: PolicyEvaluation) -> Measurement | None:
    """None for one of another version of this program, or without a score."""
    run = evaluation.produced_by
    try:
        config = load_options(EvaluateConfig, run.config)
    except UserError:
        return None
    # By its name or as the newest of a criterion, it is one reward model.
    models = tuple(replace(part, criterion="") for part in config.rewards.models)
    rewards = options_to_dict(replace(config.rewards, models=models)) | {
        "further": sorted(run.parameters.get("further_reward_models") or [], key=str)
    }
    return _measurement(
        evaluation.report,
        "evaluation",
        config,
        policy=evaluation.policy,
        made_by=evaluation,
        reference=evaluation.reference,
        samples_per_prompt=config.samples_per_prompt,
        rewards=rewards,
    )


def comparison_measurements(comparison: PolicyComparison) -> list[Measurement]:
    """Of the policy itself and of the others that are policies; [] for one of another version of this program."""
    run = comparison.produced_by
    try:
        config = load_options(ComparePoliciesConfig, run.config)
    except UserError:
        return []
    if config.guidance.leads:  # what the others lost against is not the policy alone
        return []
    own = {**comparison.report.get("policy", {}), "kl": 0.0}
    reported = [(BASELINE, comparison.policy_id, own)]
    for place, (asked, figures) in enumerate(
        zip(run.parameters["others"], comparison.report.get("others", []), strict=False)
    ):
        if asked["kind"] == "policy":
            reported.append((place, asked["policy"], figures))
    policies = Policy.objects.filter(project=comparison.project_id).in_bulk([key for _, key, _ in reported])
    found = [
        _measurement(
            {**figures, **{name: comparison.report.get(name) for name in ("reward_model_sha256s", "judge")}},
            "comparison",
            config,
            policy=policies[key],
            made_by=comparison,
            reference=comparison.policy,
            place=place,
        )
        for place, key, figures in reported
        if key in policies
    ]
    return [one for one in found if one is not None]


def checkpoints_of(comparison: PolicyComparison) -> list[CheckpointFigures]:
    """Of a comparison along a training, by step."""
    if comparison.of_run_id is None:
        return []
    found = [
        CheckpointFigures(step=one["step"] or 0, reward=one["score"], kl=one["kl"])
        for one in comparison.report.get("others", [])
        if one.get("kl") is not None and one.get("score") is not None
    ]
    return sorted(found, key=lambda one: one.step)


def _measurement(
    report: Mapping[str, Any],
    method: str,
    config: EvaluateConfig | ComparePoliciesConfig,
    *,
    policy: Policy,
    made_by: PolicyEvaluation | PolicyComparison,
    reference: Policy | None,
    place: int = BASELINE,
    samples_per_prompt: int = 1,
    rewards: Mapping[str, Any] | None = None,
) -> Measurement | None:
    if not isinstance(report.get("score"), int | float):
        return None
    prompt_ids = tuple(made_by.produced_by.parameters["prompt_ids"])
    sampling = options_to_dict(config.sampling)
    del sampling["batch_size"]  # answers do not depend on which are drawn together
    # By which server and not how it is asked; the model is that of each policy.
    sampling["server"] = config.sampling.server.name
    if config.guidance.leads:
        sampling["guidance"] = options_to_dict(config.guidance)
    reward_batch = config.reward_model_batch or config.batch
    return Measurement(
        policy=policy,
        made_by=made_by,
        place=place,
        reward_model=made_by.reward_model,
        reference=reference,
        prompt_ids=prompt_ids,
        reward=float(report["score"]),
        standard_error=report.get("score_standard_error"),
        kl=report.get("kl"),
        settings={
            "method": method,
            "prompts": hashlib.sha256("\n".join(sorted(prompt_ids)).encode()).hexdigest(),
            "reward_model": [made_by.reward_model_id, report.get("reward_model_sha256s")],
            "rewards": rewards,
            "sampling": sampling,
            "samples_per_prompt": samples_per_prompt,
            "lengths": [
                config.batch.max_prompt_tokens,
                config.batch.max_response_tokens,
                reward_batch.max_prompt_tokens,
                reward_batch.max_response_tokens,
            ],
            "seed": config.runtime.seed,
            "precision": config.runtime.dtype,
            "reference": reference.pk if reference else None,
            "judge": [judge.get(name) for name in JUDGE_SETTINGS] if (judge := report.get("judge")) else None,
        },
    )


def require_alike(measurements: Sequence[Measurement], *, reference: bool, judge: bool = False) -> None:
    """Raises ActionError naming what differs; the last two say whether the rule is about them."""
    first = measurements[0]
    unread = {"reference": not reference, "judge": not judge}
    for other in measurements[1:]:
        for name, label in SETTINGS.items():
            if first.settings[name] == other.settings[name] or unread.get(name):
                continue
            raise ActionError(
                gettext(
                    "“%(other)s” cannot be compared with “%(first)s”, for they were not measured alike: %(what)s "
                    "(%(theirs)s; of the other: %(ours)s). Measure both alike."
                )
                % {
                    "other": other.policy.name,
                    "first": first.policy.name,
                    "what": label,
                    "theirs": _said_apart(other, first, name),
                    "ours": said(first, name),
                },
                code=f"different_{name}",
            )


def _said_apart(measurement: Measurement, other: Measurement, name: str) -> str:
    """A setting that is another than the other's, in words: they may be the same, as of two sets of as many prompts."""
    words = said(measurement, name)
    return gettext("%(words)s, not the same ones") % {"words": words} if words == said(other, name) else words


def said(measurement: Measurement, name: str) -> str:
    """A setting in words."""
    value = measurement.settings[name]
    match name:
        case "method":
            return gettext("an evaluation") if value == "evaluation" else gettext("a comparison of policies")
        case "prompts":
            return gettext("%(n)s prompts of “%(set)s”") % {
                "n": len(measurement.prompt_ids),
                "set": measurement.made_by.prompt_set,
            }
        case "reward_model":
            return measurement.reward_model.name
        case "reference":
            return measurement.reference.name if measurement.reference else gettext("none")
        case "sampling":
            return _sampling_in_words(value)
        case "rewards":
            return json.dumps(value, sort_keys=True) if value else gettext("the reward model alone")
        case "judge":
            return ", ".join(map(str, value)) if value else gettext("none")
        case "lengths":
            names = ("prompt", "response", "scored_prompt", "scored_response")
            return gettext(
                "prompts of %(prompt)s tokens, answers of %(response)s; for the reward model %(scored_prompt)s and "
                "%(scored_response)s"
            ) % dict(zip(names, value, strict=True))
    return str(value)


def _sampling_in_words(options: Mapping[str, Any]) -> str:
    """The temperature, and what else changes which token is drawn (SamplingOptions)."""
    words = [gettext("temperature %(value)s") % {"value": f"{options['temperature']:g}"}]
    if options["top_p"] != 1:
        words.append(
            gettext("the likeliest tokens up to %(share)s %% (top-p)")
            % {"share": f"{100 * options['top_p']:g}"}
        )
    if options["top_k"]:
        words.append(gettext("the %(n)s likeliest tokens (top-k)") % {"n": options["top_k"]})
    if options["repetition_penalty"] != 1:
        of_prompt = options["repetition_penalty_scope"] != "response"
        said = gettext("repetition penalty %(value)s, on the prompt's words too")
        words.append(
            (said if of_prompt else gettext("repetition penalty %(value)s"))
            % {"value": f"{options['repetition_penalty']:g}"}
        )
    if served := served_by(options["server"]):
        words.append(served)
    if led := led_text(options):
        words.append(led)
    return ", ".join(words)


def candidate(measurement: Measurement, judged_by: str = "") -> Candidate:
    """With the figures of each prompt; `judged_by` (of PolicySelection) asks for verdicts. Raises ActionError."""
    scores = _scores(measurement, measurement.place)
    found = Candidate(name=measurement.policy.name, scores=scores, kl=measurement.kl)
    return replace(found, wins=_wins(measurement, scores, judged_by)) if judged_by else found


def _scores(measurement: Measurement, place: int, file: str = "scores.parquet") -> dict[str, float]:
    """Mean reward of the answers to each prompt."""
    folder = measurement.run.path
    try:
        if isinstance(measurement.made_by, PolicyComparison):
            kept = json.loads((folder / "answers" / f"{place}.json").read_bytes())["scores"]
            means = {prompt: float(score) for prompt, score in kept.items()}
        else:
            found: dict[str, list[float]] = {}
            for row in read_records(folder / file, SCORES):
                found.setdefault(row["prompt_id"], []).append(row["reward"])
            means = {prompt: sum(scores) / len(scores) for prompt, scores in found.items()}
        if not means or not all(math.isfinite(value) for value in means.values()):
            raise ValueError("no scores, or some that are no numbers")
        return means
    except (OSError, ValueError, TypeError, KeyError, UserError) as error:
        raise ActionError(
            gettext(
                "The scores of “%(name)s” cannot be read: the files of run %(run)s are gone, damaged, or of an older "
                "version. Measure the policy again."
            )
            % {"name": measurement.policy.name, "run": measurement.run.pk},
            code="no_scores",
        ) from error


def _wins(measurement: Measurement, scores: Mapping[str, float], judged_by: str) -> dict[str, float]:
    """By prompt: 1 won against the reference, 1/2 tied, 0 lost. Raises ActionError without verdicts."""
    name = measurement.policy.name
    if measurement.reference is None:
        raise ActionError(
            gettext("“%(name)s” was measured without a reference: evaluate it beside one.") % {"name": name},
            code="no_reference",
        )
    is_comparison = isinstance(measurement.made_by, PolicyComparison)
    if judged_by == PolicySelection.JudgedBy.REWARD_MODEL:
        if is_comparison:
            theirs = _scores(measurement, BASELINE)
        else:
            theirs = _scores(measurement, BASELINE, "reference_scores.parquet")
        return {prompt: _won(score - theirs[prompt]) for prompt, score in scores.items() if prompt in theirs}
    if not is_comparison or not measurement.made_by.report.get("judge"):
        raise ActionError(
            gettext("No judge has compared “%(name)s” with the reference: compare them with a judge.")
            % {"name": name},
            code="no_judge",
        )
    if measurement.place == BASELINE:
        return dict.fromkeys(scores, 0.5)
    try:
        outcomes = json.loads((measurement.run.path / "judged.json").read_bytes())[measurement.place]
        # Outcomes are the compared policy's, who is the reference here.
        return {prompt: _won(-outcome) for prompt, outcome in outcomes.items() if outcome is not None}
    except (OSError, ValueError, TypeError, IndexError, AttributeError) as error:
        raise ActionError(
            gettext(
                "The judge's verdicts on “%(name)s” cannot be read: the files of run %(run)s are gone, damaged, or of "
                "an older version. Compare the policies again."
            )
            % {"name": name, "run": measurement.run.pk},
            code="no_scores",
        ) from error


def _won(difference: float) -> float:
    return 1.0 if difference > 0 else 0.0 if difference < 0 else 0.5
