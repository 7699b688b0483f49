"""The scoring command: a file of responses in, their rewards out in the same order."""

import dataclasses
import json

import pytest

from learning.interface.options import UserError, options_to_dict
from learning.interface.record_files import read_records
from learning.interface.record_schemas import RESPONSES, SCORES
from learning.interface.run_directory import RunDirectory
from learning.interface.training_options import BatchOptions, ModelSource, RuntimeOptions
from learning.models.files import save_model
from learning.models.loading import load_reward_model
from learning.run_context import RunContext
from rewardmodel.training import score
from rewardmodel.training.config import ScoreConfig
from rewardmodel.training.scoring import RewardScorer
from tests.rewardmodel.training.conftest import comparison_rows, run

LIMITS = BatchOptions(max_prompt_tokens=48, max_response_tokens=48)


@pytest.fixture(scope="module")
def model_path(policy_path, tokenizer, tmp_path_factory):
    model = load_reward_model(ModelSource(path=str(policy_path)), tokenizer)
    model.config.reward_shift = -0.2
    path = tmp_path_factory.mktemp("reward") / "model"
    save_model(model, tokenizer, path)
    return path


@pytest.fixture
def options(model_path):
    return ScoreConfig(model_path=str(model_path), batch=LIMITS, runtime=RuntimeOptions())


def response_rows():
    """Two responses to each prompt, the second ones after all the first."""
    comparisons = comparison_rows(6)
    return [
        {
            "response_id": f"r{place}-{index}",
            "prompt_id": f"p{index}",
            "prompt": row["prompt"],
            "text": row["responses"][place],
            "source": "policy",
            "policy": None,
            "sampling": None,
            "created_at": "2026-01-01T00:00:00Z",
        }
        for place in range(2)
        for index, row in enumerate(comparisons)
    ]


def create(path, options, rows):
    return RunDirectory.create(
        path,
        command="rewardmodel.training.score",
        config=options_to_dict(options),
        inputs={"responses": (rows, RESPONSES)},
    )


def test_the_command_writes_every_reward_in_the_order_of_the_file(options, model_path, tmp_path):
    rows = response_rows()
    rows[2]["ended"] = False  # its sampler cut it off: no end token
    create(tmp_path / "run", options, rows)
    run(tmp_path / "run")
    scores = read_records(tmp_path / "run" / "scores.parquet", SCORES)
    assert [row["response_id"] for row in scores] == [row["response_id"] for row in rows]
    assert [row["prompt_id"] for row in scores] == [row["prompt_id"] for row in rows]
    scorer = RewardScorer.load(model_path, batch=LIMITS)
    for row, found in zip(rows, scores, strict=True):  # one by one, nothing packed
        assert found["reward"] == pytest.approx(
            scorer.score([row["prompt"]], [[row["text"]]], ended=[[row.get("ended")]])[0][0], abs=1e-5
        )
    as_if_ended = scorer.score([rows[2]["prompt"]], [[rows[2]["text"]]])[0][0]
    assert abs(scores[2]["reward"] - as_if_ended) > 1e-4
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["n"] == 12 and result["scores"] == "scores.parquet" and result["layout"] == "shared_prompt"
    assert result["mean"] == pytest.approx(sum(row["reward"] for row in scores) / 12)


def test_chunks_and_crowded_prompts_give_the_same_rewards(options, tmp_path, monkeypatch):
    found = {}
    for name, chunk, crowd in (("whole", 2048, 16), ("parts", 3, 1)):
        monkeypatch.setattr(score, "RESPONSES_PER_CHUNK", chunk)
        monkeypatch.setattr(score, "MAX_RESPONSES_PER_ROW", crowd)
        create(tmp_path / name, options, response_rows())
        score.main(RunContext.open(RunDirectory(tmp_path / name), ScoreConfig))
        found[name] = [row["reward"] for row in read_records(tmp_path / name / "scores.parquet", SCORES)]
    assert found["parts"] == pytest.approx(found["whole"], abs=1e-5)


def test_nothing_to_score_and_no_reward_model_are_refused(options, policy_path, tmp_path):
    create(tmp_path / "empty", options, [])
    with pytest.raises(UserError, match="has no rows; there is nothing to score"):
        score.main(RunContext.open(RunDirectory(tmp_path / "empty"), ScoreConfig))
    create(tmp_path / "policy", dataclasses.replace(options, model_path=str(policy_path)), response_rows())
    with pytest.raises(UserError, match="is not a reward model"):
        score.main(RunContext.open(RunDirectory(tmp_path / "policy"), ScoreConfig))
    assert not (tmp_path / "policy" / "scores.parquet").exists()
