import pytest

from tests.annotation.annotator.waiting import wait_for_task


@pytest.fixture
def begin_work(ada, make_batch, address, open_as):
    """Ada comes to the work page for a new batch; returns the id of the task on it."""

    def begin(page, **batch):
        make_batch(**batch)
        open_as(page, ada).goto(address("annotate"))
        return wait_for_task(page)

    return begin
