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
