import bz2
import gzip
import json
import lzma
import os
import pickle
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from annotation.importing import columnar_rows, csv_rows, file_forms, json_rows, source_files
from annotation.importing.report import ImportRefused
from annotation.importing.rows import RowError, TextCell, UnreadableValue
from annotation.importing.source_files import read_rows

ROOT = Path(__file__).resolve().parents[3]


def write(tmp_path, data, name="rows.jsonl"):
    path = tmp_path / name
    path.write_bytes(data)
    return path


def test_lines_are_numbered_as_an_editor_numbers_them_and_blank_ones_passed_over(tmp_path):
    path = write(tmp_path, b'{"a": 1}\n\n   \n{"a": 2}')
    assert list(read_rows(path)) == [(1, {"a": 1}), (4, {"a": 2})]


def test_a_byte_order_mark_and_crlf_are_no_part_of_the_rows(tmp_path):
    path = write(tmp_path, b'\xef\xbb\xbf{"a": "x\\r\\ny"}\r\n{"a": 2}\r\n')
    assert list(read_rows(path)) == [(1, {"a": "x\r\ny"}), (2, {"a": 2})]


def test_a_unicode_line_separator_ends_no_line(tmp_path):
    path = write(tmp_path, '{"a": "x\u2028y\x85z"}\n'.encode())
    assert list(read_rows(path)) == [(1, {"a": "x\u2028y\x85z"})]


def test_gzip_is_told_by_content_whatever_the_name(tmp_path):
    path = write(tmp_path, gzip.compress(b'{"a": 1}\n'), name="rows.jsonl")
    assert list(read_rows(path)) == [(1, {"a": 1})]


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


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"not json", "is not JSON (Expecting value, character 1)"),
        (b'{"a": 1', "is not JSON"),
        (b"[1, 2]", "is not a JSON object but a list"),
        (b'"text"', "is not a JSON object but text"),
        (b'{"a": "\xff\xfe"}', "is not UTF-8 text"),
        (b'{"a": ' * 100_000, "is not JSON"),
    ],
)
def test_a_bad_line_is_a_problem_and_reading_goes_on(tmp_path, line, reason):
    path = write(tmp_path, line + b'\n{"a": 2}\n')
    (number, problem), after = read_rows(path)
    assert number == 1
    assert isinstance(problem, RowError)
    assert reason in problem.reason
    assert after == (2, {"a": 2})


