import gzip
import json
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import get_type_hints

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learning.interface import record_rows, record_schemas
from learning.interface.options import UserError
from learning.interface.record_checks import validate_row
from learning.interface.record_files import read_records, write_records
from learning.interface.record_rows import iso_utc
from learning.interface.record_schemas import (
    COMPARISONS,
    DEMONSTRATIONS,
    DRAWS,
    JUDGMENTS,
    PROMPTS,
    RATINGS,
    RESPONSES,
    SAMPLED_RESPONSES,
    SCORES,
)
from tests.learning.interface.record_examples import ROWS

SUFFIXES = [".parquet", ".jsonl", ".jsonl.gz"]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", ROWS)
def test_rows_survive_a_round_trip_and_equal_rows_give_equal_bytes(tmp_path, name, suffix):
    schema, row = getattr(record_schemas, name), ROWS[name]
    one, two = tmp_path / f"one{suffix}", tmp_path / f"two{suffix}"
    assert write_records(one, [row] * 3, schema) == 3
    write_records(two, [dict(reversed(row.items()))] * 3, schema)
    assert read_records(one, schema) == [row] * 3
    assert one.read_bytes() == two.read_bytes()
    assert sorted(tmp_path.iterdir()) == [one, two]


@pytest.mark.parametrize(
    ("schema", "typed_row"),
    [
        (PROMPTS, record_rows.PromptRow),
        (DEMONSTRATIONS, record_rows.DemonstrationRow),
        (RESPONSES, record_rows.ResponseRow),
        (SAMPLED_RESPONSES, record_rows.SampledResponseRow),
        (COMPARISONS, record_rows.ComparisonRow),
        (RATINGS, record_rows.RatingRow),
        (JUDGMENTS, record_rows.JudgmentRow),
        (SCORES, record_rows.ScoreRow),
        (DRAWS, record_rows.DrawRow),
        (record_schemas.STORED_CANDIDATES, record_rows.StoredCandidateRow),
        (record_schemas.CANDIDATE_ORIGINS, record_rows.CandidateOriginRow),
    ],
)
def test_the_typed_rows_name_the_columns_of_the_schemas(schema, typed_row):
    assert set(get_type_hints(typed_row)) == set(schema.names)


def set_in(row, path, value):
    copy = json.loads(json.dumps(row))
    target = copy
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    return copy


