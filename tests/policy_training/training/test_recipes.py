"""The real commands on tiny models: what they write, exact resumption after SIGKILL and SIGTERM, bad input."""

import dataclasses
import json
import shutil
import signal
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from learning.interface.options import UserError
from learning.interface.record_files import read_records
from learning.interface.record_schemas import SAMPLED_RESPONSES, SCORES
from learning.interface.training_options import ModelOptions, ModelSource, OptimizerOptions, RuntimeOptions
from learning.run_context import RunContext, StopRequested
from policy_training.training.config import (
    EvaluateConfig,
    LanguageModelConfig,
    LanguageModelDataOptions,
    SampleConfig,
    SampleOptions,
)
from policy_training.training.evaluation import evaluate
from policy_training.training.ppo import recipe as ppo
from policy_training.training.ppo.config import (
    CriticOptions,
    PolicyLossOptions,
    PPOConfig,
    RewardOptions,
    RolloutOptions,
)
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
    start,
    text_rows,
)


def tensors(run, name: str = "model") -> dict[str, torch.Tensor]:
    return load_file(run.path / name / "model.safetensors")


def assert_same_run(one, other, *names: str) -> None:
    """The same tensors bit for bit, and the same metrics but for the times."""
    for name in names:
        left, right = tensors(one, name), tensors(other, name)
        assert left.keys() == right.keys()
        assert all(torch.equal(left[key], right[key]) for key in left), name
    rows = [
        [{k: v for k, v in row.items() if "second" not in k and "time" not in k} for row in run.metrics()[0]]
        for run in (one, other)
    ]
    assert rows[0] == rows[1]
    assert one.samples(1000) == other.samples(1000)


def interrupt(command: str, run, *, when: str, with_signal: int) -> int:
    """Start the command, send the signal once `when` is complete, and return the exit status."""
    process = start(command, run)
    deadline = time.monotonic() + 400
    while not list(run.path.glob(when)) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(with_signal)
    _, errors = process.communicate(timeout=400)
    assert run.result() is None, "it had finished before the signal came; make the run longer"
    if process.returncode not in (75, -signal.SIGKILL):
        print(errors[-3000:])
    return process.returncode


LONG_SFT = {"data": LanguageModelDataOptions(examples_per_step=16, steps=120, texts_share=0.15)}
SFT_ROWS = {"demonstrations": demonstration_rows(60), "texts": text_rows(9)}


PPO_ROWS = {"prompts": prompt_rows(14), "demonstrations": demonstration_rows(11), "texts": text_rows(9)}


def long_ppo(policy_path: Path, reward_model_path: Path) -> PPOConfig:
    """With everything that a checkpoint has to keep: two KL coefficients that move, averaged weights, ptx."""
    config = ppo_config(policy_path, reward_model_path)
    return dataclasses.replace(
        config,
        rollout=dataclasses.replace(config.rollout, steps=30),
        reward=dataclasses.replace(config.reward, kl_target=0.5),
        algorithm=dataclasses.replace(
            config.algorithm,
            ptx_coefficient=0.5,
            ptx_examples_per_response=0.3,
            ptx_texts_share=0.5,
            target_kl=0.2,
            gae_lambda_value=1.0,
        ),
        ema_decay=0.9,
        policy_loss=PolicyLossOptions(
            kl_penalty_coefficient=0.1,
            kl_penalty_target=3e-4,
            entropy_coefficient=0.01,
            entropy_threshold=5.0,
            entropy_rule="hold_at",
        ),
    )


def test_sft_learns_and_counts_its_demonstrations_and_texts(tmp_path):
    whole = create_run(tmp_path / "whole", "sft", sft_config(**LONG_SFT), **SFT_ROWS)
    launch(whole)
    result = whole.result()
    assert result["loss_after"] < 0.7 * result["loss_before"]
    assert result["steps"] == 120 == len(whole.metrics()[0])
    assert (result["train_examples"], result["heldout_examples"]) == (56, 4)
    # 120 steps of 14 demonstrations each, and for 85 of them 15 texts: 1680 x 15 / 85 = 296.5.
    assert result["text_rows"] == 296
    assert whole.status().outcome == "done"
    assert (
        AutoModelForCausalLM.from_pretrained(whole.path / "model").config.vocab_size
        == result["vocabulary_size"]
    )


