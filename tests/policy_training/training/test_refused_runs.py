"""Bad input of the recipes: one sentence, exit status 2 and no model."""

import dataclasses
import json
import shutil

import pytest

from learning.interface.options import UserError
from learning.interface.training_options import ModelOptions, ModelSource
from policy_training.training.config import EvaluateConfig, LanguageModelConfig, SampleConfig
from policy_training.training.evaluation import evaluate
from policy_training.training.ppo import recipe as ppo
from policy_training.training.ppo.config import PPOConfig
from policy_training.training.sampling import sample
from policy_training.training.supervised import pretrain, sft
from tests.policy_training.training.conftest import (
    BATCH,
    create_run,
    demonstration_rows,
    in_process,
    launch,
    ppo_config,
    prompt_rows,
    sft_config,
    text_rows,
)
from tests.policy_training.training.recipe_runs import PPO_ROWS


def test_a_policy_folder_without_a_tokenizer_is_one_sentence_and_exit_2(
    tmp_path, policy_path, reward_model_path
):
    bare = tmp_path / "bare"
    shutil.copytree(policy_path, bare)
    for path in bare.iterdir():
        if "token" in path.name or path.suffix == ".jinja":
            path.unlink()
    run = create_run(tmp_path / "run", "ppo", ppo_config(bare, reward_model_path), prompts=prompt_rows(8))
    errors = launch(run, expected=2)
    sentence = errors.strip().splitlines()[-1]
    assert "no tokenizer" in sentence and str(bare) in sentence and "Traceback" not in errors
    assert run.status().outcome == "user_error" and run.result() is None
    assert not (run.path / "model").exists()


@pytest.mark.parametrize(
    ("module", "options_cls", "rows", "sentence"),
    [
        (ppo, PPOConfig, [], "inputs/prompts: none of its 0 prompts has split 'train'"),
        (ppo, PPOConfig, prompt_rows(3), "inputs/prompts: none of its 3 prompts has split 'train'"),
        (sample, SampleConfig, [], "inputs/prompts: has no prompts"),
        (evaluate, EvaluateConfig, [], "inputs/prompts: has no prompts"),
        (sft, LanguageModelConfig, [], "inputs/demonstrations: none of its 0 rows has split 'train'"),
        (pretrain, LanguageModelConfig, demonstration_rows(3), "none of its 3 rows has split 'train'"),
    ],
)
def test_nothing_to_work_on_is_one_sentence(
    tmp_path, policy_path, reward_model_path, module, options_cls, rows, sentence
):
    source = ModelSource(path=str(policy_path))
    config = {
        PPOConfig: ppo_config(policy_path, reward_model_path),
        SampleConfig: SampleConfig(policy=source),
        EvaluateConfig: EvaluateConfig(policy=source, reward_model_path=str(reward_model_path)),
        LanguageModelConfig: sft_config(),
    }[options_cls]
    name = "demonstrations" if options_cls is LanguageModelConfig else "prompts"
    command = module.__name__.removesuffix(".recipe").rsplit(".", 1)[1]
    run = create_run(tmp_path / "run", command, config, **{name: rows})
    with pytest.raises(UserError, match=sentence):
        in_process(module, options_cls, run)
    assert run.status().outcome == "user_error" and sentence in run.status().reason
    assert run.result() is None and not (run.path / "model").exists()


def test_ptx_without_demonstrations_and_rows_longer_than_the_model_are_refused(
    tmp_path, policy_path, reward_model_path
):
    config = ppo_config(policy_path, reward_model_path)
    ptx = dataclasses.replace(config, algorithm=dataclasses.replace(config.algorithm, ptx_coefficient=1.0))
    run = create_run(tmp_path / "ptx", "ppo", ptx, prompts=prompt_rows(8))
    with pytest.raises(
        UserError, match="ptx_coefficient: 1.0 with ptx_texts_share 0.0 needs inputs/demonstrations"
    ):
        in_process(ppo, PPOConfig, run)
    texts = dataclasses.replace(ptx, algorithm=dataclasses.replace(ptx.algorithm, ptx_texts_share=1.0))
    run = create_run(tmp_path / "texts", "ppo", texts, **PPO_ROWS | {"texts": text_rows(3, heldout=3)})
    with pytest.raises(UserError, match="inputs/texts: no row has split 'train'"):
        in_process(ppo, PPOConfig, run)
    long = dataclasses.replace(config, batch=dataclasses.replace(BATCH, max_response_tokens=100))
    run = create_run(tmp_path / "long", "ppo", long, prompts=prompt_rows(8))
    with pytest.raises(UserError, match="64 positions"):
        in_process(ppo, PPOConfig, run)
    policy = ModelOptions(source=ModelSource(path=str(reward_model_path)))
    run = create_run(
        tmp_path / "kind", "ppo", dataclasses.replace(config, policy=policy), prompts=prompt_rows(8)
    )
    with pytest.raises(UserError, match="this is a reward model, and a policy is needed"):
        in_process(ppo, PPOConfig, run)
    assert json.loads((run.path / "status.json").read_text())["outcome"] == "user_error"
