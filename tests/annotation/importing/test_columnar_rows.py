"""Parquet and Arrow files, and how much memory their rows may take."""

import os
import struct
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from annotation.importing import columnar_rows
from annotation.importing.report import ImportRefused
from annotation.importing.rows import UnreadableValue
from annotation.importing.source_files import read_rows

ROOT = Path(__file__).resolve().parents[3]


def test_parquet_rows_are_numbered_from_one(tmp_path):
    pq.write_table(pa.table({"a": [1, None]}), tmp_path / "rows.bin")
    assert list(read_rows(tmp_path / "rows.bin")) == [(1, {"a": 1}), (2, {"a": None})]


def test_conversations_of_parquet_are_read_across_row_groups(tmp_path):
    """Groups of 100 rows and batches of 256: a batch would hold the dictionaries of three groups."""
    rows = [
        {"chosen": [{"role": "user", "content": f"Question {number}"}], "n": number} for number in range(700)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet", row_group_size=100)
    assert list(read_rows(tmp_path / "rows.parquet")) == list(enumerate(rows, 1))


def test_values_of_parquet_that_cannot_be_read_are_marked_and_reading_goes_on(tmp_path):
    text = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.py_buffer(struct.pack("3i", 0, 2, 3)), pa.py_buffer(b"\xff\xfex")]
    )
    when = pa.array([0, 2**52], pa.int64()).cast(pa.timestamp("s"))
    pq.write_table(pa.table({"a": text, "when": when}), tmp_path / "rows.parquet")
    (_, first), (_, second) = read_rows(tmp_path / "rows.parquet")
    assert isinstance(first["a"], UnreadableValue)
    assert isinstance(second["when"], UnreadableValue)
    # What can be read of these rows is.
    assert first["when"] is not None
    assert second["a"] == "x"


def test_the_arrow_stream_of_a_saved_dataset_is_read(tmp_path):
    table = pa.table({"a": [1, None, 3], "b": [[{"role": "user"}], [], None]})
    with pa.ipc.new_stream(tmp_path / "data.arrow", table.schema) as stream:
        stream.write_table(table, max_chunksize=2)
    assert list(read_rows(tmp_path / "data.arrow")) == list(enumerate(table.to_pylist(), start=1))
    (tmp_path / "cut.arrow").write_bytes((tmp_path / "data.arrow").read_bytes()[:-90])
    with pytest.raises(ImportRefused, match="is a damaged Arrow file"):
        list(read_rows(tmp_path / "cut.arrow"))


def rows_under_a_limit(path: Path, limit_bytes: int) -> str:
    """What reading all rows of a file comes to in a process that may take so much memory and no more."""
    code = f"""
import resource, sys
from pathlib import Path
from annotation.importing.report import ImportRefused
from annotation.importing.rows import RowError
from annotation.importing.source_files import read_rows
resource.setrlimit(resource.RLIMIT_AS, ({limit_bytes}, {limit_bytes}))
good = bad = 0
try:
    for _, row in read_rows(Path(sys.argv[1])):
        bad, good = bad + isinstance(row, RowError), good + isinstance(row, dict)
except ImportRefused as refused:
    print(refused.code, end=" ")
print(good, bad)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False, cwd=ROOT,
        env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system", "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


GIGABYTE = 1024**3


def bomb(tmp_path, value, rows, nested=False):
    """`rows` references to one text: dictionary-coded and packed, a file of a few kilobytes."""
    text = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array([value]))
    column = pa.ListArray.from_arrays(pa.array(range(rows + 1), pa.int32()), text) if nested else text
    path = tmp_path / "rows.parquet"
    pq.write_table(
        pa.table({"prompt": column}), path, compression="zstd", dictionary_pagesize_limit=GIGABYTE,
        store_schema=False,
    )  # fmt: skip
    assert path.stat().st_size < 100_000
    return path


@pytest.mark.parametrize("nested", [False, True])
def test_a_small_parquet_file_that_stands_for_gigabytes_is_refused_within_memory(tmp_path, nested):
    """160 GB as rows: read to where more than the 2 GB that any file may unpack to would have been taken."""
    path = bomb(tmp_path, "x" * 40_000_000, 4096, nested)
    # 40 MB a row are above the 32 MB of a row; 53 of them are still within 2 GiB.
    assert rows_under_a_limit(path, 3 * GIGABYTE) == "decompression_bomb 0 53"
    path = bomb(tmp_path, "x" * 20_000_000, 4096, nested)
    assert rows_under_a_limit(path, 3 * GIGABYTE) == "decompression_bomb 107 0"


def test_texts_that_repeat_are_read_as_they_are(tmp_path):
    path = bomb(tmp_path, "x" * 1_000_000, 300)
    assert rows_under_a_limit(path, 3 * GIGABYTE) == "300 0"
    assert {len(row["prompt"]) for _, row in read_rows(path)} == {1_000_000}


def test_nulls_without_end_are_refused_by_what_the_file_says_of_itself(tmp_path, monkeypatch):
    lists = pa.ListArray.from_arrays([0, 30_000_000], pa.nulls(30_000_000, pa.int8()))
    pq.write_table(pa.table({"a": lists}), tmp_path / "rows.parquet", compression="zstd")
    monkeypatch.setattr(columnar_rows, "MAX_DECOMPRESSED_BYTES", 50_000_000)
    with pytest.raises(ImportRefused, match="unpacks to more than 200 times its size"):
        list(read_rows(tmp_path / "rows.parquet"))


def test_what_rows_come_to_is_counted_through_lists_structs_and_references():
    """Eight bytes for a number or a place in a list, and a text's own length."""
    kind = pa.list_(pa.struct([("role", pa.string()), ("n", pa.int64())]))
    rows = [[{"role": "user", "n": 1}, {"role": None, "n": None}], None, [], [{"role": "é", "n": 2}]]
    messages = pa.array(rows, kind)
    place_and_struct = 8 + 8
    expected = [2 * (place_and_struct + 8 + 8) + 4, 0, 0, place_and_struct + 8 + 8 + 2]
    assert list(columnar_rows._row_bytes(messages)) == expected
    assert list(columnar_rows._row_bytes(messages.slice(2))) == expected[2:]
    references = pa.array(["abc", None, "abc", "d"]).dictionary_encode()
    assert list(columnar_rows._row_bytes(references)) == [11, 0, 11, 9]
