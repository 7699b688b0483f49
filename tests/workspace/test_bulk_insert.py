import datetime
import itertools
import uuid

import pytest
from django.db import DataError, IntegrityError, connection, transaction

from annotation.models import Batch, Prompt, Response, Source
from workspace import bulk_insert
from workspace.bulk_insert import (
    insert_objects,
    insert_values,
    keys_at_hand,
    new_object,
    reserve_keys,
    time_ordered_uuids,
    update_values,
)

DEFAULTS = {"state": "draft", "visible": True, "excluded": False, "priority": 0, "queue_version": 0}
pytestmark = [pytest.mark.db, pytest.mark.django_db]


def prompt_values(project, number, **others):
    return {
        "project": project,
        "external_id": f"p-{number}",
        "messages": [{"role": "user", "content": 'tab\t, "quotes", back\\slash, \\N and 👩‍🍳'}],
        "split": "train",
        "content_hash": f"{number:064}",
        **others,
    }


def test_rows_come_back_as_bulk_create_would_have_written_them(project):
    rows = [new_object(Prompt, **prompt_values(project, n, tags=["a"] * n, metadata=None)) for n in range(3)]
    insert_objects(rows)
    usual = Prompt.objects.bulk_create(
        [Prompt(**prompt_values(project, n, tags=["a"] * n)) for n in (7, 8, 9)]
    )
    for fast, slow in zip(
        Prompt.objects.filter(pk__in=[row.pk for row in rows]).order_by("pk"), usual, strict=True
    ):
        for field in Prompt._meta.concrete_fields:
            if field.name not in ("id", "external_id", "content_hash", "created_at", "tags"):
                assert getattr(fast, field.attname) == getattr(slow, field.attname), field.name
        assert abs(fast.created_at - slow.created_at) < datetime.timedelta(hours=1)
    assert [row.tags for row in Prompt.objects.order_by("pk")[:3]] == [[], ["a"], ["a", "a"]]
    # No row shares the list that is a field's default.
    assert rows[0].__dict__["messages"] is not rows[1].__dict__["messages"]


def test_keys_go_on_where_the_tables_own_numbering_is(project):
    first = Prompt.objects.create(**prompt_values(project, 1))
    insert_objects(fast := [new_object(Prompt, **prompt_values(project, n)) for n in (2, 3)])
    last = Prompt.objects.create(**prompt_values(project, 4))
    keys = [first.pk, *(row.pk for row in fast), last.pk]
    assert keys == sorted(set(keys))
    # A deleted row's key is not given again.
    last.delete()
    insert_objects(again := [new_object(Prompt, **prompt_values(project, 5))])
    assert again[0].pk > keys[-1]
    assert not again[0]._state.adding and again[0].project is project


def test_the_databases_rules_hold(project):
    prompt = Prompt.objects.create(**prompt_values(project, 1))
    with pytest.raises(IntegrityError), transaction.atomic():
        insert_objects([new_object(Prompt, **prompt_values(project, 1))])
    source = Source.objects.create(project=project, kind="import", name="file")
    with pytest.raises((IntegrityError, DataError)), transaction.atomic():
        insert_objects([new_object(Response, project=project, prompt=prompt, source=source, text="a\x00b")])
    assert Prompt.objects.count() == 1 and Response.objects.count() == 0


def test_numbers_of_many_rows_are_set_at_once(project):
    insert_values(
        Batch,
        ["project_id", "criterion_id", "name", "kind", "responses_per_task", "overlap", *DEFAULTS],
        [
            (project.pk, project.criteria.get().pk, f"b{n}", "pairwise", 2, 1, *DEFAULTS.values())
            for n in range(3)
        ],
    )
    first, second, third = Batch.objects.order_by("pk")
    update_values(Batch, ["priority", "quota"], [(first.pk, 5, 10), (third.pk, -1, 20)])
    update_values(Batch, ["priority", "quota"], [])
    assert list(Batch.objects.order_by("pk").values_list("name", "priority", "quota")) == [
        ("b0", 5, 10),
        ("b1", 0, None),
        ("b2", -1, 20),
    ]


@pytest.mark.django_db(transaction=True)
def test_keys_are_reserved_inside_a_transaction_only():
    assert not connection.in_atomic_block
    with pytest.raises(transaction.TransactionManagementError):
        reserve_keys(Prompt, 1)


def test_more_rows_than_a_statement_holds_are_all_there_in_order(project, monkeypatch):
    monkeypatch.setattr(bulk_insert, "ROWS_PER_STATEMENT", 3)
    rows = [new_object(Prompt, **prompt_values(project, n)) for n in range(8)]
    insert_objects(rows)
    stored = Prompt.objects.filter(project=project).order_by("pk").values_list("pk", "external_id")
    assert list(stored) == [(row.pk, f"p-{n}") for n, row in enumerate(rows)]


def test_ids_in_the_order_of_time_say_nothing_of_the_order_in_one_call():
    earlier, later = time_ordered_uuids(500), time_ordered_uuids(500)
    assert {one.version for one in earlier} == {7} and {one.variant for one in earlier} == {uuid.RFC_4122}
    assert len(set(earlier + later)) == 1000
    assert len({one.hex[:12] for one in earlier}) == 1
    assert later[0].hex[:12] >= earlier[0].hex[:12]
    # Of 499 neighbours about half go up: with a fair coin 150 or fewer come once in 10**18 calls.
    assert 150 < sum(a < b for a, b in itertools.pairwise(earlier)) < 350


def test_moments_are_stored_to_the_microsecond_whatever_their_zone(project):
    utc = datetime.datetime(2026, 3, 29, 0, 59, 59, 999_999, tzinfo=datetime.UTC)
    moments = [
        utc,
        utc.astimezone(datetime.timezone(datetime.timedelta(hours=5, minutes=45))),
        utc + datetime.timedelta(microseconds=1),
        datetime.datetime(
            1969, 12, 31, 23, 0, tzinfo=datetime.timezone(-datetime.timedelta(hours=3, minutes=30))
        ),
    ]
    names = [field.attname for field in Prompt._meta.concrete_fields if not field.primary_key]
    rows = [new_object(Prompt, **prompt_values(project, n)) for n in range(len(moments))]
    for row, moment in zip(rows, moments, strict=True):
        row.created_at = moment
    insert_values(Prompt, names, [[row.__dict__[name] for name in names] for row in rows])
    stored = list(Prompt.objects.filter(project=project).order_by("pk").values_list("created_at", flat=True))
    assert stored == moments and stored[0] == stored[1] != stored[2]


def test_new_rows_get_the_keys_that_were_reserved_for_them_and_then_others(project):
    with transaction.atomic():
        held = reserve_keys(Prompt, 3)
        first, second = (
            [new_object(Prompt, **prompt_values(project, n)) for n in of] for of in ((1, 2), (3,))
        )
        with keys_at_hand({Prompt: list(held)}):
            insert_objects(first)
            insert_objects(second)
            insert_objects(more := [new_object(Prompt, **prompt_values(project, 4))])
        insert_objects(after := [new_object(Prompt, **prompt_values(project, 5))])
    assert [row.pk for row in first + second] == held
    assert held[-1] < more[0].pk < after[0].pk
