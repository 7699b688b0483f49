"""Plain texts come in from every form of file, once each, with licence and split."""

import hashlib
from io import StringIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from annotation.importing.contents.actions import import_texts
from annotation.importing.report import ImportRefused
from annotation.importing.texts import read_text_rows
from annotation.models import Text
from annotation.records import text_rows
from learning.interface.record_files import read_records, write_records
from learning.interface.record_schemas import TEXTS
from workspace.models import AuditEvent

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def bring(project, max_, write_rows):
    def bring(rows, name="rows.jsonl", **options):
        path = write_rows(rows, name) if isinstance(rows, list) else rows
        return import_texts(actor=max_, project=project, path=path, **options)

    return bring


def stored():
    return list(Text.objects.order_by("pk").values_list("external_id", "text", "licence", "split"))


def test_rows_keep_id_licence_and_split_and_the_rest_follows_options_and_rule(bring, project):
    report = bring(
        [
            {"text_id": "a", "text": "One  two.\n", "licence": "CC0", "split": "test"},
            {"text": "Three.", "license": "MIT"},
            {"text": "Four.", "split": "train", "url": float(7)},
        ],
        licence="public domain",
        split="validation",
    )
    third = "x-" + hashlib.sha256(b"Three.").hexdigest()[:32]
    fourth = "x-" + hashlib.sha256(b"Four.").hexdigest()[:32]
    assert stored() == [
        ("a", "One  two.\n", "CC0", "test"),
        (third, "Three.", "MIT", "validation"),
        (fourth, "Four.", "public domain", "train"),
    ]
    assert report.counts == {"new texts": 3}
    assert AuditEvent.objects.filter(action="texts.import").count() == 1


def test_texts_without_a_split_are_shared_out_by_content_eight_one_one(bring):
    bring([{"text": f"Text number {number}."} for number in range(1000)])
    splits = [split for _, _, _, split in stored()]
    # Binomial: 800, 100, 100 with standard deviations 12.6, 9.5, 9.5; four of them.
    assert abs(splits.count("train") - 800) < 51
    assert abs(splits.count("validation") - 100) < 38
    assert abs(splits.count("test") - 100) < 38


def test_the_same_text_again_is_left_out_and_counted_in_the_file_and_in_the_project(bring):
    rows = [{"text": "A."}, {"text": "B."}, {"text": "A.", "text_id": "other"}]
    assert bring(rows).counts == {"new texts": 2, "repeated in the file": 1}
    report = bring([{"text": "B."}, {"text": "C."}, {"text": "C."}])
    assert report.counts == {"new texts": 1, "already in the project": 1, "repeated in the file": 1}
    assert [text for _, text, _, _ in stored()] == ["A.", "B.", "C."]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"text": ""}, "column text: is empty"),
        ({"text": True}, "column text: should be text but is a boolean (true)"),
        ({"body": "x"}, "column text: is missing (the row has: body); name another with --map text=COLUMN"),
        ({"text": "x", "split": "eval"}, "column split: is “eval”, a split without a known meaning"),
        ({"text": "x", "licence": "l" * 201}, "column licence: is longer than 200 characters"),
        ({"text": "x", "text_id": "a"}, "column text_id: a is a duplicate of line 1"),
        ({"text": "x", "text_id": "taken"}, "column text_id: taken belongs to another text in this project"),
        ({"text": "x\u0000"}, "column text: has a NUL character (character 2)"),
    ],
)
def test_a_bad_row_refuses_the_file_and_is_left_out_when_asked(bring, row, reason):
    bring([{"text": "Before.", "text_id": "taken"}])
    rows = [{"text": "Good.", "text_id": "a"}, row]
    with pytest.raises(ImportRefused) as refused:
        bring(rows)
    assert f"rows.jsonl, line 2, {reason}" in refused.value.message
    assert len(stored()) == 1
    report = bring(rows, skip_bad=True)
    assert (report.bad, report.counts) == (1, {"new texts": 1})


def test_a_text_file_is_one_document_or_its_paragraphs_or_its_lines(tmp_path, bring):
    path = tmp_path / "book.txt"
    path.write_bytes("\ufeffOne\r\n  two\r\n\r\n\r\nthree ä\r\n".encode())
    assert list(read_text_rows(path, "document")) == [(1, {"text": "One\n  two\n\n\nthree ä"})]
    assert list(read_text_rows(path, "paragraph")) == [(1, {"text": "One\n  two"}), (5, {"text": "three ä"})]
    lines = [(1, {"text": "One"}), (2, {"text": "  two"}), (5, {"text": "three ä"})]
    assert list(read_text_rows(path, "line")) == lines
    assert bring(path, txt_rows="paragraph").counts == {"new texts": 2}
    for content, reason in ((b"", "nothing to import"), (b"caf\xe9", "is not UTF-8 text .byte 4.")):
        path.write_bytes(content)
        with pytest.raises(ImportRefused, match=reason):
            bring(path)


def test_parquet_and_another_column_by_command(tmp_path, project):
    path = tmp_path / "pile.parquet"
    pq.write_table(pa.table({"content": ["First.", "Second.", "First."]}), path)
    out = StringIO()
    call_command("import_texts", project.slug, path, "--map", "text=content", "--licence", "CC0", stdout=out)
    assert out.getvalue().splitlines()[-1] == (
        f"pile.parquet: 2 new texts, 1 repeated in the file into the texts of {project.slug}."
    )
    with pytest.raises(CommandError, match="no field title; it has text, text_id, licence, license, split"):
        call_command("import_texts", project.slug, path, "--map", "title=content")


def test_further_columns_and_the_own_id_of_a_text_are_kept(bring):
    bring([{"text": "A.", "src": "a", "id": 7, "meta": {"page": [1, 2]}}, {"text": "B.", "licence": "CC0"}])
    assert sorted(Text.objects.values_list("text", "source_id", "metadata", "licence")) == [
        ("A.", "7", {"src": "a", "meta": {"page": [1, 2]}}, ""),
        ("B.", None, None, "CC0"),
    ]


def test_records_of_texts_come_out_and_in_again_unchanged(tmp_path, bring, project):
    bring([{"text": "A.", "licence": "CC0"}, {"text": "B.", "text_id": "b", "split": "test"}])
    before = stored()
    write_records(tmp_path / "texts.parquet", text_rows(project), TEXTS)
    Text.objects.all().delete()
    bring(tmp_path / "texts.parquet")
    assert stored() == before
    # Files of before text_id and licence stay readable.
    write_records(tmp_path / "old.jsonl", [{"text": "Old.", "split": "train"}], TEXTS)
    assert read_records(tmp_path / "old.jsonl", TEXTS)[0]["licence"] is None


@pytest.mark.parametrize(
    "values",
    [{"split": "dev"}, {"text": ""}, {"external_id": ""}, {"content_hash": "h0"}, {"external_id": "x0"}],
)
def test_the_database_holds_the_rules_of_texts(project, values):
    def add(number, **values):
        Text.objects.create(
            **{
                "project": project,
                "external_id": f"x{number}",
                "text": "t",
                "split": "train",
                "content_hash": f"h{number}",
            }
            | values
        )

    add(0)
    with pytest.raises(IntegrityError), transaction.atomic():
        add(1, **values)
    add(2)
