"""Sampling from a policy and evaluating it: what is written, and going on after a crash or a stop."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification

from learning.interface.options import UserError
from learning.interface.record_files import read_records
from learning.interface.record_schemas import SAMPLED_RESPONSES, SCORES
from learning.interface.training_options import ModelSource
from learning.run_context import RunContext, StopRequested
from policy_training.training.config import EvaluateConfig, SampleConfig, SampleOptions
from policy_training.training.evaluation import evaluate
from policy_training.training.sampling import sample
from tests.policy_training.training.conftest import BATCH, create_run, in_process, launch, prompt_rows


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
