"""Files that are one JSON array."""

import gzip
import json
import tracemalloc

import pytest

from annotation.importing import json_rows
from annotation.importing.report import ImportRefused
from annotation.importing.rows import UnreadableValue
from annotation.importing.source_files import read_rows
from tests.annotation.importing.conftest import write


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