def test_the_command_of_ppo_moves_its_coefficients_and_counts_what_it_drew(
    tmp_path, policy_path, reward_model_path
):
    config, rows = long_ppo(policy_path, reward_model_path), PPO_ROWS
    whole = create_run(tmp_path / "whole", "ppo", config, **rows)
    launch(whole)
    result = whole.result()
    before = load_file(policy_path / "model.safetensors")
    assert any(not torch.equal(before[key], value) for key, value in tensors(whole).items())
    assert result["steps"] == 30 and result["critic_pretraining_updates"] >= 2
    coefficients = {row["kl_coefficient"] for row in whole.metrics()[0] if row["phase"] == "policy"}
    assert len(coefficients) == 30, "the coefficient moves, so that losing it would show"
    penalties = [row["kl_penalty_coefficient"] for row in whole.metrics()[0] if row["phase"] == "policy"]
    assert len(set(penalties)) > 1 and {b / a for a, b in pairwise(penalties)} <= {0.5, 1.0, 2.0}
    # 0.3 examples to each of the 8 responses of an optimizer step, 2.4 a step; half of them texts, to within one.
    drawn = result["ptx_examples"]
    optimizer_steps = sum(row["optimizer_steps"] for row in whole.metrics()[0] if row["phase"] == "policy")
    assert sum(drawn.values()) == (24 * optimizer_steps + 5) // 10
    assert abs(drawn["texts"] - drawn["demonstrations"]) <= 1
    assert result["episodes"] == sum(row["responses"] for row in whole.metrics()[0])
    assert (result["evaluation_split"], result["evaluation_responses"]) == ("heldout", 4)
    assert result["kl_before"] == pytest.approx(0.0, abs=1e-6)
    for name in ("policy_sha256s", "reference_sha256s"):
        assert result[name]["model.safetensors"]
    assert result["policy_sha256s"] == result["reference_sha256s"] != result["model_sha256s"]


@pytest.mark.slow
@pytest.mark.parametrize("command", ["sft", "ppo"])
def test_a_stopped_run_leaves_a_checkpoint_exits_75_and_goes_on_exactly(
    tmp_path, command, policy_path, reward_model_path
):
    if command == "sft":
        config, rows = sft_config(**LONG_SFT, runtime=RuntimeOptions(checkpoint_every_steps=1000)), SFT_ROWS
    else:
        config, rows = long_ppo(policy_path, reward_model_path), PPO_ROWS
        config = dataclasses.replace(config, runtime=RuntimeOptions(checkpoint_every_steps=1000))
    whole = create_run(tmp_path / "whole", command, config, **rows)
    launch(whole)
    cut = create_run(tmp_path / "cut", command, config, **rows)
    assert interrupt(command, cut, when="metrics.jsonl", with_signal=signal.SIGTERM) == 75
    assert cut.status().outcome == "checkpointed" and cut.has_checkpoint()
    launch(cut)
    assert_same_run(whole, cut, "model")


def test_the_same_seed_twice_gives_the_same_policy_and_another_seed_another(
    tmp_path, policy_path, reward_model_path
):
    results = []
    for name, seed in (("one", 3), ("two", 3), ("three", 4)):
        config = dataclasses.replace(
            ppo_config(policy_path, reward_model_path), runtime=RuntimeOptions(seed=seed)
        )
        config = dataclasses.replace(config, rollout=dataclasses.replace(config.rollout, steps=2))
        run = create_run(tmp_path / name, "ppo", config, prompts=prompt_rows(12))
        in_process(ppo, PPOConfig, run)
        results.append(run)
    assert_same_run(results[0], results[1], "model", "critic")
    assert any(not torch.equal(v, tensors(results[2])[k]) for k, v in tensors(results[0]).items())


# ---- SFT and pretraining ---------------------------------------------------------------------------------------


def test_packed_and_separate_conversations_learn_the_same_from_a_whole_epoch(tmp_path):
    """One step over all the data: the loss and gradient are the same however the rows are laid out."""
    runs = []
    for packing in (False, True):
        data = LanguageModelDataOptions(packing=packing, examples_per_step=1000, max_length=96, steps=1)
        run = create_run(tmp_path / str(packing), "sft", sft_config(data=data), **SFT_ROWS)
        in_process(sft, LanguageModelConfig, run)
        runs.append(run)
    one, two = (run.metrics()[0][0] for run in runs)
    assert one["tokens"] == two["tokens"]
    assert one["loss"] == pytest.approx(two["loss"], abs=1e-5)
    assert one["gradient_norm"] == pytest.approx(two["gradient_norm"], rel=1e-4)
    left, right = tensors(runs[0]), tensors(runs[1])
    assert all(torch.allclose(left[key], right[key], atol=1e-5) for key in left)
    assert [run.result()["layout"] for run in runs] == ["padded", "shared_prompt"]


