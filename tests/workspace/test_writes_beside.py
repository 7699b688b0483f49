"""SQLite's statements in a thread: the same rows as without it, in the same order, and nothing of what is undone."""

import threading

import pytest
from django.db import IntegrityError, transaction

from annotation.models import Prompt, PromptSet, PromptSetMember
from workspace.actions import record_audit
from workspace.bulk_insert import insert_objects, insert_values, new_object, reserve_keys
from workspace.models import AuditEvent
from workspace.writes_beside import current_writes, writes_beside

pytestmark = [pytest.mark.django_db(transaction=True)]  # SQLite's alone


def prompts(project, numbers):
    return [
        new_object(
            Prompt, project=project, external_id=f"p-{n}", messages=[], split="train", content_hash=f"{n:064}"
        )
        for n in numbers
    ]


def stored():
    return list(Prompt.objects.order_by("pk").values_list("external_id", flat=True))


def test_rows_savepoints_and_readers_come_in_the_order_in_which_they_are_given(project, max_):
    with writes_beside() as writes:
        for first in (0, 10):
            with transaction.atomic(), writes.transaction():
                insert_objects(kept := prompts(project, range(first, first + 5)))
                with pytest.raises(KeyError), transaction.atomic():
                    insert_objects(prompts(project, range(first + 5, first + 10)))
                    raise KeyError
                assert len(stored()) == first // 2 + 5  # who reads the table waits for its rows
                record_audit(actor=max_, action="prompts.add", project=project, rows=first)
                insert_objects(last := prompts(project, [first + 9]))
                assert last[0].pk > kept[-1].pk
                last[0].delete()
    assert stored() == [f"p-{n}" for n in (0, 1, 2, 3, 4, 10, 11, 12, 13, 14)]
    events = AuditEvent.objects.filter(action="prompts.add").order_by("pk")
    assert list(events.values_list("details", "actor", "project")) == [
        ({"rows": rows}, max_.pk, project.pk) for rows in (0, 10)
    ]
    assert current_writes() is None and not threads()


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "writes beside"]


def test_keys_go_on_after_rows_that_left_theirs_to_the_database(project):
    prompt_set = PromptSet.objects.create(project=project, name="s", purpose="sft")
    with writes_beside() as writes, transaction.atomic(), writes.transaction():
        insert_objects(some := prompts(project, range(4)))
        first = reserve_keys(PromptSetMember, 1)
        insert_values(
            PromptSetMember, ["id", "prompt_set_id", "prompt_id"], [(*first, prompt_set.pk, some[0].pk)]
        )
        insert_values(PromptSetMember, ["prompt_set_id", "prompt_id"], [(prompt_set.pk, some[1].pk)])
        second = reserve_keys(PromptSetMember, 2)
        assert second == [first[0] + 2, first[0] + 3]
        insert_objects([new_object(PromptSetMember, prompt_set=prompt_set, prompt=some[2])])
    assert PromptSetMember.objects.count() == 3


@pytest.mark.parametrize("waits", [True, False])
def test_what_is_refused_is_raised_at_the_latest_at_the_end_and_nothing_stays(project, waits):
    def store(writes):
        with transaction.atomic(), writes.transaction():
            insert_objects(prompts(project, range(3)))
            insert_objects(prompts(project, [2, 3]))  # an id twice
            insert_objects(prompts(project, range(4, 900)))
            if waits:
                stored()

    with writes_beside() as writes, pytest.raises(IntegrityError, match="UNIQUE constraint failed"):
        store(writes)
    with pytest.raises(transaction.TransactionManagementError), transaction.atomic(), writes.transaction():
        insert_objects(prompts(project, [1]))
    assert stored() == [] and current_writes() is None and not threads()
    with writes_beside() as writes, transaction.atomic(), writes.transaction():
        insert_objects(prompts(project, range(3)))
    assert stored() == ["p-0", "p-1", "p-2"]


def test_what_waits_when_the_caller_fails_is_not_stored(project):
    with pytest.raises(KeyError), writes_beside() as writes, transaction.atomic(), writes.transaction():
        for first in range(0, 5000, 1000):
            insert_objects(prompts(project, range(first, first + 1000)))
        raise KeyError
    assert stored() == []


def test_outside_a_transaction_nothing_goes_beside(project):
    with writes_beside() as writes:
        with pytest.raises(transaction.TransactionManagementError), writes.transaction():
            pass
        with transaction.atomic(), writes.transaction():
            with pytest.raises(transaction.TransactionManagementError), writes.transaction():
                pass
            insert_objects(prompts(project, [1]))
    assert stored() == ["p-1"]
