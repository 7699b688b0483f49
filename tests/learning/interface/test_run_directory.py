from dataclasses import dataclass
from pathlib import Path

import pytest

from learning.interface.former_commands import MOVED
from learning.interface.options import UserError
from learning.interface.record_files import read_records, write_records
from learning.interface.record_schemas import SCORES
from learning.interface.run_directory import (
    RunDirectory,
    StaleFence,
    Status,
)
from learning.run_context import RunContext

ROWS = [{"response_id": "r", "prompt_id": "p", "reward": 1.5}]


@dataclass(frozen=True, kw_only=True)
class Options:
    size: int
    name: str = "x"


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch):
    for name in ("ROUNDTABLE_FENCE", "RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run(tmp_path):
    return RunDirectory.create(
        tmp_path / "run",
        command="a.b",
        config=Options(size=3),
        inputs={"scores": (ROWS, SCORES)},
        provenance={"scores": "run 7"},
    )


def test_a_created_directory_holds_config_inputs_and_manifest(run):
    assert run.command() == "a.b"
    assert run.config() == {"size": 3, "name": "x"}
    assert run.environment() is None
    assert run.status() is None and run.result() is None
    assert run.metrics() == ([], 0) and run.samples() == [] and run.log_tail() == ""
    assert run.manifest()["scores"] | {"sha256": ""} == {
        "file": "scores.parquet",
        "sha256": "",
        "rows": 1,
        "source": "run 7",
    }
    assert read_records(run.input_path("scores"), SCORES) == ROWS
    with pytest.raises(UserError, match="the input 'prompts' is missing; found scores"):
        run.input_path("prompts")


def test_files_are_copied_as_inputs(tmp_path):
    write_records(tmp_path / "s.parquet", ROWS, SCORES)
    run = RunDirectory.create(
        tmp_path / "run", command="a.b", config={}, inputs={"old_scores": tmp_path / "s.parquet"}
    )
    assert run.input_path("old_scores").read_bytes() == (tmp_path / "s.parquet").read_bytes()
    assert run.manifest()["old_scores"]["rows"] == 1
    with pytest.raises(UserError, match="no such file"):
        RunDirectory.create(tmp_path / "other", command="a.b", config={}, inputs={"x": tmp_path / "none"})


def test_a_directory_appears_whole_or_not_at_all(tmp_path, run):
    with pytest.raises(UserError, match="exists already"):
        RunDirectory.create(run.path, command="a.b", config={})
    with pytest.raises(UserError, match="column 'reward'"):
        RunDirectory.create(
            tmp_path / "bad",
            command="a",
            config={},
            inputs={"scores": ([{**ROWS[0], "reward": "x"}], SCORES)},
        )
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_readers_start_over_when_a_resume_truncated_below_them(run):
    context = RunContext.open(run, Options)
    for step in range(1, 30):
        context.log_metrics(step, {"loss": 1 / step})
    _, offset = run.metrics()
    context.release()
    context = RunContext.open(run, Options)
    for step in range(1, 4):
        context.log_metrics(step, {"loss": 0.5})
    rows, _ = run.metrics(offset)
    assert [row["step"] for row in rows] == [1, 2, 3]
    rows, _ = run.metrics(7)  # an offset inside a line
    assert [row["step"] for row in rows] == [1, 2, 3]


def test_a_damaged_line_is_named(run):
    (run.path / "metrics.jsonl").write_bytes(b'{"step": 1}\n\x00\x00\n')
    with pytest.raises(UserError, match="line 2 after byte 0 is damaged"):
        run.metrics()


@pytest.mark.parametrize("manifest", ["[]", "{}", '{"files": {"prompts": {}}}'])
def test_a_manifest_written_by_hand_is_refused_with_what_it_should_be(run, manifest):
    (run.path / "inputs" / "manifest.json").write_text(manifest)
    with pytest.raises(UserError, match="manifest.json: expected"):
        run.has_input("prompts")


def test_a_fence_is_never_lowered_and_a_damaged_one_is_mended(run):
    run.write_fence(6)
    with pytest.raises(StaleFence, match="attempt 5 was overtaken by attempt 6"):
        run.write_fence(5)
    assert run.read_fence() == 6
    (run.path / "fence").write_text("si")
    run.write_fence(7)
    assert run.read_fence() == 7


def test_the_log_tail_is_the_last_lines_and_safe_to_show(run):
    (run.path / "log.txt").write_bytes(b"".join(b"line %d\n" % n for n in range(100_000)) + b"\xff\x00")
    assert run.log_tail(3) == "line 99998\nline 99999\n\ufffd\ufffd"


def test_status_of_a_newer_program_is_read_as_far_as_it_is_known(run):
    (run.path / "status.json").write_text('{"outcome": "running", "mood": "fine"}')
    assert run.status() == Status(outcome="running")


def test_a_run_of_before_a_module_moved_goes_on_under_its_name_of_now(tmp_path):
    root = Path(__file__).resolve().parents[3]
    for before, now in MOVED.items():
        assert (root / now.replace(".", "/")).with_suffix(".py").is_file()
        assert not (root / before.replace(".", "/")).with_suffix(".py").exists()
    run = RunDirectory.create(tmp_path / "run", command="policy_training.training.ppo", config={})
    assert run.command() == "policy_training.training.ppo.recipe"
    other = RunDirectory.create(tmp_path / "other", command="rewardmodel.training.train", config={})
    assert other.command() == "rewardmodel.training.train"
