"""Reward models on record, one of them with a real folder."""

import pytest
from django.utils import timezone

from annotation.models import PreferenceDataset
from learning.interface.options import options_to_dict
from learning.interface.training_options import BatchOptions, ModelSource
from rewardmodel.models import RewardModel
from runs.artifacts import hash_path, relative_to_data_dir
from runs.models import Artifact, Run

# Models of random weights, as the tests of their training have them.
from tests.rewardmodel.training.conftest import make_policy, policy_path, tokenizer  # noqa: F401

LIMITS = BatchOptions(max_prompt_tokens=48, max_response_tokens=24)


@pytest.fixture(autouse=True)
def own_data_dir(settings, tmp_path):
    settings.DATA_DIR = tmp_path


@pytest.fixture
def make_model(project, criterion, max_):
    """Reward models by name; without a folder there is nothing to load."""

    def make(name, folder=None):
        run = Run.objects.create(
            project=project,
            kind="rewardmodel.train",
            title=f"Train {name}",
            config={"batch": options_to_dict(LIMITS), "runtime": {"threads": 1}},
            requested_by=max_,
            state="done",
            finished_at=timezone.now(),
        )
        dataset, _ = PreferenceDataset.objects.get_or_create(
            project=project, name="judgments", defaults={"created_by": max_}
        )
        found = hash_path(folder) if folder else None
        artifact = Artifact.objects.create(
            project=project,
            kind="reward_model",
            path=relative_to_data_dir(folder) if folder else f"models/{name}",
            sha256=found.sha256 if found else "0" * 64,
            size_bytes=found.size_bytes if found else 1,
        )
        model = RewardModel.objects.create(
            project=project,
            name=name,
            artifact=artifact,
            dataset=dataset,
            produced_by=run,
            report={"reward_spread": 0.5},
        )
        model.criteria.add(criterion)
        return model

    return make


@pytest.fixture
def folder(policy_path, tokenizer, tmp_path):  # noqa: F811
    """A reward model's, in DATA_DIR."""
    from learning.models.files import save_model
    from learning.models.loading import load_reward_model

    model = load_reward_model(ModelSource(path=str(policy_path)), tokenizer)
    model.config.reward_shift = -0.2
    path = tmp_path / "models" / "taste"
    save_model(model, tokenizer, path)
    return path
