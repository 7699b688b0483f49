"""Text at 200 % of the browser's own size, as people set it there: grades are seen, nothing is cut."""

import pytest

from tests.annotation.annotator.right_to_left import CUT
from tests.annotation.annotator.waiting import wait_for_task
from tests.conftest import CHROMIUM_FLAGS, chromium_path

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def large_page(browser):
    flags = [*CHROMIUM_FLAGS, "--blink-settings=defaultFontSize=32"]
    large = browser.browser_type.launch(executable_path=chromium_path(), args=flags)
    context = large.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(300_000)
    yield context.new_page()
    large.close()


@pytest.mark.parametrize("responses", [2, 3])
@pytest.mark.parametrize("forced", ["none", "active"])
def test_at_twice_the_size_every_grade_is_whole(
    large_page, ada, make_batch, address, open_as, responses, forced
):
    page = large_page
    page.emulate_media(forced_colors=forced)
    make_batch(tasks=1, responses_per_task=responses)
    open_as(page, ada).goto(address("annotate"))
    wait_for_task(page)
    assert page.evaluate("getComputedStyle(document.documentElement).fontSize") == "32px"
    for width in (1440, 640):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(CUT) == []
        submit = page.locator(".btn-submit").bounding_box()
        assert submit["y"] >= 0 and submit["y"] + submit["height"] <= 900
        # Half of the window at least is left for the answers.
        assert page.locator(".task-footer").bounding_box()["height"] <= 0.55 * 900 + 1