def test_sft_counts_response_tokens_only(tmp_path):
    """The held-out loss of the untrained model equals a plain computation over the response tokens, EOS included."""
    run = create_run(
        tmp_path / "run",
        "sft",
        sft_config(data=LanguageModelDataOptions(steps=1, examples_per_step=4)),
        **SFT_ROWS,
    )
    result = in_process(sft, LanguageModelConfig, run)
    from learning.models.tokenization import encode_prompt, encode_response
    from learning.models.tokenizers import load_tokenizer

    tokenizer = load_tokenizer(run.path / "model")
    model = AutoModelForCausalLM.from_pretrained(run.path / "model")
    total, count = 0.0, 0
    for row in [r for r in SFT_ROWS["demonstrations"] if r["split"] != "train"]:
        prompt = encode_prompt(tokenizer, row["prompt"], BATCH.max_prompt_tokens)
        response = encode_response(tokenizer, row["response"], BATCH.max_response_tokens)
        with torch.no_grad():
            logits = model(torch.tensor([prompt + response])).logits[0].double().numpy()
        logits -= logits.max(axis=1, keepdims=True)
        logprobs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        for place, token in enumerate(response):
            total -= logprobs[len(prompt) - 1 + place, token]
            count += 1
        assert response[-1] == tokenizer.eos_token_id
    assert result["loss_after"] == pytest.approx(total / count, abs=1e-5)


@pytest.mark.parametrize("source", ["texts", "demonstrations"])
def test_pretraining_counts_every_token(tmp_path, source):
    from learning.interface.record_schemas import TEXTS
    from learning.interface.run_directory import RunDirectory

    if source == "texts":
        rows = [
            {"text": f"{row['prompt'][0]['content']} {row['response']} " * 3, "split": row["split"]}
            for row in SFT_ROWS["demonstrations"]
        ]
        run = RunDirectory.create(
            tmp_path / "run",
            command="policy_training.training.supervised.pretrain",
            config=sft_config(
                data=LanguageModelDataOptions(packing=True, max_length=64, examples_per_step=4, steps=20)
            ),
            inputs={"texts": (rows, TEXTS)},
        )
    else:
        run = create_run(
            tmp_path / "run", "pretrain", sft_config(), demonstrations=SFT_ROWS["demonstrations"]
        )
    result = in_process(pretrain, LanguageModelConfig, run)
    assert result["loss_after"] < 0.8 * result["loss_before"]
    if source == "texts":
        # A text longer than 40 tokens becomes several pieces, and every token but the very first is counted once.
        assert result["train_examples"] > sum(r["split"] == "train" for r in rows)


# ---- sampling and evaluation -----------------------------------------------------------------------------------


def test_sample_writes_every_prompt_temperature_and_number_and_goes_on_after_a_crash(tmp_path, policy_path):
    config = SampleConfig(
        policy=ModelSource(path=str(policy_path)),
        policy_name="base",
        samples_per_prompt=3,
        sampling=SampleOptions(
            temperatures=(0.7, 1.0), top_p=0.9, batch_size=3, max_prompt_tokens=24, max_response_tokens=8
        ),
        id_prefix="run7-",
    )
    rows = prompt_rows(6)
    run = create_run(tmp_path / "run", "sample", config, prompts=rows)
    launch(run)
    responses = read_records(run.path / "responses.parquet", SAMPLED_RESPONSES)
    assert len(responses) == 6 * 2 * 3 == run.result()["responses"]
    assert len({row["response_id"] for row in responses}) == 36
    assert responses[0]["response_id"] == "run7-p0-t0.7-0"
    assert responses[0]["prompt"] == rows[0]["messages"] and responses[0]["policy"] == "base"
    assert responses[0]["sampling"]["top_p"] == 0.9 and responses[0]["sampling"]["temperature"] == 0.7
    assert all(len(row["token_ids"]) == len(row["logprobs"]) <= 8 for row in responses)

    # As after a crash: the last shard and the result are gone.
    again = tmp_path / "again"
    shutil.copytree(run.path, again)
    (again / "result.json").unlink()
    (again / "responses.parquet").unlink()
    kept = sorted((again / "shards").glob("shard-*"))
    kept[-1].unlink()
    untouched = kept[0].read_bytes()
    in_process(sample, SampleConfig, type(run)(again))
    assert kept[0].read_bytes() == untouched
    repeated = read_records(again / "responses.parquet", SAMPLED_RESPONSES)
    without_time = [{k: v for k, v in row.items() if k != "created_at"} for row in responses]
    assert [{k: v for k, v in row.items() if k != "created_at"} for row in repeated] == without_time
    assert type(run)(again).samples(99) == run.samples(99) != []


