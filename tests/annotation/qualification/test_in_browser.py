"""A training on the real work page: by keyboard, told after each task, through a cut network, then the work."""

import pytest

from annotation.models import Assignment, Qualification
from annotation.queue.counters import find_counter_drift
from tests.annotation.annotator.waiting import wait_for_task, wait_until
from tests.annotation.qualification.conftest import known_first
from tests.axe import run_axe

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def press_answer(page, right=True):
    handle = wait_for_task(page)
    first = known_first(Assignment.objects.get(public_id=handle))
    page.keyboard.press("2" if (first == "A") == right else "7")
    page.keyboard.press("Enter")


def test_a_training_is_passed_by_keyboard_and_the_work_begins(
    forgiving_page, ada, project, training, make_batch, address, open_as
):
    page = forgiving_page
    work = make_batch(tasks=1, name="Work")
    open_as(page, ada).goto(address("annotate"))
    for place in range(1, 5):
        page.get_by_text(f"task {place} of 4").wait_for()
        press_answer(page, right=place != 2)
        page.get_by_role(
            "heading", name="Not what is expected" if place == 2 else "Right", exact=True
        ).wait_for()
        if place <= 2:
            assert run_axe(page) == []
        assert page.evaluate("document.activeElement.textContent").strip().startswith("Go on")
        assert page.locator(".task input:enabled").count() == 0
        if place == 3:
            page.context.set_offline(True)
        page.keyboard.press("Enter")
        if place == 3:
            page.get_by_text("You are offline").first.wait_for()
            page.context.set_offline(False)
    page.wait_for_function(
        "() => !document.querySelector('.training-feedback') && document.querySelector('.task') !== null"
    )
    shown = Assignment.objects.get(public_id=wait_for_task(page))
    assert shown.task.batch == work
    now = Qualification.objects.get(annotator=ada)
    assert (now.state, now.right, now.answered) == ("passed", 3, 4)
    wait_until(page, lambda: find_counter_drift() == [])


def test_an_answer_given_offline_is_told_of_when_the_connection_is_back(
    forgiving_page, ada, training, address, open_as
):
    page = forgiving_page
    open_as(page, ada).goto(address("annotate"))
    page.get_by_text("task 1 of 4").wait_for()
    handle = wait_for_task(page)
    page.context.set_offline(True)
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    page.get_by_text("Your answer is kept; what was right is shown").wait_for()
    assert not Qualification.objects.exists()
    page.context.set_offline(False)
    page.locator(".training-feedback").wait_for()
    assert Qualification.objects.get().answered == 1
    assert Assignment.objects.get(public_id=handle).state == "submitted"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 320])
def test_the_pages_of_checks_are_accessible_and_fit(
    page, ada, max_, project, training, answer, address, open_as, width, scheme
):
    for right in (False, True, False, False):
        answer(ada, right)
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    known = training.batch.tasks.first()
    source = project.batches.get(name="Source of the training")
    own = [("overview", {}), ("own_training", {"pk": training.pk}), ("own_score", {}), ("annotate", {})]
    managed = [
        ("checks", {}), ("training", {"pk": training.pk}), ("known_answer", {"task_pk": known.pk}),
        ("batch", {"pk": source.pk}),
    ]  # fmt: skip
    for person, addresses in ((ada, own), (max_, managed)):
        open_as(page, person)
        for name, kwargs in addresses:
            page.goto(address(name, **kwargs))
            if name == "annotate":
                page.get_by_role("heading", name="Training first").wait_for()
            if name != "annotate":
                page.evaluate(
                    "() => { for (const d of document.querySelectorAll('main details')) d.open = true; }"
                )
            assert run_axe(page) == [], name
            assert page.evaluate("document.documentElement.scrollWidth") <= width, name
