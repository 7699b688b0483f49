"""Go through a running demo as a newcomer would, and save a picture of every page.

    .venv/bin/python manage.py demo --rounds 1          (in one terminal; it prints the address and the two passwords)
    .venv/bin/python docs/take_screenshots.py http://127.0.0.1:8000 ANNOTATOR_PASSWORD MANAGER_PASSWORD docs/screenshots

The annotator judges ten pairs by keyboard alone. Pictures are taken at 1280 and 320 pixels, light and dark.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, TimeoutError, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
VARIANTS = [(1280, "light"), (1280, "dark"), (320, "light"), (320, "dark")]


def log_in(browser: Browser, address: str, username: str, password: str) -> Page:
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.on("console", lambda message: print("console:", message.text) if message.type == "error" else None)
    page.goto(address + "/login/")
    page.get_by_label("User name").or_(page.get_by_label("Username")).fill(username)
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/login/" not in url)
    return page


def save_screenshot(page: Page, name: str, folder: Path) -> None:
    for width, scheme in VARIANTS:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(400)
        page.screenshot(path=folder / f"{name}-{width}-{scheme}.png", full_page=True)
    page.set_viewport_size({"width": 1280, "height": 900})
    page.emulate_media(color_scheme="light")


def judge_by_keyboard(page: Page, count: int) -> int:
    """Press a point of the scale and Enter until `count` tasks are answered or none is left."""
    for answered in range(count):
        try:
            page.locator("[data-response]").nth(1).wait_for(timeout=15_000)
        except TimeoutError:
            return answered
        before = page.locator(".pair").inner_text()
        page.keyboard.press("2" if answered % 3 else "7")
        page.keyboard.press("Enter")
        deadline = time.monotonic() + 15
        while page.locator(".pair").all_inner_texts() == [before] and time.monotonic() < deadline:
            page.wait_for_timeout(50)
    return count


def find_ranking(page: Page) -> bool:
    """Skip pairs until a ranking of three or more answers is on the screen."""
    for _ in range(25):
        page.locator("[data-response]").nth(1).wait_for(timeout=15_000)
        if page.locator("#ranking [data-response]").count():
            return True
        before = page.locator("#work-page-task").inner_text()
        page.keyboard.press("s")
        while page.locator("#work-page-task").inner_text() == before:
            page.wait_for_timeout(50)
    return False


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("address")
    parser.add_argument("annotator_password")
    parser.add_argument("manager_password")
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        executable = os.environ.get("ROUNDTABLE_CHROMIUM", "/usr/bin/chromium")
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        visit_pages(browser, options)
        browser.close()


def visit_pages(browser: Browser, options: argparse.Namespace) -> None:
    anonymous = browser.new_context().new_page()
    anonymous.goto(options.address + "/login/")
    save_screenshot(anonymous, "login", options.folder)

    annotator = log_in(browser, options.address, "demo-annotator", options.annotator_password)
    annotator.locator(".project-list a").last.click()
    save_screenshot(annotator, "overview", options.folder)
    overview = annotator.url
    annotator.goto(overview + "work/")
    annotator.locator("[data-response]").nth(1).wait_for()
    save_screenshot(annotator, "pair", options.folder)
    print("judged by keyboard:", judge_by_keyboard(annotator, 10))

    manager = log_in(browser, options.address, "demo-manager", options.manager_password)
    manager.locator(".project-list a").last.click()
    rounds = manager.url
    for name, place in (
        ("people", "people/"),
        ("settings", "annotate/settings/"),
        ("batches", "annotate/batches/"),
        ("runs", "runs/"),
    ):
        manager.goto(rounds.replace("/rounds/", f"/{place}"))
        save_screenshot(manager, name, options.folder)
    manager.locator("main a[href*='/runs/']").first.click()
    manager.wait_for_timeout(3000)
    first = manager.locator(".run-live").inner_text()
    manager.wait_for_timeout(6000)
    print("the run's page moved:", manager.locator(".run-live").inner_text() != first)
    save_screenshot(manager, "run", options.folder)

    print("waiting for round 1 to end")
    manager.goto(rounds)
    while not manager.locator("a", has_text="Round 2").count():
        manager.wait_for_timeout(2000)
        manager.goto(rounds)
    save_screenshot(manager, "rounds", options.folder)
    manager.goto(rounds + "1/")
    save_screenshot(manager, "round", options.folder)
    print("agreement:", manager.locator(".agreement").all_inner_texts())
    annotator.goto(overview)
    print("overview:", annotator.locator("main").inner_text().splitlines()[:4])
    while manager.locator(".badge-state", has_text="Annotating").count() == 0:
        manager.wait_for_timeout(1000)
        manager.goto(rounds + "2/")
    save_screenshot(manager, "round-2", options.folder)
    annotator.goto(overview)
    save_screenshot(annotator, "overview-round-2", options.folder)
    annotator.goto(overview + "work/")
    if find_ranking(annotator):
        save_screenshot(annotator, "ranking", options.folder)
    manager.goto(rounds.replace("/rounds/", "/runs/"))
    save_screenshot(manager, "runs-after", options.folder)
    manager.locator("main a", has_text="PPO").last.click()
    manager.wait_for_timeout(3000)
    save_screenshot(manager, "run-ppo", options.folder)


if __name__ == "__main__":
    sys.exit(main())
