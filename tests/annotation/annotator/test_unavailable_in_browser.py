"""The database is full for a while: the page goes on with what it has, and the judgments arrive afterwards, once."""

import sqlite3

import pytest
from django.db import OperationalError

from annotation.annotator import endpoints
from annotation.models import Judgment
from tests.annotation.annotator.test_one_request_in_browser import wait_for_prefetch
from tests.annotation.annotator.waiting import (
    wait_for_agreeing_counters,
    wait_for_another,
    wait_for_task,
    wait_until,
)

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def refuse(**_):
    cause = sqlite3.OperationalError("database or disk is full")
    cause.sqlite_errorcode = sqlite3.SQLITE_FULL
    raise OperationalError("database or disk is full") from cause


def test_judgments_wait_out_a_503_and_arrive_once(
    forgiving_page, ada, make_batch, address, open_as, monkeypatch
):
    page, answers = forgiving_page, []
    page.on("response", lambda response: answers.append((response.url.rsplit("/", 2)[1], response.status)))
    make_batch(tasks=4)
    open_as(page, ada).goto(address("annotate"))
    first = wait_for_task(page)
    wait_for_prefetch(page, 2)
    with monkeypatch.context() as patch:
        patch.setattr(endpoints, "submit_judgment", refuse)
        page.keyboard.press("3")
        page.keyboard.press("Enter")
        wait_for_another(page, first)
        second = wait_for_task(page)
        wait_until(page, lambda: ("submit", 503) in answers)
        page.wait_for_selector("#work-page-sync:has-text('1')")
        # A reload in the middle of it loses nothing either.
        page.reload()
        wait_until(page, lambda: answers.count(("submit", 503)) >= 2)
        assert Judgment.objects.count() == 0
    wait_until(page, lambda: Judgment.objects.count() == 1, seconds=60)
    assert str(Judgment.objects.get().assignment.public_id) == first
    wait_until(page, lambda: page.inner_text("#work-page-sync") == "")
    assert wait_for_task(page) == second
    page.keyboard.press("8")
    page.keyboard.press("Enter")
    wait_until(page, lambda: Judgment.objects.count() == 2)
    wait_for_agreeing_counters(page)
