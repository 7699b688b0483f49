"""Sampling where prompts ask for different numbers of samples."""

import dataclasses

import pytest

from learning.interface.options import UserError
from learning.interface.record_files import read_records
from learning.interface.record_schemas import SAMPLED_RESPONSES
from learning.interface.training_options import ModelSource, RuntimeOptions
from policy_training.training.config import SampleConfig, SampleOptions
from policy_training.training.sampling import sample
from tests.policy_training.training.conftest import create_run, in_process, launch, prompt_rows


def test_sample_draws_what_each_prompt_asks_for_and_the_same_as_if_all_had_asked(tmp_path, policy_path):
    config = SampleConfig(
        policy=ModelSource(path=str(policy_path)),
        samples_per_prompt=2,
        sampling=SampleOptions(
            temperatures=(0.7, 1.0), batch_size=3, max_prompt_tokens=24, max_response_tokens=8
        ),
    )
    rows = prompt_rows(4)
    everything = create_run(tmp_path / "everything", "sample", config, prompts=rows)
    in_process(sample, SampleConfig, everything)
    asked = {("p0", 0.7): 2, ("p0", 1.0): 1, ("p1", 1.0): 1, ("p3", 0.7): 2}  # of p2 nothing
    draws = [
        {"prompt_id": prompt_id, "temperature": temperature, "samples": samples}
        for (prompt_id, temperature), samples in asked.items()
    ]
    run = create_run(tmp_path / "some", "sample", config, prompts=rows, draws=draws)
    in_process(sample, SampleConfig, run)
    assert (run.result()["responses"], run.result()["prompts"]) == (6, 3)
    expected = {
        row["response_id"]: row["token_ids"]
        for row in read_records(everything.path / "responses.parquet", SAMPLED_RESPONSES)
    }
    drawn = read_records(run.path / "responses.parquet", SAMPLED_RESPONSES)
    assert {row["response_id"] for row in drawn} == {
        f"{prompt_id}-t{temperature:g}-{number}"
        for (prompt_id, temperature), samples in asked.items()
        for number in range(samples)
    }
    assert all(expected[row["response_id"]] == row["token_ids"] for row in drawn)


@pytest.mark.slow
def test_sampling_on_two_processes_equals_one(tmp_path, policy_path):
    """Five shards: the second process has none of the last pair."""
    config = SampleConfig(
        policy=ModelSource(path=str(policy_path)),
        samples_per_prompt=4,
        sampling=SampleOptions(batch_size=1, max_prompt_tokens=24, max_response_tokens=8),
    )
    shared = dataclasses.replace(config, runtime=RuntimeOptions(backend="deepspeed"))
    one = create_run(tmp_path / "one", "sample", config, prompts=prompt_rows(5))
    two = create_run(tmp_path / "two", "sample", shared, prompts=prompt_rows(5))
    launch(one)
    launch(two, processes=2)
    assert len(list((two.path / "shards").glob("shard-*.parquet"))) == 5
    rows = [
        [
            row | {"created_at": None}
            for row in read_records(run.path / "responses.parquet", SAMPLED_RESPONSES)
        ]
        for run in (one, two)
    ]
    assert len(rows[0]) == 20 and rows[0] == rows[1]
    assert one.samples(1000) == two.samples(1000) != []


@pytest.mark.parametrize(
    ("draws", "said"),
    [
        ([], "no sample at all"),
        ([("p9", 1.0, 1)], "'p9' at temperature 1: is not among inputs/prompts"),
        ([("p0", 1.0, 1), ("p0", 1.0, 2)], "'p0' at temperature 1: is there twice"),
        ([("p0", 1.0, 0)], "samples is 0"),
        ([("p0", 0.0, 1)], "temperature must be a positive number"),
    ],
)
def test_draws_that_fit_no_prompt_are_refused(tmp_path, policy_path, draws, said):
    config = SampleConfig(
        policy=ModelSource(path=str(policy_path)),
        sampling=SampleOptions(max_prompt_tokens=24, max_response_tokens=8),
    )
    rows = [dict(zip(("prompt_id", "temperature", "samples"), draw, strict=True)) for draw in draws]
    run = create_run(tmp_path / "run", "sample", config, prompts=prompt_rows(2), draws=rows)
    with pytest.raises(UserError, match=said):
        in_process(sample, SampleConfig, run)
