"""A settings page that is left with unsaved text asks, in the page for links and in the browser's words otherwise."""

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from tests.annotation.annotator.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def settings_page(page, live_server, max_, project, client):
    client.force_login(max_)
    cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}
    page.context.add_cookies([cookie])
    page.goto(live_server.url + reverse("annotation:settings", kwargs={"slug": project.slug}))
    return page


def test_unsaved_text_is_asked_about_and_saved_text_is_not(settings_page):
    page = settings_page
    here = page.url
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.dismiss()))
    page.fill("textarea[name=text]", "A long guideline.")
    page.click(".nav-links >> text=People")
    expect(page.locator("dialog.confirm >> text=not saved")).to_be_visible()
    page.click("text=Stay on this page")
    expect(page.locator("dialog.confirm[open]")).to_have_count(0)
    assert (page.url, page.input_value("textarea[name=text]")) == (here, "A long guideline.")
    # Another form's button would lose it too: the browser asks.
    page.click("text=Save the question's settings", no_wait_after=True)
    wait_until(page, lambda: asked == ["beforeunload"])
    expect(page.locator("textarea[name=text]")).to_have_value("A long guideline.")
    # Its own button saves without a question, and afterwards there is nothing to ask about.
    page.click("text=Publish a new version")
    page.wait_for_selector("text=Saved.")
    page.click(".nav-links >> text=People")
    page.wait_for_url("**/people/")
    assert asked == ["beforeunload"]


def test_text_that_the_server_did_not_save_is_still_asked_about_and_may_be_left(settings_page, max_, project):
    from workspace.actions import publish_guideline

    page = settings_page
    publish_guideline(actor=max_, project=project, text="Somebody was faster.")
    page.fill("textarea[name=text]", "Mine.")
    page.click("text=Publish a new version")
    page.wait_for_selector("#published-text")
    page.click(".nav-links >> text=People")
    page.click("text=Leave without saving")
    page.wait_for_url("**/people/")
    assert [version.text for version in project.guidelines.order_by("-version")[:1]] == [
        "Somebody was faster."
    ]
    # The refusal (409) is an error on the console.
    page.complaints[:] = [words for words in page.complaints if "409" not in words]
