import fcntl
import json
import os
import shutil
from dataclasses import dataclass

import pytest

from learning.interface.options import UserError
from learning.interface.record_schemas import SCORES
from learning.interface.run_directory import (
    SCHEMA_VERSION,
    RunDirectory,
    StaleFence,
)
from learning.run_context import RunContext, RunDirectoryBusy

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


def write_config(run, **changes):
    envelope = json.loads((run.path / "config.json").read_text())
    (run.path / "config.json").write_text(json.dumps({**envelope, **changes}))


def test_an_attempt_writes_what_the_site_reads(run):
    context = RunContext.open(run, Options)
    assert context.options == Options(size=3)
    assert context.read_input("scores", SCORES) == ROWS
    assert run.status().outcome == "running"
    assert run.status().pid == os.getpid()
    context.log_metrics(1, {"loss": 0.5, "bad": float("nan")})
    rows, offset = run.metrics()
    assert rows == [{"step": 1, "loss": 0.5, "bad": "nan"}]
    context.log_metrics(2, {"loss": 0.25})
    assert run.metrics(offset)[0] == [{"step": 2, "loss": 0.25}]
    context.log_sample(2, prompt="Hi\x00\ud800", response="Hello")
    assert run.samples() == [{"step": 2, "prompt": "Hi\ufffd?", "response": "Hello"}]
    context.set_status(stage="training", step=1, steps_total=10)
    assert run.status().eta_seconds is None
    context.set_status(step=2)
    status = run.status()
    assert (status.stage, status.step, status.steps_total) == ("training", 2, 10)
    assert status.eta_seconds >= 0
    context.finish({"accuracy": 0.75})
    assert run.result() == {"accuracy": 0.75}
    assert run.status().outcome == "done"


def test_the_eta_follows_the_pace_of_this_stage_and_attempt(run, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("learning.run_context.time.monotonic", lambda: now[0])
    context = RunContext.open(run, Options)
    context.set_status(stage="training", step=50, steps_total=100)  # resumed at step 50
    now[0] += 4
    context.set_status(step=52)
    assert run.status().eta_seconds == pytest.approx(96.0)
    context.set_status(stage="evaluating")
    assert run.status().steps_total is None and run.status().eta_seconds is None


def test_check_refreshes_the_heartbeat(run, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("learning.run_context.time.monotonic", lambda: now[0])
    context = RunContext.open(run, Options)
    first = run.status().heartbeat
    context.require_current()
    assert run.status().heartbeat == first
    now[0] += 3
    context.require_current()
    assert run.status().heartbeat > first


def test_an_unterminated_last_line_is_left_and_truncated_by_the_next_attempt(run):
    context = RunContext.open(run, Options)
    context.log_metrics(1, {"loss": 0.5})
    offset = context.log_offsets()
    context.release()
    with open(run.path / "metrics.jsonl", "ab") as file:
        file.write(b'{"step": 2, "lo')
    rows, end = run.metrics()
    assert [row["step"] for row in rows] == [1]
    assert run.metrics(end) == ([], end)
    context = RunContext.open(run, Options)
    context.truncate_logs(offset)
    context.log_metrics(2, {"loss": 0.25})
    assert [row["step"] for row in run.metrics(end)[0]] == [2]
    assert [row["step"] for row in run.metrics()[0]] == [1, 2]
    context.release()
    RunContext.open(run, Options).log_metrics(1, {"loss": 0.5})  # no checkpoint: from the start
    assert [row["step"] for row in run.metrics()[0]] == [1]


def test_samples_of_evaluations_have_a_file_of_their_own_cut_back_as_the_others_are(run):
    path = run.path / "evaluation_samples.jsonl"
    context = RunContext.open(run, Options)
    context.log_evaluation_sample(0, prompt="Why?", response="So.")
    context.log_sample(1, prompt="Of the training", response="x")
    offsets = context.log_offsets()
    kept = path.read_bytes()
    assert json.loads(kept) == {"step": 0, "prompt": "Why?", "response": "So."} == run.samples()[0]
    assert offsets["evaluation_samples.jsonl"] == len(kept) and len(run.samples()) == 2
    context.log_evaluation_sample(2, prompt="Why?", response="Lost.")
    context.release()
    context = RunContext.open(run, Options)
    context.truncate_logs(offsets)
    context.log_evaluation_sample(2, prompt="Why?", response="Then.")
    again = path.read_bytes()
    assert again.startswith(kept) and json.loads(again[len(kept) :])["response"] == "Then."


def test_a_run_with_a_checkpoint_from_before_that_file_goes_on_without_it(run):
    """What it answered before stands in samples.jsonl alone, so the file would begin in the middle."""
    context = RunContext.open(run, Options)
    context.truncate_logs({"metrics.jsonl": 0, "samples.jsonl": 0})
    context.log_evaluation_sample(2, prompt="Why?", response="So.")
    assert context.log_offsets().keys() == {"metrics.jsonl", "samples.jsonl"}
    assert len(run.samples()) == 1 and not (run.path / "evaluation_samples.jsonl").exists()


def test_metrics_shorter_than_the_checkpoint_says_are_refused(run):
    context = RunContext.open(run, Options)
    context.truncate_logs({"metrics.jsonl": 500, "samples.jsonl": 0})
    with pytest.raises(UserError, match="shorter than the checkpoint says"):
        context.log_metrics(1, {})


def test_two_attempts_on_one_folder_are_refused_by_the_lock(run):
    context = RunContext.open(run, Options)
    before = run.status()
    with pytest.raises(RunDirectoryBusy, match="another process is working"):
        RunContext.open(run, Options)
    assert run.status() == before
    context.release()
    RunContext.open(run, Options).release()


def test_a_fenced_attempt_waits_for_its_predecessor_to_leave(run, monkeypatch):
    run.write_fence(1)
    monkeypatch.setenv("ROUNDTABLE_FENCE", "1")
    first = RunContext.open(run, Options)
    run.write_fence(2)
    monkeypatch.setenv("ROUNDTABLE_FENCE", "2")
    with pytest.raises(RunDirectoryBusy):
        RunContext.open(run, Options, fence_wait_seconds=0.3)
    real_flock = fcntl.flock

    def leave_then_flock(lock, flags):
        with pytest.raises(StaleFence):
            first.require_current()
        first.release()
        real_flock(lock, flags)

    monkeypatch.setattr("learning.run_context.fcntl.flock", leave_then_flock)
    second = RunContext.open(run, Options, fence_wait_seconds=5)
    assert second.fence == 2
    assert run.status().fence == 2


def test_a_stale_attempt_writes_nothing_any_more(run, monkeypatch):
    run.write_fence(1)
    monkeypatch.setenv("ROUNDTABLE_FENCE", "1")
    context = RunContext.open(run, Options)
    context.log_metrics(1, {"loss": 0.5})
    run.write_fence(2)
    before = {path.name: path.read_bytes() for path in run.path.iterdir() if path.is_file()}
    for write in (
        context.require_current,
        lambda: context.log_metrics(2, {}),
        lambda: context.log_sample(2, text="x"),
        lambda: context.set_status(stage="y"),
        lambda: context.finish({}),
    ):
        with pytest.raises(StaleFence, match="attempt 1 was overtaken by attempt 2"):
            write()
    context.close("failed", "late")
    after = {path.name: path.read_bytes() for path in run.path.iterdir() if path.is_file()}
    assert after == before


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "not readable as JSON"),
        ('{"schema_version": 1}', "expected exactly the keys"),
        (None, "made by another version"),
    ],
)
def test_a_configuration_that_cannot_be_read_is_told_in_the_status_too(run, text, sentence):
    path = run.path / "config.json"
    if text is None:
        text = json.dumps({**json.loads(path.read_text()), "schema_version": 99})
    path.write_text(text)
    with pytest.raises(UserError, match=sentence):
        RunContext.open(run, Options)
    assert run.status().outcome == "user_error" and sentence in run.status().reason