@pytest.mark.parametrize("suffix", [".jsonl"])
@pytest.mark.parametrize(
    ("name", "path", "value", "column", "reason"),
    [
        ("RATINGS", ("responses",), [], "responses", "at least 1 response"),
        ("RATINGS", ("scores",), [6.0], "scores", "expected 2 entries"),
        ("RATINGS", ("scores", 1), None, "scores[1]", "must not be null"),
        ("RATINGS", ("turns",), [None], "turns", "expected 2 entries"),
        ("RATINGS", ("weight",), -1.0, "weight", "at least 0"),
        ("COMPARISONS", ("responses", 1), True, "responses[1]", "expected text, found True (bool)"),
        ("COMPARISONS", ("responses", 1), "a\x00b", "responses[1]", "NUL character at position 2"),
        ("COMPARISONS", ("responses", 1), "a\ud800b", "responses[1]", "half of a surrogate pair"),
        ("COMPARISONS", ("responses",), ["a"], "responses", "at least 2"),
        ("COMPARISONS", ("ranks",), [0, 1], "ranks", "expected 3 entries"),
        ("COMPARISONS", ("grade", 0), [None, 1.0], "grade[0]", "expected 3 entries"),
        ("COMPARISONS", ("soft_preference", 0, 1), "0.5", "soft_preference[0][1]", "expected a number"),
        ("COMPARISONS", ("annotator_kind",), "robot", "annotator_kind", "not one of person, simulated, ai"),
        ("COMPARISONS", ("n_annotators",), 1.5, "n_annotators", "expected a whole number"),
        ("COMPARISONS", ("weight",), None, "weight", "must not be null"),
        ("COMPARISONS", ("round",), 2**70, "round", "too large"),
        ("COMPARISONS", ("weight",), -1.0, "weight", "must be at least 0, found -1.0"),
        ("COMPARISONS", ("ranks",), [1, 0, 1], "ranks", "response 1 was preferred to response 2"),
        ("COMPARISONS", ("grade",), [[None]], "grade", "expected 3 entries"),
        ("COMPARISONS", ("grade", 0, 1), 4.0, "grade[0][1]", "must be between 0 and 3, found 4.0"),
        ("COMPARISONS", ("soft_preference", 1, 0), 0.2, "soft_preference[0][1]", "that add up to 1"),
        ("COMPARISONS", ("soft_preference", 0, 1), None, "soft_preference[0][1]", "that add up to 1"),
        ("COMPARISONS", ("prompt",), [], "prompt", "no messages"),
        ("COMPARISONS", ("prompt", 1, "content"), " \n", "prompt[1].content", "empty"),
        ("COMPARISONS", ("prompt", 1, "role"), "assistant", "prompt", "ends with a user or tool turn"),
        ("COMPARISONS", ("prompt", 1, "role"), "human", "prompt[1].role", "not one of system, user"),
        ("COMPARISONS", ("prompt", 1, "weight"), "x", "prompt[1]", "unknown key 'weight'"),
        ("COMPARISONS", ("prompt",), "hello", "prompt", "expected a list"),
        ("RESPONSES", ("created_at",), "2026-01-31 09:30", "created_at", "ISO 8601"),
        ("RESPONSES", ("sampling", "seed"), "4", "sampling.seed", "expected a whole number"),
        ("PROMPTS", ("split",), "dev", "split", "not one of train, validation, test"),
    ],
)
def test_a_bad_value_is_refused_with_file_row_and_column(tmp_path, name, path, value, column, reason, suffix):
    schema, good = getattr(record_schemas, name), ROWS[name]
    bad = set_in(good, path, value)
    file = tmp_path / f"rows{suffix}"
    file.write_text("".join(json.dumps(row) + "\n" for row in (good, good, bad)))
    for action, where in [
        (lambda: read_records(file, schema), f"{file}: line 3"),
        (lambda: write_records(tmp_path / "out.parquet", [good, good, bad], schema), "out.parquet: row 3"),
        (lambda: validate_row(bad, schema, lambda: "row seven"), "row seven"),
    ]:
        with pytest.raises(UserError) as caught:
            action()
        assert str(caught.value).startswith(f"{where}, column '{column}': ")
        assert reason in str(caught.value)
    assert list(tmp_path.iterdir()) == [file]  # nothing half-written


@pytest.mark.parametrize("weight", [math.nan, math.inf])
def test_a_weight_that_is_no_finite_number_is_refused(weight):
    with pytest.raises(UserError, match="column 'weight': expected a finite number"):
        validate_row({**ROWS["COMPARISONS"], "weight": weight}, COMPARISONS, lambda: "x")


def test_absent_nullable_columns_are_null_and_absent_required_columns_are_refused():
    row = {key: value for key, value in ROWS["RESPONSES"].items() if key not in ("policy", "sampling")}
    assert validate_row(row, RESPONSES, lambda: "x")["sampling"] is None
    del row["text"]
    with pytest.raises(UserError, match="x, column 'text': missing"):
        validate_row(row, RESPONSES, lambda: "x")


def test_unknown_columns_are_refused_unless_told_to_ignore_them(tmp_path):
    row = {**ROWS["SCORES"], "note": "?"}
    file = tmp_path / "rows.jsonl"
    file.write_text(json.dumps(row) + "\n")
    with pytest.raises(UserError, match="line 1: unknown column 'note'"):
        read_records(file, SCORES)
    assert read_records(file, SCORES, extra_columns="ignore") == [ROWS["SCORES"]]
    wide = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist([row]), wide)
    with pytest.raises(UserError, match="unknown column 'note'"):
        read_records(wide, SCORES)
    assert read_records(wide, SCORES, extra_columns="ignore") == [ROWS["SCORES"]]


