"""A backup, the installation wiped, restored into another folder: what was trained there is trained again here."""

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from tests.learning.running import ROOT, environment

pytestmark = pytest.mark.slow


def in_installation(folder, *arguments, expected=0):
    env = environment(
        ROUNDTABLE_DATA_DIR=str(folder),
        ROUNDTABLE_SECRET_KEY="x" * 40,
        ROUNDTABLE_RUN_THREADS="1",
        ROUNDTABLE_RUN_MIN_FREE_DISK_MB="0",
        DJANGO_SETTINGS_MODULE="config.settings",
    )
    env.pop("ROUNDTABLE_DATABASE_URL", None)
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=env, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == expected, done.stdout + done.stderr[-3000:]
    return done.stdout


def test_run_again_after_a_restore_into_another_folder_reads_its_own_files(tmp_path):
    old, backup, new = tmp_path / "old", tmp_path / "backup", tmp_path / "new"
    old.mkdir()
    made = json.loads(
        in_installation(old, "-m", "tests.policy_training.installation", "make").splitlines()[-1]
    )
    assert [run[:3] for run in made] == [["Fine-tune first", "done", ""], ["Fine-tune second", "done", ""]]

    shutil.copytree(old, backup, ignore=shutil.ignore_patterns("roundtable.sqlite3*"))
    with (
        closing(sqlite3.connect(old / "roundtable.sqlite3")) as source,
        closing(sqlite3.connect(backup / "roundtable.sqlite3")) as target,
    ):
        source.backup(target)
    shutil.rmtree(old)
    shutil.copytree(backup, new)
    # Somebody else's installation stands where the old one was: none of its files may be read.
    stranger = old / "runs" / made[0][3] / "model"
    stranger.mkdir(parents=True)
    (stranger / "config.json").write_text("not ours")

    again = json.loads(
        in_installation(new, "-m", "tests.policy_training.installation", "again").splitlines()[-1]
    )
    assert [run[:3] for run in again[2:]] == [["Fine-tune second (again)", "done", ""]]
    config = json.loads((new / "runs" / again[2][3] / "config.json").read_text())
    assert config["options"]["model"]["source"]["path"] == str(new / "runs" / made[0][3] / "model")

    said = in_installation(new, "manage.py", "reconcile")
    assert "Every file that the database names is there: 3 artifacts, 3 results and 0 datasets" in said
    shutil.rmtree(new / "runs")
    said = in_installation(new, "manage.py", "reconcile", expected=1)
    assert said.count("nothing is there") == said.count("its folder runs/") == 3