def test_a_run_of_an_earlier_version_is_refused_in_one_sentence_and_not_by_its_old_keys(run):
    config = json.loads((run.path / "config.json").read_text())
    old = {**config, "schema_version": 1, "options": {"a_key_of_then": 4}}
    (run.path / "config.json").write_text(json.dumps(old))
    with pytest.raises(UserError) as caught:
        RunContext.open(run, Options)
    assert str(caught.value) == (
        f"{run.path}/config.json: this run was made by an earlier version of the program (schema_version 1, "
        f"not {SCHEMA_VERSION}); clone the run or start a new one"
    )
    assert run.status().outcome == "user_error" and run.status().reason == str(caught.value)


def test_a_run_directory_of_another_command_is_refused(run):
    with pytest.raises(UserError, match=f"made for {run.command()}; run that, not learning.other"):
        RunContext.open(run, Options, command="learning.other")
    assert run.status().outcome == "user_error"
    RunContext.open(run, Options, command=run.command()).release()


def test_an_attempt_with_an_old_or_strange_fence_does_not_begin(run, monkeypatch):
    run.write_fence(4)
    monkeypatch.setenv("ROUNDTABLE_FENCE", "3")
    with pytest.raises(StaleFence):
        RunContext.open(run, Options)
    monkeypatch.setenv("ROUNDTABLE_FENCE", "four")
    with pytest.raises(UserError, match="ROUNDTABLE_FENCE: expected a whole number"):
        RunContext.open(run, Options)
    assert run.status() is None
    monkeypatch.delenv("ROUNDTABLE_FENCE")
    assert RunContext.open(run, Options).fence == 4  # by hand: whatever the folder says


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"options": {"size": 3, "sise": 4}}, "config.sise: unknown option"),
        ({"options": {}}, "config.size: missing"),
        ({"schema_version": 99}, "made by another version of the program \\(schema_version 99"),
        ({"extra": 1}, "expected exactly the keys"),
    ],
)
def test_a_bad_configuration_is_the_users_mistake_and_says_so_in_the_status(run, changes, expected):
    RunContext.open(run, Options).release()
    (run.path / "status.json").unlink()
    write_config(run, **changes)
    with pytest.raises(UserError, match=expected):
        RunContext.open(run, Options)
    if "options" in changes:
        assert run.status().outcome == "user_error"
        assert expected in run.status().reason


