"""The page of files of tasks in a browser: a file of this computer fills its fields."""

import pytest
from django.conf import settings
from django.urls import reverse
from playwright.sync_api import expect

from policy_training.models import BenchmarkFile
from tests.policy_training.test_benchmarks import LINES, content

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_a_file_of_this_computer_fills_the_fields_and_is_stored(
    page, client, live_server, project, max_, tmp_path
):
    path = tmp_path / "sums and more.jsonl"
    path.write_text(content(*LINES))
    client.force_login(max_)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    page.context.add_cookies(
        [{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": live_server.url}]
    )
    page.goto(live_server.url + reverse("policies:benchmark_files", args=["kitchen"]))
    page.get_by_label("From a file of this computer").set_input_files(path)
    page.get_by_text("is in the field below").wait_for()
    expect(page.get_by_label("Name", exact=True)).to_have_value("sums and more")
    page.get_by_role("button", name="Add").click()
    page.get_by_role("rowheader", name="sums and more").wait_for()
    assert set(BenchmarkFile.objects.get().summary) == {"news", "capitals", "sums"}