def test_a_line_without_end_is_a_problem_and_is_never_held(tmp_path, monkeypatch):
    monkeypatch.setattr(source_files, "MAX_ROW_BYTES", 1024 * 1024)
    path = tmp_path / "rows.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b'{"a": 1}\n')
        for _ in range(64):
            file.write(b"x" * 1024 * 1024)
        file.write(b'\n{"a": 2}\n')
    tracemalloc.start()
    rows = list(read_rows(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [number for number, _ in rows] == [1, 2, 3]
    assert "longer than 1 MB" in rows[1][1].reason
    assert rows[2] == (3, {"a": 2})
    assert peak < 8 * 1024 * 1024


def test_a_decompression_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(file_forms, "MAX_DECOMPRESSED_BYTES", 1024 * 1024)
    path = write(tmp_path, gzip.compress(b'{"a": "%s"}\n' % (b"x" * 100_000) * 100))
    with pytest.raises(ImportRefused, match="unpacks to more than 200 times its size") as refused:
        list(read_rows(path))
    assert refused.value.code == "decompression_bomb"


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1234567890123456789", "9" * 5000, "-" + "9" * 20]
)
def test_a_number_that_no_column_can_hold_is_marked_and_the_rest_of_the_row_is_read(tmp_path, number):
    path = write(tmp_path, b'{"a": 1, "b": %s, "c": [{"d": %s}]}\n' % (number.encode(), number.encode()))
    [(_, row)] = read_rows(path)
    assert row["a"] == 1
    assert isinstance(row["b"], UnreadableValue)
    assert isinstance(row["c"][0]["d"], UnreadableValue)


def test_a_key_that_is_there_twice_has_no_value_that_can_be_read(tmp_path):
    path = write(tmp_path, b'{"a": 1, "b": "x", "b": "y", "c": {"d": 1, "d": 1}}\n')
    [(_, row)] = read_rows(path)
    assert row["a"] == 1
    assert row["b"] == row["c"]["d"] == UnreadableValue("it is there twice")


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


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_can_be_read_only_once_is_refused(tmp_path, kind):
    path = tmp_path / "rows" if kind == "pipe" else Path("/dev/null")
    if kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(ImportRefused) as refused:
        list(read_rows(path))
    assert refused.value.message == f"{path} is a pipe or a device: save its rows in a file and name that."


@pytest.mark.parametrize("path", ["/x" + "y" * 300, "rows.jsonl/inside"])
def test_a_path_that_cannot_be_is_one_sentence(tmp_path, path):
    write(tmp_path, b"{}")
    with pytest.raises(ImportRefused, match="cannot be read: (File name too long|Not a directory)."):
        list(read_rows(tmp_path / path))


def test_parquet_in_gzip_is_named(tmp_path):
    path = write(tmp_path, gzip.compress(b"PAR1..."))
    with pytest.raises(ImportRefused, match="is a gzip-compressed Parquet file: unpack it first."):
        list(read_rows(path))


def test_what_is_wrong_with_the_file_is_one_sentence(tmp_path):
    whole = gzip.compress("".join(json.dumps({"a": n * 7919}) + "\n" for n in range(20_000)).encode())
    pq.write_table(pa.table({"a": list(range(10_000))}), tmp_path / "whole.parquet")
    parquet = (tmp_path / "whole.parquet").read_bytes()
    cases = {
        "no_file": tmp_path / "nowhere.jsonl",
        "is_a_folder": tmp_path,
        "no_rows": write(tmp_path, b"", "empty.jsonl"),
        "damaged": write(tmp_path, whole[: len(whole) // 2], "cut.jsonl.gz"),
    }
    for code, path in [*cases.items(), ("damaged", write(tmp_path, parquet[:-200], "cut.parquet"))]:
        with pytest.raises(ImportRefused) as refused:
            list(read_rows(path))
        assert refused.value.code == code
        assert str(path) in refused.value.message
        assert refused.value.message.endswith(".")
        assert "\n" not in refused.value.message


def test_one_json_array_is_its_elements(tmp_path, monkeypatch):
    rows = [{"a": n, "b": "x]},{[" * n, "c": [{"d": None}]} for n in range(200)]
    for number, text in enumerate(
        (json.dumps(rows), json.dumps(rows, indent=2), "\ufeff [\n\n" + json.dumps(rows)[1:])
    ):
        for name, packed in (("rows.json", text.encode()), ("rows.json.gz", gzip.compress(text.encode()))):
            path = write(tmp_path, packed, f"{number}{name}")
            for chunk in (7, 256 * 1024):
                monkeypatch.setattr(json_rows, "_CHUNK_BYTES", chunk)
                assert list(read_rows(path)) == list(enumerate(rows, start=1))
    path = write(tmp_path, b'[{"a": NaN}, 5, {"a": 1}\n]\n')
    (_, first), (_, second), third = read_rows(path)
    assert isinstance(first["a"], UnreadableValue)
    assert "is not a JSON object but a number (5)" in second.reason
    assert third == (3, {"a": 1})
    assert list(read_rows(write(tmp_path, b"[]"))) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'[{"a": 1}', "has no comma between rows 1 and 2"),
        (b'[{"a": 1} {"a": 2}]', "has no comma between rows 1 and 2"),
        (b'[{"a": 1}, {"a": nix}, {"a": 2}]', "has a row 2 that is not JSON"),
        (b'[{"a": 1}, {"a": "x', "has a row 2 that is not JSON"),
        (b'[{"a": 1}]\n[{"a": 2}]', "goes on after the end of its list"),
        (b'[{"a": "\xff"}]', "is not UTF-8 text"),
        (b'[{"a": ' + b"[" * 100_000, "has a row 1 that is not JSON"),
    ],
)
def test_an_array_that_breaks_off_or_is_none_is_one_sentence(tmp_path, content, said):
    with pytest.raises(ImportRefused, match=said) as refused:
        list(read_rows(write(tmp_path, content, "rows.json")))
    assert refused.value.message.endswith("it should be one JSON list of objects.")


def test_an_array_is_never_held_whole(tmp_path):
    path = tmp_path / "rows.json"
    with path.open("w") as file:
        file.write("[" + ",\n".join(json.dumps({"a": "x" * 1000}) for _ in range(20_000)) + "]")
    tracemalloc.start()
    assert sum(1 for _ in read_rows(path)) == 20_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 1024 * 1024