def test_folders_that_are_no_run_directories_are_refused(tmp_path):
    with pytest.raises(UserError, match="no such run directory"):
        RunContext.open(RunDirectory(tmp_path / "none"), Options)
    with pytest.raises(UserError, match="not a run directory"):
        RunContext.open(RunDirectory(tmp_path), Options)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match="damaged"):
        RunContext.open(RunDirectory(tmp_path), Options)


def test_a_changed_input_is_refused(run):
    with open(run.path / "inputs" / "scores.parquet", "ab") as file:
        file.write(b"x")
    with pytest.raises(UserError, match="not what the manifest says"):
        RunContext.open(run, Options).read_input("scores", SCORES)


def begin_in(run, environment):
    context = RunContext.open(run, Options, describe_environment=lambda options: environment)
    context.release()


def test_the_environment_is_recorded_at_the_first_start_and_never_edited_afterwards(run):
    one = {"packages": {"torch": "2"}, "threads": 1, "code_version": "a"}
    begin_in(run, one)
    assert run.environment() == one
    before = (run.path / "config.json").read_bytes()
    (run.path / "checkpoints" / "step-000002.f0").mkdir(parents=True)
    (run.path / "checkpoints" / "step-000002.f0" / "complete.json").write_text("{}")
    begin_in(run, one)
    with pytest.raises(UserError, match=r"threads 1 \(now 2\).*clone this run"):
        begin_in(run, {**one, "threads": 2})
    with pytest.raises(UserError, match=r"torch 2 \(now 3\).*clone this run"):
        begin_in(run, {**one, "packages": {"torch": "3"}})
    assert (run.path / "config.json").read_bytes() == before
    assert run.status().outcome == "user_error"


def test_code_that_changed_between_two_attempts_is_recorded_and_said(run):
    one = {"packages": {"torch": "2"}, "threads": 1, "code_version": "a"}
    begin_in(run, one)
    assert list(run.status().notes) == []
    (run.path / "checkpoints" / "step-000002.f0").mkdir(parents=True)
    (run.path / "checkpoints" / "step-000002.f0" / "complete.json").write_text("{}")
    begin_in(run, one)
    assert list(run.status().notes) == [] and run.environment() == one
    said = ()
    for version, versions in (("b", ["b"]), ("b", ["b"]), ("a", ["b", "a"])):
        present = {**one, "code_version": version}
        context = RunContext.open(run, Options, describe_environment=lambda _, present=present: present)
        assert run.environment() == {**one, "later_code_versions": versions}
        (said,) = run.status().notes
        context.set_status(notes=["2 rows were cut."])
        assert list(run.status().notes) == [said, "2 rows were cut."], "what a recipe notes stands beside it"
        context.release()
    assert said.startswith("Begun with the program a and gone on with b, then a:")
    # Without its checkpoints it begins anew, all of it with one program.
    shutil.rmtree(run.path / "checkpoints")
    begin_in(run, {**one, "code_version": "c"})
    assert run.environment() == {**one, "code_version": "c"} and list(run.status().notes) == []


def test_a_run_without_checkpoints_starts_anew_elsewhere(run):
    begin_in(run, {"threads": 1})
    begin_in(run, {"threads": 2})
    assert run.environment() == {"threads": 2}


def test_only_rank_0_locks_and_writes_but_any_rank_reports_a_failure(run, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    main = RunContext.open(run, Options)
    monkeypatch.setenv("RANK", "1")
    other = RunContext.open(run, Options)
    assert (main.is_main, other.is_main, other.world_size) == (True, False, 2)
    other.log_metrics(1, {"loss": 1.0})
    other.set_status(stage="x")
    assert run.metrics()[0] == [] and run.status().stage == ""
    other.close("failed", "the true reason")
    main.close("failed", "connection closed by peer")
    assert run.status().reason == "the true reason"


def test_attempts_know_their_options_by_type(run):
    context: RunContext[Options] = RunContext.open(run, Options)
    assert context.options.size == 3


@dataclass(frozen=True, kw_only=True)
class OptionsWithModel:
    model_path: str


def test_a_run_directory_moved_with_its_models_reads_them_where_they_are_now(tmp_path):
    """What its checkpoints are bound to stays what was asked: it resumes."""
    old, new = tmp_path / "old", tmp_path / "new"
    (old / "runs" / "a" / "model").mkdir(parents=True)
    asked = OptionsWithModel(model_path=str(old / "runs" / "a" / "model"))
    RunDirectory.create(old / "runs" / "b", command="x", config=asked)
    old.rename(new)
    context = RunContext.open(RunDirectory(new / "runs" / "b"), OptionsWithModel)
    assert context.options == OptionsWithModel(model_path=str(new / "runs" / "a" / "model"))
    assert context.options_as_asked == asked
    context.close("done", "")
