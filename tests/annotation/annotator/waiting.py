"""What a browser test of the work page waits for."""

from annotation.queue.counters import find_counter_drift


def wait_for_task(page):
    page.wait_for_selector(".task")
    return page.get_attribute(".task", "data-public-id")


def wait_for_another(page, handle):
    page.wait_for_function(
        "old => { const t = document.querySelector('.task'); return t ? t.dataset.publicId !== old"
        " : document.querySelector('.no-tasks'); }",
        arg=handle,
    )


def wait_until(page, holds, seconds=300):
    for _ in range(seconds * 20):
        if holds():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it did not happen in time")


def wait_for_agreeing_counters(page):
    """The counters and the rows are read one after the other, and the page may be leased its next task in between."""
    wait_until(page, lambda: find_counter_drift() == [])
