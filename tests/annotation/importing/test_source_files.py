"""Lines of a file as numbered rows, and files that are none."""

import bz2
import gzip
import json
import lzma
import os
import pickle
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from annotation.importing import file_forms, source_files
from annotation.importing.report import ImportRefused
from annotation.importing.rows import RowError, UnreadableValue
from annotation.importing.source_files import read_rows
from tests.annotation.importing.conftest import write


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
