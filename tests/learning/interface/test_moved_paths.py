import json

from learning.interface.moved_paths import follow_moved_paths


def test_a_path_that_is_gone_is_looked_for_around_the_run_directory(tmp_path):
    new = tmp_path / "new"
    for folder in ("runs/a/model", "runs/b", "models/base", "model"):
        (new / folder).mkdir(parents=True)
    there = tmp_path / "imported"
    there.mkdir()
    config = {
        "policy": {"source": {"path": "/old/data/runs/a/model"}, "name": "/old/data/runs/a/model"},
        "reference": {"path": str(there)},
        "reward_model_path": "/old/data/models/base",
        "others": [{"path": "/old/data/runs/gone/critic"}, {"path": None}],
    }
    assert follow_moved_paths(config, new / "runs" / "b") == {
        "policy": {"source": {"path": str(new / "runs/a/model")}, "name": "/old/data/runs/a/model"},
        "reference": {"path": str(there)},
        "reward_model_path": str(new / "models/base"),
        "others": [{"path": "/old/data/runs/gone/critic"}, {"path": None}],
    }


def test_nothing_is_looked_for_where_every_path_is_there(tmp_path):
    (tmp_path / "runs" / "a").mkdir(parents=True)
    assert follow_moved_paths({"path": str(tmp_path), "size": 3}, tmp_path / "runs" / "a") is None


def test_relative_paths_are_those_of_the_run_directorys_own_data_folder(tmp_path):
    (tmp_path / "data" / "runs" / "b").mkdir(parents=True)
    found = follow_moved_paths({"path": "runs/a/model", "hub_id": "runs/a"}, tmp_path / "data" / "runs" / "b")
    # Also where nothing is: it is missing there, and not in some working directory.
    assert found == {"path": str(tmp_path / "data/runs/a/model"), "hub_id": "runs/a"}
    by_hand = tmp_path / "here"
    by_hand.mkdir()
    assert follow_moved_paths({"path": "runs/a/model"}, by_hand) is None


def test_after_a_restore_the_own_files_are_read_although_the_old_ones_are_still_there(tmp_path):
    old, new, elsewhere = tmp_path / "old", tmp_path / "new", tmp_path / "elsewhere"
    for folder in (
        old / "runs/a/model",
        new / "runs/a/model",
        new / "models/base-3",
        elsewhere / "base",
        old / "x",
    ):
        folder.mkdir(parents=True)
    config = {
        "path": str(old / "runs/a/model"),
        "base_path": str(elsewhere / "base"),
        "other_path": str(old / "x"),
    }
    assert follow_moved_paths(config, new / "runs" / "b") is None
    (new / "former_places.json").write_text(
        json.dumps({str(old): "", str(elsewhere / "base"): "models/base-3"})
    )
    assert follow_moved_paths(config, new / "runs" / "b") == {
        "path": str(new / "runs/a/model"),
        "base_path": str(new / "models/base-3"),
        "other_path": str(old / "x"),
    }
