"""A checkpoint of a training is the model that a training which ends there gives, bit for bit."""

import dataclasses
import json

import pytest
import torch
from safetensors.torch import load_file

from learning.interface.options import UserError, options_to_dict
from learning.interface.record_schemas import DEMONSTRATIONS, RATINGS
from learning.interface.run_directory import RunDirectory
from learning.interface.training_options import LoraOptions
from learning.run_context import RunContext
from rewardmodel.training import adopt, train
from rewardmodel.training.config import AdoptConfig, ObjectiveOptions, RewardModelConfig
from tests.rewardmodel.training.conftest import change, comparison_rows, create_run, demonstration_rows, run
from tests.rewardmodel.training.test_ratings import rating_rows

ROWS, DEMONSTRATED = comparison_rows(60, size=3), demonstration_rows(12)
# What says where a model is from, and nothing about it.
OF_THE_WAY = {"steps", "epochs", "checkpoint_step"}


def of_steps(config, steps, **runtime):
    """The training with the same rate at each step, however many there are."""
    return change(
        config,
        data={"epochs": None, "steps": steps},
        optimizer={"schedule": "constant", "warmup_steps": 0},
        runtime={"checkpoint_every_steps": 100, **runtime},
    )


def trained(path, config, rows=ROWS):
    torch.manual_seed(0)
    create_run(path, config, rows, DEMONSTRATED)
    return train.main(RunContext.open(RunDirectory(path), RewardModelConfig))


def asked(config, training, step):
    fields = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    return AdoptConfig(**fields, checkpoint_path=str(training / "checkpoints" / f"step-{step:06d}.f0"))


def same_models(one, two):
    first, second = (load_file(path / "model" / "model.safetensors") for path in (one, two))
    configs = [json.loads((path / "model" / "config.json").read_text()) for path in (one, two)]
    return configs[0] == configs[1] and first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) for name in first
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["all weights", "language head", "adapter"])
def test_a_checkpoint_is_the_model_of_a_training_that_ends_there(config, make_policy, tmp_path, kind):
    config = of_steps(config, 5, keep_steps=(2, 5))
    if kind == "language head":
        config = change(config, objective={"lm_coefficient": 0.1})
        untied = make_policy(tie_word_embeddings=False)
        config = change(config, model={"source": dataclasses.replace(config.model.source, path=str(untied))})
    elif kind == "adapter":
        config = change(config, model={"lora": LoraOptions(rank=2, alpha=4.0)})
    shorter = of_steps(config, 2, keep_steps=(2,))
    expected = trained(tmp_path / "short", shorter)
    end = trained(tmp_path / "whole", config)
    for step, training, result in ((2, "short", expected), (5, "whole", end)):
        path = tmp_path / f"adopted-{step}"
        create_run(
            path,
            asked(config, tmp_path / "whole", step),
            ROWS,
            DEMONSTRATED,
            command="rewardmodel.training.adopt",
        )
        torch.manual_seed(0)
        found = json.loads(json.dumps(adopt.main(RunContext.open(RunDirectory(path), AdoptConfig))))
        assert found["steps"] == found["checkpoint_step"] == step
        assert found["epochs"] == pytest.approx(result["epochs"])
        told = json.loads(json.dumps(result))
        assert {name: found[name] for name in told.keys() - OF_THE_WAY} == {
            name: told[name] for name in told.keys() - OF_THE_WAY
        }
        assert same_models(path, tmp_path / training)
    assert not same_models(tmp_path / "adopted-2", tmp_path / "whole")


def test_of_a_training_on_ratings_too(config, tmp_path):
    """The thresholds of the ordinal loss are in the checkpoint."""
    config = dataclasses.replace(
        of_steps(config, 3, keep_steps=(3,)), objective=ObjectiveOptions(ranking_loss="ordinal")
    )
    inputs = {"ratings": (rating_rows(40), RATINGS), "demonstrations": (DEMONSTRATED, DEMONSTRATIONS)}
    for name, command, options in (
        ("whole", "rewardmodel.training.train", config),
        ("adopted", "rewardmodel.training.adopt", asked(config, tmp_path / "whole", 3)),
    ):
        RunDirectory.create(tmp_path / name, command=command, config=options_to_dict(options), inputs=inputs)
        run(tmp_path / name)
    assert same_models(tmp_path / "whole", tmp_path / "adopted")
    results = [json.loads((tmp_path / name / "result.json").read_text()) for name in ("whole", "adopted")]
    assert results[0]["rating_scale"] == results[1]["rating_scale"]
    assert results[0]["ranking_loss"] == results[1]["ranking_loss"]


def test_another_model_s_checkpoint_and_one_that_is_gone_are_one_sentence(config, make_policy, tmp_path):
    config = of_steps(config, 1)
    trained(tmp_path / "whole", config)
    other = change(
        config,
        model={"source": dataclasses.replace(config.model.source, path=str(make_policy(hidden_size=16)))},
    )
    for name, options, words in (
        ("other", asked(other, tmp_path / "whole", 1), "not those of a model like"),
        ("gone", asked(config, tmp_path / "whole", 2), "no complete checkpoint is there any more"),
    ):
        create_run(tmp_path / name, options, ROWS, DEMONSTRATED, command="rewardmodel.training.adopt")
        with pytest.raises(UserError, match=words):
            adopt.main(RunContext.open(RunDirectory(tmp_path / name), AdoptConfig))
    with pytest.raises(ValueError, match="keeps? the weights in parts"):
        asked(change(config, runtime={"backend": "deepspeed"}), tmp_path / "whole", 1)


def test_a_step_to_keep_that_is_never_reached_is_refused(config, tmp_path):
    with pytest.raises(UserError, match="keep_steps names step 9, and the run ends at step 2"):
        trained(tmp_path / "whole", of_steps(config, 2, keep_steps=(1, 9)))