CELLS = {"prompt": 'Say "tea", please', "chosen": "one\ntwo", "rejected": None}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("rows.csv", 'prompt,chosen,rejected\n"Say ""tea"", please","one\ntwo",\nx,y,z\n'),
        ("rows.CSV", '\ufeffprompt;chosen;rejected\r\n"Say ""tea"", please";"one\ntwo";\r\nx;y;z\r\n'),
        ("rows.csv", 'sep=;\nprompt;chosen;rejected\n"Say ""tea"", please";"one\ntwo";\nx;y;z\n'),
        ("rows.tsv", 'prompt\tchosen\trejected\n"Say ""tea"", please"\t"one\ntwo"\t\nx\ty\tz'),
    ],
)
def test_csv_is_read_by_its_header(tmp_path, name, text):
    for number, data in enumerate((text.encode(), gzip.compress(text.encode()))):
        path = write(tmp_path, data, str(number) + name + ".gz" * number)
        rows = list(read_rows(path))
        first = 3 if text.startswith("sep=") else 2
        assert rows == [(first, CELLS), (first + 2, {"prompt": "x", "chosen": "y", "rejected": "z"})]
        assert isinstance(rows[0][1]["prompt"], TextCell)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"prompt,prompt\na,b\n", "names the column prompt twice"),
        (b"\na,b\n", "The first line of .* is empty"),
        (b"a,b\nx,\xe9\n", "is not UTF-8 text .* save it as .CSV UTF-8."),
        (b'a,b\nx,y\n"x,y\n', "is damaged at line 3"),
        (b'a,b\n"x"y,z\n', "is damaged at line 2"),
    ],
)
def test_a_csv_file_that_is_damaged_is_one_sentence(tmp_path, content, said):
    with pytest.raises(ImportRefused, match=said):
        list(read_rows(write(tmp_path, content, "rows.csv")))


def test_a_csv_row_of_another_length_is_a_problem_and_reading_goes_on(tmp_path, monkeypatch):
    path = write(tmp_path, b"a,b\n1,2,3\n\n4,5\n", "rows.csv")
    (line, problem), after = read_rows(path)
    assert (line, problem.reason) == (2, "has 3 cells under 2 column names")
    assert after == (4, {"a": "4", "b": "5"})
    monkeypatch.setattr(csv_rows, "MAX_ROW_BYTES", 1000)
    with pytest.raises(ImportRefused, match="is damaged at line 2 .*field larger than field limit"):
        list(read_rows(write(tmp_path, b'a,b\n"' + b"x\n" * 9000, "open.csv")))


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        (b"\x28\xb5\x2f\xfd\x20", "rows.jsonl.zst", "is compressed with zstd"),
        (lzma.compress(b"{}"), "rows.jsonl.xz", "is compressed with xz"),
        (bz2.compress(b"{}"), "rows.jsonl", "is compressed with bzip2"),
        (b"PK\x03\x04...", "rows.xlsx", "is a zip archive, or an Excel"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid",
            "rows.parquet",
            "is only the pointer of Git LFS",
        ),
        ("{}".encode("utf-16"), "rows.jsonl", "is UTF-16 text"),
        (b"<!DOCTYPE html>", "rows.jsonl", "is HTML or XML"),
        (pickle.dumps({}), "rows.pkl", "is a Python pickle"),
        (b"\0" * 257 + b"ustar", "rows.tar", "is a tar archive"),
        (gzip.compress(b"\0" * 257 + b"ustar", mtime=0), "rows.tar.gz", "is a tar archive"),
        (b'{\n  "data": []\n}', "rows.json", "is JSON over several lines"),
        (b"some text", "rows.parquet", "is not what its name says"),
    ],
)
def test_a_form_that_is_not_read_is_named(tmp_path, content, name, said):
    with pytest.raises(ImportRefused, match=said) as refused:
        list(read_rows(write(tmp_path, content, name)))
    assert refused.value.code == "wrong_kind_of_file"
    assert str(tmp_path / name) in refused.value.message
    assert "\n" not in refused.value.message


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


@pytest.mark.django_db
def test_a_file_of_nothing_but_bad_rows_is_read_no_further(project, max_, tmp_path, monkeypatch):
    from annotation.importing import report
    from annotation.importing.contents.actions import import_prompts

    monkeypatch.setattr(report, "MAX_ONLY_BAD_ROWS", 50)
    path = write(tmp_path, gzip.compress(b"{}\n" * 100_000), "rows.jsonl.gz")
    with pytest.raises(ImportRefused, match="the first 50 rows of .* are all bad") as refused:
        import_prompts(actor=max_, project=project, path=path, skip_bad=True)
    assert refused.value.code == "bad_rows"
    good = b'{"messages": [{"role": "user", "content": "How many?"}]}\n'
    path = write(tmp_path, good + b"{}\n" * 100, "rows.jsonl")
    assert import_prompts(actor=max_, project=project, path=path, skip_bad=True).rows == 101