def test_shards_sampled_with_other_options_or_elsewhere_are_not_mixed(tmp_path, policy_path):
    config = SampleConfig(
        policy=ModelSource(path=str(policy_path)),
        sampling=SampleOptions(max_prompt_tokens=24, max_response_tokens=8),
    )
    run = create_run(tmp_path / "run", "sample", config, prompts=prompt_rows(6))
    in_process(sample, SampleConfig, run)
    for name in ("result.json", "responses.parquet", "status.json"):
        (run.path / name).unlink()
    asked = json.loads((run.path / "config.json").read_text())
    asked["options"]["sampling"]["max_response_tokens"] = 12
    (run.path / "config.json").write_text(json.dumps(asked))
    with pytest.raises(UserError, match="sampled with other options or weights; clone this run"):
        in_process(sample, SampleConfig, run)
    asked["options"]["sampling"]["max_response_tokens"] = 8
    (run.path / "config.json").write_text(json.dumps({**asked, "environment": {"threads": 7}}))
    with pytest.raises(UserError, match="threads 7 .*clone this run"):
        RunContext.open(run, SampleConfig, describe_environment=lambda options: {"threads": 1})
    (run.path / "config.json").write_text(json.dumps(asked))
    in_process(sample, SampleConfig, run)


def test_evaluate_reports_the_rewards_it_wrote_and_no_distance_to_itself(
    tmp_path, policy_path, reward_model_path
):
    source = ModelSource(path=str(policy_path))
    config = EvaluateConfig(
        policy=source,
        reward_model_path=str(reward_model_path),
        reference=source,
        samples_per_prompt=2,
        batch=BATCH,
    )
    rows = [row | {"tags": ["odd"] if place % 2 else []} for place, row in enumerate(prompt_rows(6))]
    run = create_run(tmp_path / "run", "evaluate", config, prompts=rows)
    result = in_process(evaluate, EvaluateConfig, run)
    # The same noise: beside itself it says the same.
    against = result["against_reference"]
    assert (against["win"], against["tie"], against["lose"], against["share"]) == (0, 6, 0, 0.5)
    assert against["by_tag"]["odd"]["tie"] == 3
    scores = [row["reward"] for row in read_records(run.path / "scores.parquet", SCORES)]
    assert len(scores) == 12 == result["responses"]
    assert result["score"] == pytest.approx(np.mean(scores)) and result["score_std"] == pytest.approx(
        np.std(scores)
    )
    assert result["kl"] == pytest.approx(0.0, abs=1e-6)
    responses = read_records(run.path / "responses.parquet", SAMPLED_RESPONSES)
    model = AutoModelForSequenceClassification.from_pretrained(reward_model_path)
    from learning.models.tokenization import encode_prompt
    from learning.models.tokenizers import load_tokenizer

    tokenizer = load_tokenizer(policy_path)
    for row, score in list(zip(responses, scores, strict=True))[:4]:
        ids = torch.tensor([[*encode_prompt(tokenizer, row["prompt"], 24), *row["token_ids"]]])
        with torch.no_grad():
            assert score == pytest.approx(
                model(ids, attention_mask=torch.ones_like(ids)).logits.item() - 0.25, abs=1e-5
            )


@pytest.mark.parametrize("calls", [3, 20, 60])
def test_evaluate_stops_while_it_samples_scores_or_compares(
    tmp_path, policy_path, reward_model_path, monkeypatch, calls
):
    source = ModelSource(path=str(policy_path))
    config = EvaluateConfig(
        policy=source,
        reward_model_path=str(reward_model_path),
        reference=source,
        batch=dataclasses.replace(BATCH, max_micro_batch_tokens=1),
    )
    run = create_run(tmp_path / "run", "evaluate", config, prompts=prompt_rows(30))
    seen = []
    look = RunContext.stop_if_requested

    def ask_after_a_while(context):
        seen.append(context)
        context.stop_requested = len(seen) == calls
        look(context)

    monkeypatch.setattr(RunContext, "stop_if_requested", ask_after_a_while)
    with pytest.raises(StopRequested):
        in_process(evaluate, EvaluateConfig, run)
    assert len(seen) == calls and run.result() is None
    monkeypatch.undo()
    assert in_process(evaluate, EvaluateConfig, run)["responses"] == 30


