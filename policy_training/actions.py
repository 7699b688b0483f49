"""What managers ask of policies. Each action queues runs, whose run kind saves the result."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Literal

from django.db import transaction
from django.utils.translation import gettext

from annotation.content.held_out import held_out_of
from annotation.models import Batch, Prompt, PromptSet
from learning.interface.options import UserError, load_options
from learning.interface.vocabulary import ANNOTATOR_KINDS, PERSON
from policy_training.guidance import with_critic
from policy_training.model_servers import require_known_server
from policy_training.models import Policy
from policy_training.registry import require_unused_name
from policy_training.rewards import filled_in
from policy_training.run_kinds import EVALUATE, PRETRAIN, SAMPLE, SFT
from policy_training.sampled_tasks import MAX_RESPONSES, given_answers
from policy_training.supervised.judged_answers import JudgmentChoice
from policy_training.supervised.mixing import require_training_texts, require_whole_demonstrations
from policy_training.supervised.preferred_answers import PreferredAnswers
from policy_training.supervised.rated_answers import RatedAnswers, require_known_mark
from policy_training.training.config import SampleConfig
from rewardmodel.models import RewardModel
from runs.actions import queue_run
from runs.errors import BadRunConfig
from runs.models import Run
from runs.run_kinds import RunKind
from workspace.access import require_of_project
from workspace.errors import ActionError
from workspace.models import MAX_OVERLAP, Criterion, Project, User


def train_sft(
    *,
    actor: User,
    project: Project,
    name: str,
    config: Mapping[str, Any],
    parent: Policy | None = None,
    rated: RatedAnswers | None = None,
    preferred: PreferredAnswers | None = None,
    batches: Collection[Batch] | None = None,
    annotator_kinds: Collection[str] = (PERSON,),
    processes: int = 1,
) -> Run:
    """Queue supervised fine-tuning on the project's demonstrations; with `rated` also on answers that people rated so,
    with `preferred` on those that they put first: by judgments of the `batches` (None: of all that are not excluded)
    and of these kinds of annotators.

    `config` is LanguageModelConfig as a mapping; with a `parent` its model source is filled in here, without one the
    config says where to start (a folder, a hub id, a model from scratch). A `data.texts_share` takes the project's
    texts: NothingToMixIn when it has none to train on.
    """
    require_of_project(project, parent, *(batches or ()))
    judged = _chosen_judgments(batches, annotator_kinds, any_read=bool(rated or preferred))
    if rated is not None:
        require_known_mark(project, rated.mark)
    if preferred is not None and not 0 < preferred.at_least <= 1:
        raise ActionError(
            gettext(
                "The share of people who put an answer first is above 0 and at most 1, found %(at_least)s."
            )
            % {"at_least": f"{preferred.at_least:g}"},
            code="bad_option",
        )
    if config.get("data", {}).get("texts_share"):
        require_training_texts(project, "fine-tune without them (--set data.texts_share=0)")
    return _train_language_model(
        SFT,
        actor=actor,
        project=project,
        name=name,
        config=config,
        parent=parent,
        title=f"Fine-tune {name}",
        processes=processes,
        **({"rated": asdict(rated)} if rated else {}),
        **({"preferred": asdict(preferred)} if preferred else {}),
        **judged,
    )


def _chosen_judgments(
    batches: Collection[Batch] | None, annotator_kinds: Collection[str], *, any_read: bool
) -> dict[str, Any]:
    """What the run records of them. Raises ActionError for what nobody would read."""
    choice = JudgmentChoice(
        batches=None if batches is None else tuple(sorted(batch.pk for batch in batches)),
        annotator_kinds=tuple(kind for kind in ANNOTATOR_KINDS if kind in annotator_kinds),
    )
    if any_read:
        if not choice.annotator_kinds or set(annotator_kinds) - set(ANNOTATOR_KINDS):
            raise ActionError(
                gettext("Say whose judgments: some of %(kinds)s.") % {"kinds": ", ".join(ANNOTATOR_KINDS)},
                code="bad_option",
            )
        return {"judgments": asdict(choice)}
    if choice.batches is not None or choice.annotator_kinds not in ((), (PERSON,)):
        raise ActionError(
            gettext(
                "Batches and kinds of annotators are for answers that people rated or put first: ask for such answers, "
                "or leave them out."
            ),
            code="bad_option",
        )
    return {}


def pretrain(
    *,
    actor: User,
    project: Project,
    name: str,
    config: Mapping[str, Any],
    parent: Policy | None = None,
    data: Literal["texts", "demonstrations"] = "texts",
    processes: int = 1,
) -> Run:
    """Queue language-model training on every token of the project's texts, or of its whole demonstrations.

    Raises NothingToMixIn when the project has none to train on.
    """
    require_of_project(project, parent)
    if data == "texts":
        require_training_texts(project, "pretrain on whole demonstrations (--data demonstrations)")
    else:
        require_whole_demonstrations(project)
    return _train_language_model(
        PRETRAIN,
        actor=actor,
        project=project,
        name=name,
        config=config,
        parent=parent,
        title=f"Pretrain {name} on {data}",
        processes=processes,
        data=data,
    )


def _train_language_model(
    kind: RunKind,
    *,
    actor: User,
    project: Project,
    name: str,
    config: Mapping[str, Any],
    parent: Policy | None,
    title: str,
    processes: int,
    **parameters: Any,
) -> Run:
    require_unused_name(project, name)
    if parent is not None:
        source = {"path": str(parent.artifact.absolute_path)}
        config = {**config, "model": {**config.get("model", {}), "source": source}}
    return queue_run(
        actor=actor,
        project=project,
        kind=kind,
        title=title,
        config=config,
        parameters={"name": name, "parent": parent.pk if parent else None, **parameters},
        processes=processes,
    )


def sample_responses(
    *,
    actor: User,
    project: Project,
    policy: Policy,
    prompts: Sequence[Prompt],
    config: Mapping[str, Any],
    id_prefix: str,
    draws: Sequence[Mapping[float, int]] | None = None,
    kind_of_prompts: str = "prompts",
    tasks: Mapping[str, Any] | None = None,
    shares: Sequence[Mapping[str, Any]] = (),
    processes: int = 1,
) -> Run:
    """Queue sampling: every prompt, every temperature, n responses. Response rows under the policy's source come out.

    `config` is SampleConfig as a mapping without the policy. `id_prefix` keeps response ids of several samplings apart.
    `draws`, one {temperature: samples} for each prompt, asks every prompt for its own samples; where it is empty, none.
    `kind_of_prompts` stands in the run's title. `tasks` asks for a batch of the samples (see sample_tasks). `shares`:
    what each prompt set gave, where the prompts are of several.
    """
    require_of_project(project, policy, *prompts)
    require_known_server(config.get("sampling", {}).get("server"))
    sampling = config.get("sampling")
    if isinstance(sampling, Mapping):
        config = {**config, "sampling": with_critic(project, sampling)}
    n_prompts = len(prompts) if draws is None else sum(1 for own in draws if own)
    if n_prompts == 0:
        raise ActionError(gettext("There are no prompts to sample from."), code="no_prompts")
    parameters: dict[str, Any] = {
        "policy": policy.pk,
        "prompt_ids": [prompt.external_id for prompt in prompts],
    }
    if tasks is not None:
        parameters["tasks"] = dict(tasks)
    if shares:
        parameters["prompt_mixture"] = [dict(share) for share in shares]
    if draws is not None:
        # Pairs: the keys of a JSON object would be text.
        parameters["draws"] = [sorted(own.items()) for own in draws]
    return queue_run(
        actor=actor,
        project=project,
        kind=SAMPLE,
        title=f"Sample {n_prompts} {kind_of_prompts} from {policy.name}",
        config={
            **config,
            "policy": {"path": str(policy.artifact.absolute_path)},
            "policy_name": policy.name,
            "id_prefix": id_prefix,
        },
        parameters=parameters,
        processes=processes,
    )


def sample_tasks(
    *,
    actor: User,
    project: Project,
    policies: Sequence[Policy],
    prompt_set: PromptSet,
    criterion: Criterion,
    config: Mapping[str, Any],
    batch_name: str | None = None,
    prompts: int | None = None,
    overlap: int | None = None,
    with_given: bool = True,
    single_answers: bool = False,
    open_at_once: bool = False,
    processes: int = 1,
) -> list[Run]:
    """Queue sampling whose responses become a batch of tasks, together with the answers that the prompts have from
    files (`with_given`): alternatives to a dialogue's own turn, or to what other models said.

    With `single_answers` every different answer is a task of its own, to be rated.

    One run for each of the `policies`, which answer every prompt; the last to end makes the batch of all their answers.
    `config` is SampleConfig as a mapping without the policy. Raises ActionError.
    """
    require_of_project(project, *policies, prompt_set, criterion)
    if not policies or len(set(policies)) != len(policies):
        raise ActionError(gettext("Name at least one policy, and each once."), code="no_policy")
    if overlap is not None and not 1 <= overlap <= MAX_OVERLAP:
        raise ActionError(
            gettext("The overlap must be between 1 and %(max_overlap)s people.")
            % {"max_overlap": MAX_OVERLAP},
            code="bad_overlap",
        )
    if prompts is not None and prompts < 1:
        raise ActionError(gettext("The number of prompts must be at least 1."), code="no_prompts")
    try:
        options = load_options(SampleConfig, {**config, "policy": {"path": "(filled in)"}})
        options.sampling.server.require_model_of_each("sampling.server", len(policies))
    except (UserError, ValueError) as error:
        raise BadRunConfig(str(error)) from error
    chosen = list(prompt_set.prompts.order_by("pk")[:prompts])
    samples = options.samples_per_prompt * len(options.sampling.temperatures) * len(policies)
    most_given = max(map(len, given_answers(chosen).values()), default=0) if with_given else 0
    if not single_answers and not 2 <= samples + most_given <= MAX_RESPONSES:
        raise ActionError(
            gettext(
                "%(samples)s samples a prompt and up to %(most_given)s answers it has make "
                "%(most_given2)s; a task shows 2 to %(max_responses)s: change --samples or "
                "--temperatures."
            )
            % {
                "samples": samples,
                "most_given": most_given,
                "most_given2": samples + most_given,
                "max_responses": MAX_RESPONSES,
            },
            code="bad_number_of_responses",
        )
    names = ", ".join(policy.name for policy in policies)
    name = batch_name or f"{prompt_set.name}, {names}"[:110]
    if not name.strip() or len(name) > 110:
        raise ActionError(gettext("A batch needs a name of at most 110 characters."), code="bad_name")
    together = uuid.uuid4().hex[:12]
    tasks = {
        "batch_name": name,
        "criterion": criterion.pk,
        "overlap": overlap,
        "with_given": with_given,
        "open": open_at_once,
        **({"single_answers": True} if single_answers else {}),
    }
    if len(policies) > 1:
        tasks |= {"together": together, "of": len(policies)}
    with transaction.atomic():
        return [
            sample_responses(
                actor=actor,
                project=project,
                policy=policy,
                prompts=chosen,
                config=config,
                id_prefix=f"tasks-{together}-" + (f"{number}-" if number else ""),
                tasks=tasks,
                processes=processes,
            )
            for number, policy in enumerate(policies)
        ]


def evaluate_policy(
    *,
    actor: User,
    project: Project,
    policy: Policy,
    reward_model: RewardModel,
    prompt_set: PromptSet,
    config: Mapping[str, Any],
    reference: Policy | None = None,
    prompts: int | None = None,
    processes: int = 1,
) -> Run:
    """Queue sampling on prompts of a set that no training has seen (the first `prompts` of them), scored by a reward
    model, with the KL to `reference` (None: no KL).

    `config` is EvaluateConfig as a mapping without the models; further reward models have their names in it. Raises
    ActionError.
    """
    require_of_project(project, policy, reward_model, prompt_set, reference)
    if prompts is not None and prompts < 1:
        raise ActionError(gettext("The number of prompts must be at least 1."), code="no_prompts")
    held_out = held_out_of(prompt_set).order_by("pk")
    chosen = list(held_out.values_list("external_id", flat=True)[:prompts])
    if not chosen:
        raise ActionError(
            gettext(
                "No prompt of “%(name)s” is held out from training. Take a set kept for evaluation, or one with "
                "prompts of the validation or test side."
            )
            % {"name": prompt_set.name},
            code="no_prompts",
        )
    config, further = filled_in(project, with_critic(project, config), reward_model)
    return queue_run(
        actor=actor,
        project=project,
        kind=EVALUATE,
        title=f"Evaluate {policy.name} by {reward_model.name} on {len(chosen)} prompts",
        config={
            **config,
            "policy": {"path": str(policy.artifact.absolute_path)},
            "policy_name": policy.name,
            "reference": {"path": str(reference.artifact.absolute_path)} if reference else None,
            "reward_model_path": str(reward_model.artifact.absolute_path),
        },
        parameters={
            "policy": policy.pk,
            "reward_model": reward_model.pk,
            **({"further_reward_models": further} if further else {}),
            "reference": reference.pk if reference else None,
            "prompt_set": prompt_set.name,
            "prompt_ids": chosen,
        },
        processes=processes,
    )
