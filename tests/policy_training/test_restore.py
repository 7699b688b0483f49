"""A backup, restored into another folder: what was trained there is trained again here, and what was begun goes on."""

import json
import shutil
import subprocess
import sys

import pytest

from tests.learning.running import ROOT, environment

pytestmark = pytest.mark.slow


def in_installation(folder, *arguments, expected=0):
    env = environment(
        ROUNDTABLE_DATA_DIR=str(folder),
        ROUNDTABLE_SECRET_KEY="x" * 40,
        ROUNDTABLE_RUN_THREADS="1",
        ROUNDTABLE_RUN_MIN_FREE_DISK_MB="0",
        ROUNDTABLE_RUN_KEEP_CHECKPOINTS="1",
        DJANGO_SETTINGS_MODULE="config.settings",
    )
    env.pop("ROUNDTABLE_DATABASE_URL", None)
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=env, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == expected, done.stdout + done.stderr[-3000:]
    return done.stdout


def test_restored_elsewhere_a_run_goes_on_bit_for_bit_and_run_again_reads_its_own_files(tmp_path):
    old, backup, new = tmp_path / "old", tmp_path / "backup", tmp_path / "new"
    old.mkdir()
    made = json.loads(
        in_installation(old, "-m", "tests.policy_training.installation", "make").splitlines()[-1]
    )
    assert [run[:3] for run in made] == [["Fine-tune first", "done", ""], ["Fine-tune second", "done", ""]]

    # A third one loses its worker, as its folder was after step 2 of 4; the whole one is kept to compare.
    half = json.loads(
        in_installation(old, "-m", "tests.policy_training.installation", "half").splitlines()[-1]
    )
    assert half[2][:2] == ["Fine-tune third", "running"]
    third = old / "runs" / half[2][3]
    uninterrupted = (third / "model" / "model.safetensors").read_bytes()
    losses = metrics(third)
    (third / "result.json").unlink()
    shutil.rmtree(third / "model")
    shutil.rmtree(next(third.glob("checkpoints/step-000004*")))
    assert [path.name[:11] for path in third.glob("checkpoints/*")] == ["step-000002"]

    in_installation(old, "manage.py", "backup", str(backup))
    in_installation(new, "manage.py", "restore", str(backup))
    # The old installation still stands, and its models are others by now: none of its files may be read.
    for weights in old.glob("runs/*/model/model.safetensors"):
        weights.write_text("not ours")

    again = json.loads(
        in_installation(new, "-m", "tests.policy_training.installation", "again").splitlines()[-1]
    )
    assert [run[:3] for run in again[2:]] == [
        ["Fine-tune third", "done", ""],
        ["Fine-tune second (again)", "done", ""],
    ]
    resumed = new / "runs" / half[2][3]
    assert "resumed from step-000002" in (resumed / "log.txt").read_text()
    assert (resumed / "model" / "model.safetensors").read_bytes() == uninterrupted
    assert metrics(resumed) == losses
    # Kept relative, so that the checkpoint's configuration is the same wherever the folder lies.
    for run in (again[2], again[3]):
        config = json.loads((new / "runs" / run[3] / "config.json").read_text())
        assert config["options"]["model"]["source"]["path"] == f"runs/{made[0][3]}/model"

    said = in_installation(new, "manage.py", "reconcile")
    assert "Every file that the database names is there: 4 artifacts, 4 results and 0 datasets" in said
    shutil.rmtree(new / "runs")
    said = in_installation(new, "manage.py", "reconcile", expected=1)
    assert said.count("nothing is there") == said.count("its folder runs/") == 4


def metrics(run):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [(row["step"], row["loss"]) for row in rows if "loss" in row]