def test_sampled_responses_read_as_responses_when_asked(tmp_path):
    file = tmp_path / "responses.parquet"
    write_records(file, [ROWS["SAMPLED_RESPONSES"]], SAMPLED_RESPONSES)
    assert read_records(file, RESPONSES, extra_columns="ignore") == [ROWS["RESPONSES"]]


def test_a_foreign_parquet_file_with_wrong_types_or_columns_is_refused(tmp_path):
    file = tmp_path / "scores.parquet"
    pq.write_table(pa.table({"response_id": ["a"], "prompt_id": ["p"]}), file)
    with pytest.raises(UserError, match="the column 'reward' is missing; found response_id, prompt_id"):
        read_records(file, SCORES)
    pq.write_table(pa.table({"response_id": ["a"], "prompt_id": ["p"], "reward": ["1"]}), file)
    with pytest.raises(UserError, match="row 1, column 'reward': expected a number, found '1'"):
        read_records(file, SCORES)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"response_id": "a", "prompt_id"', "line 1: not JSON"),
        (b"[1]\n", "line 1: expected an object"),
        (b'{"response_id":"a","prompt_id":"b","reward":NaN}', "line 1: NaN is not a JSON number"),
        (b"\n\xff\n", "not UTF-8"),
        (b"[" * 200_000, "line 1: nested too deeply"),
    ],
)
def test_a_file_that_is_not_json_lines_is_refused_with_its_line(tmp_path, content, expected):
    file = tmp_path / "scores.jsonl"
    file.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_records(file, SCORES)
    assert str(caught.value).startswith(str(file))
    assert expected in str(caught.value)


def test_missing_unreadable_and_foreign_files_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"scores\.parquet: no such file"):
        read_records(tmp_path / "scores.parquet", SCORES)
    (tmp_path / "scores.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(UserError, match="not a readable Parquet file"):
        read_records(tmp_path / "scores.parquet", SCORES)
    (tmp_path / "scores.csv").write_text("a,b")
    with pytest.raises(UserError, match=r"ends in \.parquet, \.jsonl"):
        read_records(tmp_path / "scores.csv", SCORES)
    (tmp_path / "scores.jsonl.gz").write_bytes(gzip.compress(b'{"a": 1}\n' * 500)[:-12])
    with pytest.raises(UserError):
        read_records(tmp_path / "scores.jsonl.gz", SCORES)


def test_a_byte_order_mark_crlf_and_blank_lines_are_read(tmp_path):
    file = tmp_path / "scores.jsonl"
    line = json.dumps(ROWS["SCORES"]).encode()
    file.write_bytes(b"\xef\xbb\xbf" + line + b"\r\n\r\n" + line)
    assert read_records(file, SCORES) == [ROWS["SCORES"]] * 2


def test_a_failing_writer_leaves_the_old_file(tmp_path):
    file = tmp_path / "scores.parquet"
    write_records(file, [ROWS["SCORES"]], SCORES)
    before = file.read_bytes()
    with pytest.raises(UserError):
        write_records(file, [ROWS["SCORES"], {**ROWS["SCORES"], "reward": math.inf}], SCORES)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_no_rows_make_a_file_that_reads_as_no_rows(tmp_path):
    for suffix in SUFFIXES:
        write_records(tmp_path / f"none{suffix}", [], COMPARISONS)
        assert read_records(tmp_path / f"none{suffix}", COMPARISONS) == []


@settings(max_examples=50)
@given(
    st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])), st.sampled_from(SUFFIXES)
)
def test_any_text_survives_both_formats(tmp_path_factory, text, suffix):
    file = tmp_path_factory.mktemp("text") / f"rows{suffix}"
    row = {**ROWS["DEMONSTRATIONS"], "response": text}
    write_records(file, [row], DEMONSTRATIONS)
    assert read_records(file, DEMONSTRATIONS) == [row]


def test_times_have_one_spelling_and_naive_times_are_refused():
    moment = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
    assert iso_utc(moment) == "2026-01-31T09:30:00.000000Z"
    assert iso_utc(moment.astimezone(timezone(timedelta(hours=5)))) == iso_utc(moment)
    with pytest.raises(ValueError, match="no time zone"):
        iso_utc(datetime(2026, 1, 31))
