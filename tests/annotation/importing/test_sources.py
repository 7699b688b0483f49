import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from annotation.importing.report import ImportRefused
from annotation.importing.rows import describe_line, locate, row_number
from annotation.importing.sources import find_split, open_source


def write(path, *rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(data) if path.name.endswith(".gz") else data)
    return path


def save(folder, *rows):
    """As `Dataset.save_to_disk` writes it."""
    folder.mkdir(parents=True)
    table = pa.Table.from_pylist(list(rows))
    half = len(rows) // 2
    names = ["data-00000-of-00002.arrow", "data-00001-of-00002.arrow"]
    for name, part in zip(names, (table[:half], table[half:]), strict=True):
        with pa.ipc.new_stream(folder / name, table.schema) as stream:
            stream.write_table(part)
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name} for name in names]}))
    (folder / "dataset_info.json").write_text("{}")


def test_several_files_are_one_sequence_whose_rows_know_their_file(tmp_path):
    one, two = write(tmp_path / "a.jsonl", {"n": 1}, {"n": 2}), write(tmp_path / "b.jsonl.gz", {"n": 3})
    source = open_source([one, two])
    assert source.name == "a.jsonl and 1 more"
    assert [(locate(number), row) for number, row in source.rows()] == [
        ((0, 1), {"n": 1}),
        ((0, 2), {"n": 2}),
        ((1, 1), {"n": 3}),
    ]
    # A single file's rows have the numbers of its lines.
    assert list(open_source(one).rows()) == [(1, {"n": 1}), (2, {"n": 2})]
    assert describe_line(row_number(0, 2), seen_from=row_number(0, 9)) == "line 2"
    assert describe_line(row_number(0, 2), seen_from=row_number(1, 9)) == "line 2 of file 1"


def test_a_file_that_is_named_twice_is_refused(tmp_path):
    path = write(tmp_path / "set" / "a.jsonl", {"n": 1})
    for paths in (
        [path, path],
        [tmp_path / "set", path],
        [path, tmp_path / "set" / ".." / "set" / "a.jsonl"],
    ):
        with pytest.raises(ImportRefused, match="a.jsonl is named twice: name it once."):
            open_source(paths)


def test_a_folder_is_its_data_files_in_order_and_nothing_else(tmp_path):
    folder = tmp_path / "set"
    write(folder / "data" / "b.jsonl", {"n": 3})
    write(folder / "data" / "a.json", {"n": 2})
    pq.write_table(pa.table({"n": [1]}), folder / "0.parquet")
    for name in (
        "README.md",
        "LICENSE",
        "manifest.json",
        ".gitattributes",
        ".cache/x.bin",
        "dataset_infos.json",
    ):
        write(folder / name, {"n": 99})
    source = open_source(folder)
    assert [row["n"] for _, row in source.rows()] == [1, 2, 3]
    assert [file.name for file in source.files] == ["set/0.parquet", "set/data/a.json", "set/data/b.jsonl"]
    assert source.name == "set"


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a.jsonl", "b.jsonl.zst"], "set/b.jsonl.zst in the folder .* is no file that is read"),
        (["a.jsonl", "b.xlsx", "c.txt"], "set/b.xlsx and 1 more in the folder"),
        (["README.md"], "has no data files"),
    ],
)
def test_a_folder_with_what_is_not_read_is_refused_by_name(tmp_path, names, said):
    for name in names:
        write(tmp_path / "set" / name, {"n": 1})
    with pytest.raises(ImportRefused, match=said):
        open_source(tmp_path / "set")


def test_splits_that_file_names_publish_go_with_the_rows(tmp_path):
    write(tmp_path / "set" / "train-00000-of-00002.jsonl", {"n": 1}, {"n": 2, "split": "test"})
    write(tmp_path / "set" / "train-00001-of-00002.jsonl", {"n": 3, "split": None})
    write(tmp_path / "set" / "test.jsonl", {"n": 4})
    rows = {row["n"]: row.get("split") for _, row in open_source(tmp_path / "set").rows()}
    assert rows == {1: "train", 2: "test", 3: "train", 4: "test"}
    assert open_source(tmp_path / "set").publishes_splits
    # One split for all, or files that say nothing, publish none.
    write(tmp_path / "other" / "train.jsonl", {"n": 1})
    write(tmp_path / "other" / "train2.jsonl", {"n": 2})
    assert not open_source(tmp_path / "other").publishes_splits
    write(tmp_path / "other" / "more.jsonl", {"n": 3})
    write(tmp_path / "other" / "test.jsonl", {"n": 4})
    assert not any("split" in row for _, row in open_source(tmp_path / "other").rows())
    files = [tmp_path / "set" / "test.jsonl", tmp_path / "other" / "train.jsonl"]
    assert [row["split"] for _, row in open_source(files).rows()] == ["test", "train"]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("data/train-00000-of-00001.parquet", "train"), ("val.jsonl", "validation"), ("dev.csv", "validation"),
        ("test_prefs/data.arrow", "test"), ("set/eval.jsonl.gz", "test"), ("training_set_1.json", "train"),
        ("latest.jsonl", None), ("rows.jsonl", None), ("contest.jsonl", None),
    ],
)  # fmt: skip
def test_the_split_of_a_name_is_a_word_in_it(name, split):
    assert find_split(name) == split


def test_a_saved_dataset_is_its_files_and_a_saved_dictionary_its_splits(tmp_path):
    save(tmp_path / "one", {"n": 1}, {"n": 2}, {"n": 3})
    assert [row for _, row in open_source(tmp_path / "one").rows()] == [{"n": 1}, {"n": 2}, {"n": 3}]
    save(tmp_path / "both" / "train", {"n": 1}, {"n": 2})
    save(tmp_path / "both" / "test", {"n": 3}, {"n": 4})
    (tmp_path / "both" / "dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    source = open_source(tmp_path / "both")
    assert [(row["n"], row["split"]) for _, row in source.rows()] == [
        (1, "train"), (2, "train"), (3, "test"), (4, "test"),
    ]  # fmt: skip
    assert source.files[0].name == "both/train/data-00000-of-00002.arrow"
    (tmp_path / "both" / "train" / "state.json").write_text("[")
    with pytest.raises(ImportRefused, match="state.json is damaged"):
        open_source(tmp_path / "both")


@pytest.mark.parametrize("name", ["../secret.arrow", "/etc/passwd", "..", "", "inner/rows.arrow"])
def test_a_saved_dataset_names_nothing_outside_of_its_folder(tmp_path, name):
    (tmp_path / "secret.arrow").write_bytes(b"")
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))
    with pytest.raises(ImportRefused, match="names a file outside of it"):
        open_source(folder)
    (folder / "state.json").unlink()
    (folder / "dataset_dict.json").write_text(json.dumps({"splits": [name]}))
    with pytest.raises(ImportRefused, match="names a file outside of it"):
        open_source(folder)
