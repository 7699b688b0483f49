from pathlib import Path

import pytest

from runs.actions import clone_run
from runs.paths import replace_paths, with_relative_paths

CONFIG = {
    "policy": {"source": {"path": "{root}/runs/a/model"}},
    "reward_model_path": "{root}/models/liked",
    "imported": {"path": "/elsewhere/base"},
    "hub": {"hub_id": "runs/a", "path": None},
    "notes": "{root}/runs/a/model",
}


def filled(value, root):
    if isinstance(value, dict):
        return {key: filled(item, root) for key, item in value.items()}
    return value.replace("{root}", str(root)) if isinstance(value, str) else value


def test_paths_inside_data_dir_are_kept_relative_and_read_from_where_it_is_now(settings, tmp_path):
    settings.DATA_DIR = old = tmp_path / "old"
    kept = with_relative_paths(filled(CONFIG, old))
    assert kept["policy"]["source"]["path"] == "runs/a/model"
    assert kept["reward_model_path"] == "models/liked"
    assert kept["imported"]["path"] == "/elsewhere/base"
    assert kept["notes"] == f"{old}/runs/a/model", "only options that are paths"
    assert with_relative_paths(kept) == kept


def test_a_folder_that_was_brought_in_is_named_by_its_new_place():
    config = {
        "policy": {"path": "/elsewhere/base"},
        "reference_path": "/elsewhere/base/a",
        "notes": "/elsewhere/base",
    }
    assert replace_paths(config, {"/elsewhere/base": "models/base-3"}) == {
        "policy": {"path": "models/base-3"},
        "reference_path": "models/base-3/a",
        "notes": "/elsewhere/base",
    }
    assert replace_paths({"path": "/elsewhere/based"}, {"/elsewhere/base": "x"}) == {
        "path": "/elsewhere/based"
    }


def test_a_path_as_typed_is_that_of_the_folder_it_names_now(settings, tmp_path, monkeypatch):
    settings.DATA_DIR = tmp_path / "data"
    (tmp_path / "base").mkdir()
    monkeypatch.chdir(tmp_path)
    assert with_relative_paths({"path": "base"}) == {"path": str(tmp_path / "base")}


@pytest.mark.db
@pytest.mark.django_db
def test_a_run_keeps_no_path_of_its_data_dir(queue_counting, max_, settings):
    run = queue_counting()
    other = Path(settings.DATA_DIR) / "runs" / "x" / "model"
    clone = clone_run(actor=max_, run=run, config={**run.config, "model_path": str(other)})
    clone.refresh_from_db()
    assert clone.config["model_path"] == "runs/x/model"
