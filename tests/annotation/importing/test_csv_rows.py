"""CSV and TSV files."""

import gzip

import pytest

from annotation.importing import csv_rows
from annotation.importing.report import ImportRefused
from annotation.importing.rows import TextCell
from annotation.importing.source_files import read_rows
from tests.annotation.importing.conftest import write

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
