"""The workspace's and the rounds' pages in a browser: accessible, and nothing overflows, in both themes."""

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from events.actions import change_webhook
from events.models import Webhook
from tests.axe import complaints
from tests.every_page import addresses_of_every_page

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def pages(page, client, live_server, project, criterion, max_, make_user, tmp_path, settings):
    """A manager's browser, and the addresses of all pages by name."""
    paths = addresses_of_every_page(project, criterion, max_, make_user, tmp_path, settings)
    client.force_login(max_)
    cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}
    page.context.add_cookies([cookie])
    return page, {name: live_server.url + path for name, path in paths.items()}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 320])
def test_every_page_is_accessible_and_fits(pages, width, scheme):
    page, addresses = pages
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    found = {}
    for name, address in addresses.items():
        page.goto(address)
        found[name] = complaints(page, width)
    assert found == {name: [] for name in addresses}


def test_every_page_fits_in_german_on_a_phone(pages):
    """Its words are the longest."""
    page, addresses = pages
    page.set_viewport_size({"width": 320, "height": 900})
    page.set_extra_http_headers({"Accept-Language": "de"})
    found = {}
    for name, address in addresses.items():
        page.goto(address)
        found[name] = page.evaluate("[document.documentElement.lang, document.documentElement.scrollWidth]")
    assert found == {name: ["de", 320] for name in addresses}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_refused_fields_and_notes_with_code_are_legible(pages, live_server, olga, scheme):
    page, addresses = pages
    page.emulate_media(color_scheme=scheme)
    page.goto(addresses["password"])
    page.get_by_role("button", name="Change the password").click()
    page.locator(".text-danger").first.wait_for()
    assert complaints(page, 1280) == []
    # A project without policies and prompts: its warnings name commands.
    page.context.clear_cookies()
    page.goto(live_server.url + reverse("workspace:login"))
    page.get_by_label("Username").fill("olga")
    page.get_by_label("Password").fill("correct horse battery")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Your projects").wait_for()
    page.goto(live_server.url + reverse("rounds:start", args=["garden"]))
    expect(page.locator(".alert-warning code")).to_have_count(2)
    assert complaints(page, 1280) == []
    page.complaints.clear()  # a refused form is a 422, which the browser writes to its console


def test_on_a_phone_every_control_of_people_is_on_the_screen(pages):
    page, addresses = pages
    page.set_viewport_size({"width": 320, "height": 700})
    page.goto(addresses["people"])
    outside = page.evaluate(
        """[...document.querySelectorAll('main :is(select, button, input:not([type=hidden]))')]
        .map(e => [e.textContent.trim(), e.getBoundingClientRect()])
        .filter(([_, b]) => b.left < 0 || b.right > 320 || b.width < 44).map(([t]) => t)"""
    )
    assert outside == []
    select = page.locator("select[id^=role-]").first
    assert select.evaluate("e => e.clientWidth") >= 120


def test_an_invitation_is_made_copied_and_gone_after_a_reload(pages):
    page, addresses = pages
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(addresses["people"])
    page.get_by_role("button", name="Make an invitation link").click()
    link = page.get_by_label("The invitation's link").input_value()
    assert "/invitations/" in link
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == link
    page.reload()
    assert page.get_by_label("The invitation's link").count() == 0
    expect(page.get_by_role("list", name="Open invitations").get_by_role("listitem")).to_have_count(2)


def test_removing_a_member_asks_first(pages, project):
    page, addresses = pages
    page.goto(addresses["people"])
    button = page.get_by_role("button", name="Remove a-colleague")
    button.click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Remove a-colleague-with-a-long-name from Kitchen?", use_inner_text=True)
    assert complaints(page, 1280) == []
    dialog.get_by_role("button", name="No, go back").click()
    before = project.memberships.count()
    button.click()
    dialog.get_by_role("button", name="Remove").click()
    page.get_by_text("is no longer on the project").wait_for()
    assert project.memberships.count() == before - 1


def test_login_is_accessible_and_a_wrong_password_says_so(page, live_server, max_):
    page.goto(live_server.url + reverse("workspace:login"))
    assert complaints(page, 1280) == []
    page.get_by_label("Username").fill("max")
    page.get_by_label("Password").fill("wrong")
    page.keyboard.press("Enter")
    page.get_by_role("alert").wait_for()
    assert complaints(page, 1280) == []
    page.get_by_label("Password").fill("correct horse battery")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Your projects").wait_for()
    page.get_by_role("button", name="Log out").click()
    page.get_by_role("heading", name="Log in").wait_for()


def test_the_chosen_theme_stays(page, live_server):
    page.emulate_media(color_scheme="light")
    page.goto(live_server.url + reverse("workspace:login"))
    theme = "document.documentElement.dataset.bsTheme"
    assert page.evaluate(theme) == "light"
    page.get_by_role("button", name="Switch between light and dark").click()
    page.reload()
    assert page.evaluate(theme) == "dark"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_versions_of_a_webhook_are_legible_and_fit(pages, max_, scheme):
    page, addresses = pages
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": 320, "height": 900})
    page.goto(addresses["webhook"])
    theirs = Webhook.objects.get()
    change_webhook(actor=max_, webhook=theirs, description="Theirs", kinds=["run.done"])
    page.get_by_label("Description").fill("Mine, with a-long-word-that-has-no-place-to-break-in-it-whatever")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("heading", name="Changed meanwhile").wait_for()
    for width in (320, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        assert complaints(page, width) == []
    page.get_by_role("button", name="Save mine").click()
    page.wait_for_url(addresses["webhook"])
    theirs.refresh_from_db()
    assert theirs.description.startswith("Mine") and theirs.kinds == []
    page.complaints.clear()  # a refused form is a 409, which the browser writes to its console