def test_ppo_with_a_reward_model_of_another_tokenizer_needs_a_critic_from_the_policy(
    tmp_path, policy_path, reward_model_path
):
    from learning.models.files import save_model
    from learning.models.loading import load_policy, load_reward_model
    from learning.models.tokenization import train_tokenizer
    from tests.policy_training.training.conftest import FRESH

    other = train_tokenizer(["Quite another text, with other words in it."], 300)
    torch.manual_seed(5)
    base = tmp_path / "base"
    save_model(load_policy(ModelSource(from_scratch=FRESH), other), other, base)
    foreign = tmp_path / "foreign"
    save_model(load_reward_model(ModelSource(path=str(base)), other), other, foreign)
    large = dataclasses.replace(BATCH, max_prompt_tokens=32, max_response_tokens=32)
    config = dataclasses.replace(
        ppo_config(policy_path, foreign, reward_model_batch=large),
        rollout=RolloutOptions(steps=1, prompts_per_step=2, samples_per_prompt=4),
    )
    refused = create_run(tmp_path / "refused", "ppo", config, prompts=prompt_rows(8))
    with pytest.raises(UserError, match="config.critic.init_from: the reward model has another tokenizer"):
        in_process(ppo, PPOConfig, refused)
    config = dataclasses.replace(config, critic=dataclasses.replace(config.critic, init_from="policy"))
    accepted = create_run(tmp_path / "accepted", "ppo", config, prompts=prompt_rows(8))
    assert in_process(ppo, PPOConfig, accepted)["same_tokenizer"] is False


# ---- bad input -------------------------------------------------------------------------------------------------


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


# ---- several processes -----------------------------------------------------------------------------------------


SHARED_WITH_ALL = {
    "critic": CriticOptions(init_from="shared", max_pretraining_updates=0),
    "policy_loss": PolicyLossOptions(kl_penalty_coefficient=0.5, entropy_coefficient=0.01),
    "reward": RewardOptions(normalize=False, scale=True),
    "ema_decay": 0.5,
}


@pytest.mark.slow
def test_ppo_with_a_shared_trunk_and_all_terms_on_two_processes_equals_one(
    tmp_path, policy_path, reward_model_path
):
    """CHECK 20, DeepSpeed ZeRO 2 with two ranks against plain torch, rollouts included."""
    still = OptimizerOptions(learning_rate=1e-5)
    runs = []
    for name, backend, stage in (("one", "torch", 0), ("two", "deepspeed", 2)):
        runtime = RuntimeOptions(backend=backend, zero_stage=stage)
        config = ppo_config(
            policy_path,
            reward_model_path,
            runtime=runtime,
            policy_optimizer=still,
            critic_optimizer=still,
            **SHARED_WITH_ALL,
        )
        config = dataclasses.replace(config, rollout=dataclasses.replace(config.rollout, steps=4))
        runs.append(create_run(tmp_path / name, "ppo", config, prompts=prompt_rows(15)))
    launch(runs[0])
    launch(runs[1], processes=2)
    assert [s["response"] for s in runs[0].samples(1000)] == [s["response"] for s in runs[1].samples(1000)]
    for one, two in zip(runs[0].metrics()[0], runs[1].metrics()[0], strict=True):
        for key in (
            "score",
            "kl",
            "value_loss",
            "policy_loss",
            "responses",
            "response_tokens",
            "ema_distance",
        ):
            assert one.get(key, 0.0) == pytest.approx(two.get(key, 0.0), abs=1e-5), key
    for name in ("model", "critic"):
        left, right = tensors(runs[0], name), tensors(runs[1], name)
        assert all(torch.allclose(left[key], right[key], rtol=0, atol=1e-5) for key in left)


@pytest.mark.slow
def test_a_process_without_a_prompt_of_the_step_changes_nothing(tmp_path, policy_path, reward_model_path):
    """One prompt a step and two processes: one of them has only a repeat that counts nothing."""
    config = ppo_config(
        policy_path,
        reward_model_path,
        rollout=RolloutOptions(steps=2, prompts_per_step=1, samples_per_prompt=4),
        policy_optimizer=OptimizerOptions(learning_rate=1e-5),
        critic_optimizer=OptimizerOptions(learning_rate=1e-5),
        critic=CriticOptions(max_pretraining_updates=0),
    )
    one, two = (create_run(tmp_path / name, "ppo", config, prompts=prompt_rows(8)) for name in ("one", "two"))
    launch(one)
    launch(two, processes=2)
    for left, right in zip(one.metrics()[0], two.metrics()[0], strict=True):
        for key in ("score", "kl", "value_loss", "policy_loss", "explained_variance", "return_std"):
            assert left[key] == pytest.approx(right[key], abs=1e-4), key
    left, right = tensors(one), tensors(two)
    assert all(torch.allclose(left[key], right[key], rtol=0, atol=1e-4) for key in left)
