"""A policy compared with others, or with checkpoints of the training that started from it."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.utils.translation import gettext

from annotation.content.held_out import held_out_of
from annotation.models import PromptSet, Source
from learning.interface.options import options_to_dict
from learning.interface.training_options import ModelSource
from policy_training.checkpoints import require_training, start_of
from policy_training.comparing.kind import CHECKPOINT, COMPARE, OUTSIDE, REFERENCE, given_answers
from policy_training.evaluation_presets import EVALUATION_PRESETS
from policy_training.guidance import is_led, with_critic
from policy_training.model_servers import require_known_server
from policy_training.models import Policy
from policy_training.training.evaluation.config import ComparePoliciesConfig, Contestant
from policy_training.training.judge_config import CHAT, JudgeOptions
from policy_training.training.server_config import ServerOptions
from policy_training.training.unread_options import COMPARISON_RULES
from rewardmodel.models import RewardModel
from runs.actions import load_run_options, queue_run
from runs.models import Run
from runs.reward_figures import evenly
from runs.run_files import checkpoints
from workspace.config_overrides import apply_overrides
from workspace.errors import ActionError
from workspace.models import MAX_OVERLAP, Criterion, Project, User

MAX_OTHERS = 20
MAX_MODEL_NAME = 120  # of an outside model, whose answers are stored under it
REFERENCE_NAME = "the human reference"


def comparison_config(
    *,
    preset: str = "plain",
    server: str = "",
    model: str = "",
    question: str = "",
    outside_server: str = "",
    assignments: Sequence[str] = (),
) -> dict[str, Any]:
    """ComparePoliciesConfig as a mapping without its models; assignments as `--set` has them. `server` and `model` are
    a judge's; `outside_server`: that has the outside models. Raises ActionError.
    """
    chosen = EVALUATION_PRESETS[preset]
    plain = ComparePoliciesConfig(
        policy=ModelSource(path="(filled in)"),
        reward_model_path="(filled in)",
        others=(Contestant(name="(filled in)"),),
        judge=JudgeOptions(server=ServerOptions(protocol=CHAT.protocol)),
        sampling=chosen.served_sampling,
        batch=chosen.batch,
    )
    config = options_to_dict(plain)
    config["judge"]["server"] |= {"name": server, "model": model}
    config["outside"]["name"] = outside_server
    if question:
        config["judge"]["criterion"] = question
    config = apply_overrides(config, assignments, COMPARISON_RULES)
    if question and not config["judge"]["server"]["name"]:
        sentence = gettext(
            "A question is for a judge, and no server of one is named: name it, or ask nothing."
        )
        raise ActionError(sentence, code="no_judge", fields={"question": sentence})
    return config


def compare_policies(
    *,
    actor: User,
    project: Project,
    policy: Policy,
    others: Sequence[Policy] = (),
    sources: Sequence[Source] = (),
    outside_models: Sequence[str] = (),
    with_reference: bool = False,
    reward_model: RewardModel,
    further_reward_models: Sequence[RewardModel] = (),
    prompt_set: PromptSet,
    config: Mapping[str, Any],
    prompts: int | None = None,
    criteria: Sequence[Criterion] = (),
    overlap: int = 1,
) -> Run:
    """Queue the comparison of `policy` with other policies, sources of answers from files, models of an outside server
    (by what it calls them) and what people wrote (`with_reference`), on prompts of the set that no training has seen.

    By a reward model always, by further ones that score the same answers (each of its criterion), by a judge where the
    config names a server, and by people where `criteria` are given: a batch each, `overlap` people a pair. Where a
    critic leads the policy's answers it may be among the others itself, as it answers alone. Raises ActionError.
    """
    scoring = [reward_model, *further_reward_models]
    _require_own(project, [policy, *others, *sources, *scoring, prompt_set, *criteria])
    if policy in others and not is_led(config):
        raise ActionError(
            gettext(
                "A policy is not compared with itself, unless a critic leads its answers (guidance.policy)."
            ),
            code="same_policy",
        )
    if policy in others and criteria:
        sentence = gettext(
            "What people say is told apart by who answered, and here the policy stands beside itself: leave the "
            "criteria out."
        )
        raise ActionError(sentence, code="same_policy", fields={"criteria": sentence})
    _require_people(criteria, overlap)
    asked: list[dict[str, Any]] = [
        *({"kind": "policy", "policy": other.pk, "name": other.name} for other in others),
        *({"kind": "source", "source": source.pk, "name": source.name} for source in sources),
        *({"kind": OUTSIDE, "name": name} for name in outside_models),
        *([{"kind": REFERENCE, "name": REFERENCE_NAME}] if with_reference else []),
    ]
    _require_outside(config, outside_models)
    chosen = _held_out(prompt_set, prompts)
    for other in asked:
        if other["kind"] in (REFERENCE, "source") and not given_answers(chosen, other):
            raise ActionError(
                gettext("“%(name)s” has no answer to any of these prompts.") % {"name": other["name"]},
                code="no_answers",
            )
    paths = {other.pk: str(other.artifact.absolute_path) for other in others}
    contestants = [
        Contestant(
            name=other["name"],
            source=ModelSource(path=paths[other["policy"]]) if other["kind"] == "policy" else None,
            outside_model=other["name"] if other["kind"] == OUTSIDE else "",
        )
        for other in asked
    ]
    return _queue(
        actor, project, policy, scoring, prompt_set, config, contestants,
        title=f"Compare {policy.name} with {', '.join(other['name'] for other in asked)}",
        parameters={
            "others": asked,
            "prompt_ids": [prompt.external_id for prompt in chosen],
            "criteria": [criterion.pk for criterion in criteria],
            "overlap": overlap,
        },
    )  # fmt: skip


def evaluate_along_run(
    *,
    actor: User,
    project: Project,
    run: Run,
    reward_model: RewardModel,
    further_reward_models: Sequence[RewardModel] = (),
    prompt_set: PromptSet,
    config: Mapping[str, Any],
    prompts: int | None = None,
    criteria: Sequence[Criterion] = (),
    overlap: int = 1,
    steps: Sequence[int] = (),
) -> Run:
    """Queue the comparison of every kept checkpoint of a training, and of the policy that it made, with the policy that
    it started from: win rate, reward and KL over steps (Secrets of RLHF I, figure 4). Of more than MAX_OTHERS so many,
    evenly over the training but for those of `steps`.

    By people too where `criteria` are given, as in `compare_policies`: those of `steps` (none: all that are evaluated),
    which are evaluated whatever else is. Raises ActionError.
    """
    scoring = [reward_model, *further_reward_models]
    _require_own(project, [run, *scoring, prompt_set, *criteria])
    require_training(run)
    if is_led(config):
        raise ActionError(
            gettext(
                "No critic leads the checkpoints of a training: leave guidance out, or compare policies."
            ),
            code="bad_option",
        )
    _require_outside(config, [])
    start = start_of(project, run).policy
    if start is None:
        raise ActionError(
            gettext(
                "The run started from no policy of this project, with which its checkpoints could be compared: adopt "
                "checkpoints as policies, and compare these."
            ),
            code="no_policy",
        )
    kept, made = kept_checkpoints(run), _made_by(run)
    if not kept:
        raise ActionError(
            gettext("The run has no checkpoint: it keeps its last ones (runtime.keep_checkpoints)."),
            code="no_checkpoint",
        )
    _require_people(criteria, overlap)
    _require_steps(steps, kept, criteria)
    contestants = _spread(kept, steps)
    return _queue(
        actor, project, start, scoring, prompt_set, config, contestants,
        title=f"Evaluate along “{run.title}”",
        parameters={
            "others": [
                {"kind": CHECKPOINT, "name": one.name, "step": one.step}
                | ({"policy": made.pk} if made and not one.checkpoint_path else {})
                for one in contestants
            ],
            "of_run": run.pk,
            "kept": len(kept),
            "prompt_ids": [prompt.external_id for prompt in _held_out(prompt_set, prompts)],
            "criteria": [criterion.pk for criterion in criteria],
            "overlap": overlap,
            **({"people_steps": sorted(set(steps))} if steps else {}),
        },
    )  # fmt: skip


def _require_outside(config: Mapping[str, Any], models: Sequence[str]) -> None:
    """Raises ActionError for a server without a model to ask there, and for a model without a server."""
    sentence = ""
    if bool(config.get("outside", {}).get("name")) != bool(models):
        sentence = gettext("Outside models are a server and what it calls them: give both, or neither.")
    elif any(not name.strip() or len(name) > MAX_MODEL_NAME for name in models):
        sentence = gettext("An outside model has a name of at most %(most)s characters.") % {
            "most": MAX_MODEL_NAME
        }
    if sentence:
        raise ActionError(sentence, code="no_outside_model", fields={"outside_models": sentence})


def kept_checkpoints(run: Run) -> list[Contestant]:
    """By their steps; the policy that the run made, where no checkpoint is of its last step, is the last one."""
    found = [
        Contestant(name=f"step {checkpoint.step}", checkpoint_path=str(checkpoint.path), step=checkpoint.step)
        for checkpoint in sorted(checkpoints(run), key=lambda checkpoint: checkpoint.step)
    ]
    made = _made_by(run)
    steps = int(made.report.get("steps") or 0) if made else 0
    if made is not None and steps not in {one.step for one in found}:
        source = ModelSource(path=str(made.artifact.absolute_path))
        found.append(Contestant(name=made.name, source=source, step=steps))
    return found


def _made_by(run: Run) -> Policy | None:
    return Policy.objects.filter(produced_by=run).first()


def _require_people(criteria: Sequence[Criterion], overlap: int) -> None:
    if not 1 <= overlap <= MAX_OVERLAP:
        raise ActionError(
            gettext("The overlap must be between 1 and %(max_overlap)s people.")
            % {"max_overlap": MAX_OVERLAP},
            code="bad_overlap",
        )
    if overlap > 1 and not criteria:
        sentence = gettext(
            "People per pair are asked for, and no criterion on which people compare: choose one."
        )
        raise ActionError(sentence, code="no_criteria", fields={"criteria": sentence})


def _require_steps(steps: Sequence[int], kept: Sequence[Contestant], criteria: Sequence[Criterion]) -> None:
    sentence = ""
    known = [one.step for one in kept]
    if steps and not criteria:
        sentence = gettext(
            "Steps for people are named, and no criterion on which people compare: choose one, or leave the steps out."
        )
    elif unknown := [step for step in steps if step not in known]:
        sentence = gettext("The run has no checkpoint of step %(step)s; it has %(known)s.") % {
            "step": unknown[0],
            "known": ", ".join(map(str, known)),
        }
    elif len(set(steps)) > MAX_OTHERS:
        sentence = gettext("People compare at most %(most)s checkpoints: name fewer steps.") % {
            "most": MAX_OTHERS
        }
    if sentence:
        raise ActionError(sentence, code="bad_steps", fields={"steps": sentence})


def _spread(kept: Sequence[Contestant], steps: Sequence[int]) -> list[Contestant]:
    """All, or MAX_OTHERS of them: those of `steps`, and of the others from the first to the last, evenly."""
    rest = [one for one in kept if one.step not in steps]
    room = MAX_OTHERS - (len(kept) - len(rest))
    chosen = [rest[place] for place in evenly(len(rest), room)] if room > 1 else rest[-1:][:room]
    return [one for one in kept if one.step in steps or one in chosen]


def _require_own(project: Project, instances: Sequence[Any]) -> None:
    for instance in instances:
        if instance.project_id != project.pk:
            raise ActionError(
                gettext("“%(instance)s” belongs to another project.") % {"instance": instance},
                code="wrong_project",
            )


def _require_different(scoring: Sequence[RewardModel]) -> None:
    keys = [model.pk for model in scoring]
    twice = next((model for model in scoring if keys.count(model.pk) > 1), None)
    if twice is not None:
        sentence = gettext("“%(name)s” scores the answers already: name each reward model once.") % {
            "name": twice.name
        }
        raise ActionError(sentence, code="same_reward_model", fields={"further_reward_models": sentence})


def _held_out(prompt_set: PromptSet, prompts: int | None) -> list[Any]:
    if prompts is not None and prompts < 1:
        raise ActionError(gettext("The number of prompts must be at least 1."), code="no_prompts")
    chosen = list(held_out_of(prompt_set).order_by("pk")[:prompts])
    if not chosen:
        raise ActionError(
            gettext(
                "No prompt of “%(name)s” is held out from training. Take a set kept for evaluation, or one with "
                "prompts of the validation or test side."
            )
            % {"name": prompt_set.name},
            code="no_prompts",
        )
    return chosen


def _queue(
    actor: User,
    project: Project,
    policy: Policy,
    scoring: Sequence[RewardModel],
    prompt_set: PromptSet,
    config: Mapping[str, Any],
    contestants: Sequence[Contestant],
    *,
    title: str,
    parameters: Mapping[str, Any],
) -> Run:
    reward_model, *further = scoring
    _require_different(scoring)
    if not 1 <= len(contestants) <= MAX_OTHERS:
        raise ActionError(
            gettext("Name one to %(most)s others to compare with.") % {"most": MAX_OTHERS}, code="no_others"
        )
    if len({one.name for one in contestants}) < len(contestants):
        raise ActionError(gettext("Two of the others have the same name."), code="same_name")
    filled = {
        **with_critic(project, config),
        "policy": {"path": str(policy.artifact.absolute_path)},
        "policy_name": policy.name,
        "reward_model_path": str(reward_model.artifact.absolute_path),
        "further_reward_models": [
            {"name": model.name, "path": str(model.artifact.absolute_path)} for model in further
        ],
        "others": [options_to_dict(one) for one in contestants],
    }
    options = load_run_options(ComparePoliciesConfig, filled)
    for server in (options.judge.server, options.sampling.server, options.outside):
        require_known_server({"name": server.name})
    return queue_run(
        actor=actor,
        project=project,
        kind=COMPARE,
        title=title[:200],
        config=filled,
        parameters={
            "policy": policy.pk,
            "reward_model": reward_model.pk,
            **({"further_reward_models": [model.pk for model in further]} if further else {}),
            "prompt_set": prompt_set.name,
            **parameters,
        },
    )
