import pytest

from annotation.batches.actions import open_batch

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.mark.parametrize(("max_quota", "quota"), [(None, 6), (4, 4), (6, 6), (50, 6)])
def test_a_quota_is_as_many_judgments_as_the_tasks_have_room_for_and_at_most_what_was_asked(
    make_batch, max_, max_quota, quota
):
    batch = open_batch(actor=max_, batch=make_batch(tasks=3, overlap=2, opened=False), max_quota=max_quota)
    assert batch.quota == quota


def test_tasks_kept_for_one_person_are_not_in_the_quota(make_batch, max_, ada):
    def kept_for_ada(number):
        return {"reserved_for": ada} if number == 0 else {}

    batch = make_batch(tasks=3, overlap=2, opened=False, task_fields=kept_for_ada)
    batch = open_batch(actor=max_, batch=batch)
    assert batch.quota == 4
