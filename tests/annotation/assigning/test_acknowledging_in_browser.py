"""The changed guideline in the place of the next task, by keyboard, and after a lost connection."""

import pytest

from annotation.assigning.acknowledging import publish_to_acknowledge
from annotation.models import Acknowledgement, Assignment, Judgment
from tests.annotation.annotator.waiting import wait_for_task, wait_until
from tests.axe import run_axe
from workspace.actions import publish_guideline

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_the_change_is_read_and_confirmed_by_keyboard_and_the_work_goes_on(
    forgiving_page, ada, max_, project, make_batch, address, open_as
):
    page = forgiving_page
    publish_guideline(actor=max_, project=project, text="Prefer the short one.")
    make_batch(tasks=3)
    new = publish_to_acknowledge(
        actor=max_, project=project, text="Prefer the brief one.", must_acknowledge=True
    )
    open_as(page, ada).goto(address("annotate"))
    button = page.get_by_role("button", name="I have read it")
    button.wait_for()
    assert run_axe(page) == []
    # Without a connection nothing is confirmed, the page says so, and the button works again afterwards.
    page.context.set_offline(True)
    button.focus()
    page.keyboard.press("Enter")
    page.locator("#work-page-notice", has_text="You are offline").wait_for()
    page.context.set_offline(False)
    assert not Acknowledgement.objects.exists()
    button.focus()
    page.keyboard.press("Enter")
    wait_for_task(page)
    assert Acknowledgement.objects.get(person=ada).version == new.version
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    wait_until(page, lambda: Judgment.objects.count() == 1)
    assert Judgment.objects.get().guideline_version == new.version


def test_what_was_fetched_ahead_waits_until_the_change_is_confirmed(
    page, ada, max_, project, make_batch, address, open_as
):
    publish_guideline(actor=max_, project=project, text="Prefer the short one.")
    make_batch(tasks=3)
    open_as(page, ada).goto(address("annotate"))
    first = wait_for_task(page)
    wait_until(page, lambda: Assignment.objects.count() == 2)
    ahead = Assignment.objects.exclude(public_id=first).get()
    new = publish_to_acknowledge(
        actor=max_, project=project, text="Prefer the brief one.", must_acknowledge=True
    )
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    button = page.get_by_role("button", name="I have read it")
    button.wait_for()
    # Enter and digits judge nothing here.
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    button.click()
    assert wait_for_task(page) == str(ahead.public_id)
    page.keyboard.press("2")
    page.keyboard.press("Enter")
    wait_until(page, lambda: Judgment.objects.count() == 2)
    said = Judgment.objects.get(assignment=ahead)
    assert (said.guideline_version, said.strengths) == (new.version, [2])
