import json
import logging
import resource
import signal
import subprocess
import sys

import pytest

from learning.interface.run_directory import RunDirectory
from learning.recipe_runner import run_recipe
from learning.run_context import RunContext
from tests.learning.running import MODULE, ROOT, create, environment, launch, small_config
from tests.learning.small_recipe import SmallOptions, main


@pytest.fixture
def command(capsys, monkeypatch):
    """run_recipe in this process, with what it changes there put back."""
    for name in ("ROUNDTABLE_FENCE", "RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    handlers, level = logging.root.handlers[:], logging.root.level
    signals = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def run(*argv, work=main):
        with pytest.raises(SystemExit) as ended:
            run_recipe(work, SmallOptions, [str(argument) for argument in argv])
        return ended.value.code, capsys.readouterr().err

    yield run
    logging.root.handlers[:], logging.root.level = handlers, level
    for number, handler in signals.items():
        signal.signal(number, handler)


def last_line(text):
    return text.strip().splitlines()[-1]


def test_a_good_run_ends_with_0_a_result_and_a_log_and_is_not_run_twice(tmp_path, command):
    run = create(tmp_path / "run", steps=2)
    code, _ = command(run.path)
    assert code == 0
    assert run.result()["loss"] > 0
    assert run.status().outcome == "done"
    assert run.log_tail().endswith("done")
    assert run.environment()["packages"]["torch"]
    before = (run.path / "result.json").stat()
    code, stderr = command(run.path)
    assert (code, last_line(stderr)) == (0, f"{run.path}: this run is done already")
    assert (run.path / "result.json").stat() == before


@pytest.mark.parametrize("argv", [(), ("a", "b")])
def test_a_wrong_number_of_arguments_is_one_sentence_and_exit_2(command, argv):
    code, stderr = command(*argv)
    assert (code, len(stderr.strip().splitlines())) == (2, 1)


def test_a_users_mistake_is_one_sentence_in_stderr_and_status_and_exit_2(tmp_path, command):
    run = create(tmp_path / "run", fail="user")
    code, stderr = command(run.path)
    assert (code, last_line(stderr)) == (2, "the salt is missing: add salt")
    assert (run.status().outcome, run.status().reason) == ("user_error", "the salt is missing: add salt")
    assert run.result() is None


def test_an_unknown_config_key_is_exit_2_and_names_the_key(tmp_path, command):
    run = create(tmp_path / "run", stepps=3)
    code, stderr = command(run.path)
    assert code == 2
    assert last_line(stderr).startswith("config.stepps: unknown option with value 3")
    assert run.status().outcome == "user_error"
    assert "did you mean steps?" in run.status().reason


def test_a_crash_leaves_a_traceback_in_the_log_and_a_reason_in_the_status(tmp_path, command):
    run = create(tmp_path / "run", fail="crash")
    code, stderr = command(run.path)
    assert (code, last_line(stderr)) == (1, "ZeroDivisionError: one by")
    assert (run.status().outcome, run.status().reason) == ("failed", "ZeroDivisionError: one by")
    assert "Traceback" in run.log_tail()


def test_a_stale_attempt_leaves_with_3_and_touches_nothing(tmp_path, command, monkeypatch):
    run = create(tmp_path / "run")
    run.write_fence(2)
    monkeypatch.setenv("ROUNDTABLE_FENCE", "1")
    assert command(run.path)[0] == 3
    assert run.status() is None
    monkeypatch.setenv("ROUNDTABLE_FENCE", "2")

    def overtaken(context):
        run.write_fence(3)
        context.require_current()

    code, stderr = command(run.path, work=overtaken)
    assert (code, "overtaken by attempt 3" in stderr) == (3, True)
    assert run.status().outcome == "running"  # the next attempt's to change


def test_a_second_process_on_the_folder_is_refused_and_changes_nothing(tmp_path, command):
    run = create(tmp_path / "run")
    holder = RunContext.open(run, SmallOptions)
    before = run.status()
    code, stderr = command(run.path)
    assert (code, "another process is working" in stderr) == (2, True)
    assert run.status() == before
    holder.release()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(28, "No space left on device", "/x/y"), "no room left on the disk while writing /x/y"),
        (RuntimeError("Error while serializing: I/O error: x (os error 28)"), "no room left on the disk"),
        (MemoryError(), "not enough memory; lower max_micro_batch_tokens"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "not enough memory"),
        (
            PermissionError(13, "Permission denied", "/x"),
            "PermissionError: [Errno 13] Permission denied: '/x'",
        ),
        (KeyboardInterrupt(), "interrupted before a checkpoint"),
    ],
)
def test_the_reason_says_what_happened_and_what_to_do(tmp_path, command, error, expected):
    run = create(tmp_path / "run")

    def fail(context):
        raise error

    code, stderr = command(run.path, work=fail)
    assert code == 1
    assert expected in run.status().reason
    assert expected in last_line(stderr)


def test_unreadable_inputs_are_a_users_mistake(tmp_path, command):
    from learning.interface.record_schemas import SCORES

    rows = [{"response_id": "r", "prompt_id": "p", "reward": 1.0}]
    run = RunDirectory.create(
        tmp_path / "run", command=MODULE, config=small_config(), inputs={"scores": (rows, SCORES)}
    )
    (run.path / "inputs" / "scores.parquet").unlink()

    def read(context):
        context.read_input("scores", SCORES)

    code, stderr = command(run.path, work=read)
    assert (code, "the input 'scores' cannot be read (No such file" in last_line(stderr)) == (2, True)


def test_a_full_disk_is_a_clear_sentence_and_the_run_goes_on_when_there_is_room(tmp_path):
    """A limit on file sizes stands for the disk: the checkpoint does not fit, small files do."""
    run = create(tmp_path / "run", steps=3)
    done = subprocess.run(
        [sys.executable, "-m", MODULE, str(run.path)],
        cwd=ROOT,
        env=environment(PYTHONDONTWRITEBYTECODE="1"),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000)),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 1, done.stderr
    assert "no room left on the disk" in last_line(done.stderr)
    assert run.status().outcome == "failed"
    assert "no room left on the disk" in run.status().reason
    assert [path.name for path in (run.path / "checkpoints").iterdir()] == []  # nothing half-written
    launch(run)
    assert [row["step"] for row in run.metrics()[0]] == [1, 2, 3]
    assert run.status().outcome == "done"


def test_the_status_is_written_even_when_no_new_file_fits(tmp_path, monkeypatch):
    run = create(tmp_path / "run")
    context = RunContext.open(run, SmallOptions)
    context.set_status(stage="training", reason="a reason that leaves some room in the old file")

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("learning.run_context.write_json_atomically", full)
    context.close("failed", "there is no room left on the disk " + "x" * 500)
    status = run.status()
    assert status.outcome == "failed"
    assert status.reason.startswith("there is no room left on the disk")
    assert json.loads((run.path / "status.json").read_text())["stage"] == "training"
