"""What managers ask of policies. Each action but import_policy queues a run, whose run kind saves the result."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from django.db import transaction

from annotation.models import Prompt, PromptSet
from policy_training.mixing import (
    BRING_DEMONSTRATIONS,
    NothingToMixIn,
    has_training_demonstrations,
    require_training_texts,
)
from policy_training.models import Policy
from policy_training.registry import add_policy, require_unused_name
from policy_training.run_kinds import PPO, PRETRAIN, SAMPLE, SFT
from rewardmodel.models import RewardModel
from runs.actions import queue_run, register_artifact
from runs.artifacts import hash_path
from runs.models import Artifact, Run
from runs.run_kinds import RunKind
from workspace.errors import ActionError
from workspace.models import Project, User


class NotAPolicy(ActionError):
    """The folder does not hold a language model with its tokenizer."""

    code = "not_a_policy"


def train_sft(
    *, actor: User, project: Project, name: str, config: Mapping[str, Any], parent: Policy | None = None
) -> Run:
    """Queue supervised fine-tuning on the project's demonstrations.

    `config` is LanguageModelConfig as a mapping; with a `parent` its model source is filled in here, without one the
    config says where to start (a folder, a hub id, a model from scratch). A `data.texts_share` takes the project's
    texts: NothingToMixIn when it has none to train on.
    """
    if config.get("data", {}).get("texts_share"):
        require_training_texts(project, "fine-tune without them (--set data.texts_share=0)")
    return _train_language_model(
        SFT, actor=actor, project=project, name=name, config=config, parent=parent, title=f"Fine-tune {name}"
    )


def pretrain(
    *,
    actor: User,
    project: Project,
    name: str,
    config: Mapping[str, Any],
    parent: Policy | None = None,
    data: Literal["texts", "demonstrations"] = "texts",
) -> Run:
    """Queue language-model training on every token of the project's texts, or of its whole demonstrations.

    Raises NothingToMixIn when the project has none to train on.
    """
    if data == "texts":
        require_training_texts(project, "pretrain on whole demonstrations (--data demonstrations)")
    elif not has_training_demonstrations(project):
        raise NothingToMixIn(
            f"The project has no demonstrations to train on: {BRING_DEMONSTRATIONS}.",
            code="no_demonstrations",
        )
    return _train_language_model(
        PRETRAIN,
        actor=actor,
        project=project,
        name=name,
        config=config,
        parent=parent,
        title=f"Pretrain {name} on {data}",
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
) -> Run:
    """Queue sampling: every prompt, every temperature, n responses. Response rows under the policy's source come out.

    `config` is SampleConfig as a mapping without the policy. `id_prefix` keeps response ids of several samplings apart.
    `draws`, one {temperature: samples} for each prompt, asks every prompt for its own samples; where it is empty, none.
    `kind_of_prompts` stands in the run's title.
    """
    n_prompts = len(prompts) if draws is None else sum(1 for own in draws if own)
    if n_prompts == 0:
        raise ActionError("There are no prompts to sample from.", code="no_prompts")
    parameters: dict[str, Any] = {
        "policy": policy.pk,
        "prompt_ids": [prompt.external_id for prompt in prompts],
    }
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
    )


def train_ppo(
    *,
    actor: User,
    project: Project,
    name: str,
    start: Policy,
    reference: Policy | None = None,
    reward_model: RewardModel,
    prompt_set: PromptSet,
    config: Mapping[str, Any],
) -> Run:
    """Queue a PPO run that starts from `start` and takes `reward_model` for the rewards.

    Its KL penalty is against `reference`, or against `start` without one. `config` is PPOConfig as a mapping; the
    start, the reference and the reward model are filled in here.
    """
    require_unused_name(project, name)
    if not prompt_set.prompts.exists():
        raise ActionError(
            f"The prompt set “{prompt_set.name}” is empty: bring prompts in with `manage.py import_prompts`.",
            code="no_prompts",
        )
    start_source = {"path": str(start.artifact.absolute_path)}
    algorithm = config.get("algorithm", {})
    mixes_in, texts_share = algorithm.get("ptx_coefficient", 0) > 0, algorithm.get("ptx_texts_share", 0)
    return queue_run(
        actor=actor,
        project=project,
        kind=PPO,
        title=f"PPO: {start.name} to {name}",
        config={
            **config,
            "policy": {**config.get("policy", {}), "source": start_source},
            "reference": {"path": str((reference or start).artifact.absolute_path)},
            "reward_model_path": str(reward_model.artifact.absolute_path),
        },
        parameters={
            "name": name,
            "parent": start.pk,
            "reference": (reference or start).pk,
            "reward_model": reward_model.pk,
            "prompt_set": prompt_set.pk,
            "with_texts": mixes_in and texts_share > 0,
            "with_demonstrations": mixes_in and texts_share < 1,
        },
    )


def import_policy(*, actor: User, project: Project, name: str, path: Path, notes: str = "") -> Policy:
    """Take a policy's folder (Hugging Face format) into the project. The folder stays where it is.

    Raises NotAPolicy when it holds no language model or no tokenizer, PolicyNameTaken, BadArtifact.
    """
    require_unused_name(project, name)
    _require_policy_folder(path)
    digest = hash_path(path)
    with transaction.atomic():
        artifact = register_artifact(
            actor=actor, project=project, kind=Artifact.Kind.POLICY, path=path, digest=digest
        )
        known = Policy.objects.filter(artifact=artifact).first()
        if known is not None:
            raise NotAPolicy(f"{path} is the policy “{known.name}” already.", code="policy_known")
        return add_policy(actor=actor, project=project, name=name, artifact=artifact, notes=notes)


def _require_policy_folder(path: Path) -> None:
    if not path.is_dir():
        raise NotAPolicy(
            f"{path} is not a folder: give the folder of a language model in Hugging Face format."
        )
    if not (path / "config.json").is_file():
        raise NotAPolicy(f"{path} has no config.json: it is not a model in Hugging Face format.")
    if not list(path.glob("*.safetensors")):
        raise NotAPolicy(
            f"{path} has no .safetensors file: save the model with safetensors, nothing else is loaded."
        )
    if not (path / "tokenizer.json").is_file():
        raise NotAPolicy(
            f"{path} has no tokenizer: save the model's tokenizer (tokenizer.json) into the same folder."
        )
