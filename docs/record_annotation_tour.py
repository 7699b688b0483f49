"""Record the pictures of docs/annotation-tour.md: annotators' sessions and the quality pages, again in a few minutes.

    PYTHONPATH=. .venv/bin/python docs/record_annotation_tour.py docs/screenshots/annotation-tour --data FOLDER

A site of its own in a temporary folder (SQLite, one web worker, one worker that trains and serves a small model).
FOLDER has tulu1_graded_pairs_17_evaluators.jsonl.gz and pandalm_pairs_3_annotators.jsonl.gz (default:
ROUNDTABLE_SHARED_DATA); without it the quality pages are left out. Pictures are WebP, which Chromium writes itself.
"""

import argparse
import base64
import os
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import Browser, Page, sync_playwright

if TYPE_CHECKING:
    from workspace.models import Project

ROOT = Path(__file__).resolve().parents[1]
PASSWORD = secrets.token_urlsafe(16)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"]
DESKTOP, PHONE, SMALL_PHONE = (1280, 800), (390, 780), (320, 640)
QUALITY = 82  # of the WebP: letters stay sharp
TALLEST = 2200  # pixels of a picture of a whole page
MAX_SECONDS = 900
PARTS = ("desk", "dialogues", "writing", "quality", "live")


class Camera:
    """Browser pages of one person, and the pictures taken of them in the order in which the tour has them."""

    def __init__(self, browser: Browser, address: str, folder: Path):
        self.browser, self.address, self.folder = browser, address, folder
        self.sessions: dict[tuple[str, str], Page] = {}

    def open(self, who: str, place: str, *, locale: str = "en-GB") -> Page:
        """Somebody's page at `place`; each person and language has one browser context."""
        page = self.sessions.get((who, locale))
        if page is None:
            page = self.browser.new_context(locale=locale, timezone_id="UTC").new_page()
            page.set_default_timeout(60_000)
            page.goto(self.address + "/login/")
            page.locator("[name=username]").fill(who)
            page.locator("[name=password]").fill(PASSWORD)
            page.keyboard.press("Enter")
            page.wait_for_url(lambda url: "/login/" not in url)
            self.sessions[who, locale] = page
        page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
        page.goto(self.address + place)
        return page

    def take(
        self,
        page: Page,
        name: str,
        size: tuple[int, int] = DESKTOP,
        scheme: Any = "light",
        *,
        whole: bool = False,
    ) -> None:
        """`whole`: the window is as tall as the page, up to a limit; what is docked stands at the page's end then."""
        session = page.context.new_cdp_session(page)
        # A phone has no pointer that hovers, and no keys.
        session.send("Emulation.setTouchEmulationEnabled", {"enabled": size != DESKTOP})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.set_viewport_size({"width": size[0], "height": size[1]})
        page.evaluate("scrollTo(0, 0)")
        page.wait_for_timeout(350)  # colours that change slowly
        if whole:
            full = page.evaluate("document.documentElement.scrollHeight")
            page.set_viewport_size({"width": size[0], "height": max(size[1], min(full, TALLEST))})
            page.wait_for_timeout(100)
        taken = session.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
        data = base64.b64decode(taken["data"])
        (self.folder / f"{name}.webp").write_bytes(data)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= size[0], f"{name}: the page is {wide} pixels wide"
        print(f"{name}: {len(data) // 1024} KiB", flush=True)


def next_task(page: Page, *keys: str) -> None:
    """Press keys, the last of which submits, and wait for another task or for the end of them."""
    before = page.get_attribute(".task", "data-public-id")
    for key in keys:
        page.keyboard.press(key)
    page.wait_for_function(
        "old => document.querySelector('.no-tasks') || ![null, undefined, old]"
        ".includes(document.querySelector('.task')?.dataset.publicId)",
        arg=before,
    )


def work(project: "Project") -> str:
    return f"/projects/{project.slug}/annotate/work/"


def record_pairs(camera: Camera, project: "Project", who: str) -> None:
    page = camera.open(who, f"/projects/{project.slug}/annotate/")
    camera.take(page, "overview")
    camera.take(page, "overview-phone", PHONE, "dark")
    page = camera.open(who, work(project))
    page.wait_for_selector(".task")
    page.keyboard.press("2")
    camera.take(page, "pair")
    camera.take(page, "pair-dark", DESKTOP, "dark")
    camera.take(page, "pair-phone", PHONE)
    page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
    page.keyboard.press("r")
    page.wait_for_selector("#guideline-dialog[open]")
    camera.take(page, "guideline")
    page.keyboard.press("r")
    page.wait_for_selector("#guideline-dialog:not([open])", state="attached")
    next_task(page, "Enter")  # code
    page.keyboard.press("1")
    camera.take(page, "code-phone", PHONE, "dark")
    next_task(page, "Enter")  # nearly the same answers
    page.keyboard.press("y")
    page.wait_for_selector("mark.difference")
    camera.take(page, "differences")
    next_task(page, "3", "Enter")  # a conversation with earlier turns
    camera.take(page, "conversation-folded-phone", PHONE)
    next_task(page, "2", "Enter")  # formulas
    page.wait_for_selector(".katex")
    page.context.set_offline(True)
    next_task(page, "1", "Enter")  # an Arabic text, which is here already
    page.wait_for_selector("#work-page.is-offline")
    page.keyboard.press("2")
    camera.take(page, "offline-arabic-phone", PHONE, "dark")
    page.context.set_offline(False)
    page.wait_for_selector("#work-page:not(.is-offline)")
    page = camera.open(who, work(project), locale="de-DE")
    page.wait_for_selector(".task")
    page.keyboard.press("7")
    camera.take(page, "pair-in-german")
    camera.take(page, "pair-in-german-phone", SMALL_PHONE, "dark")


def record_rankings(camera: Camera, project: "Project", who: str) -> None:
    page = camera.open(who, work(project))
    page.wait_for_selector("#ranking .rank-card")
    order = page.eval_on_selector_all(
        "#ranking .rank-card", "all => all.map(card => [card.dataset.response, card.innerText.length])"
    )
    page.click("[data-way=typed]")
    for label, _ in order[:2]:
        page.keyboard.press(label.lower())
    camera.take(page, "ranking-by-letters", DESKTOP, "dark")
    for label, _ in order[2:]:
        page.keyboard.press(label.lower())
    for key in "21":
        page.keyboard.press(key)
    page.keyboard.press("=")
    camera.take(page, "ranking", whole=True)
    camera.take(page, "ranking-phone", PHONE, "dark", whole=True)
    page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
    for step in range(page.locator(".step").count()):
        if not page.locator(".step").nth(step).locator("input:checked").count():
            page.locator(".step").nth(step).focus()
            page.keyboard.press("2")
    next_task(page, "Control+Enter")
    if page.locator("#guided").is_hidden():
        page.click("[data-way=guided]")
    page.wait_for_selector("#guided:not([hidden])")
    page.keyboard.press("1")
    page.keyboard.press("1")
    camera.take(page, "guided")
    camera.take(page, "guided-phone", SMALL_PHONE, "dark")


def record_ratings(camera: Camera, project: "Project", who: str) -> None:
    page = camera.open(who, work(project))
    page.wait_for_selector(".task")
    for key in "65":
        page.keyboard.press(key)
    camera.take(page, "rating")
    camera.take(page, "rating-phone", PHONE, "dark", whole=True)
    page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
    next_task(page, "7", "1", "Enter")


def record_history(camera: Camera, pairs: "Project", ratings: "Project", who: str) -> None:
    page = camera.open(who, f"/projects/{pairs.slug}/annotate/history/")
    camera.take(page, "history", whole=True)
    camera.take(page, "history-phone", PHONE, "dark", whole=True)
    page = camera.open(who, f"/projects/{ratings.slug}/annotate/history/", locale="de-DE")
    camera.take(page, "history-of-ratings-in-german-phone", SMALL_PHONE, whole=True)


def record_conversation(camera: Camera, project: "Project", who: str) -> None:
    page = camera.open(who, f"/projects/{project.slug}/annotate/conversations/")
    camera.take(page, "conversations")
    page.locator("main form button[type=submit]").click()
    page.wait_for_selector("#live-form:not([hidden])")
    page.select_option("#live-opener", index=1)
    camera.take(page, "live-message-phone", PHONE, "dark")
    page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
    page.press("#live-message", "Enter")
    page.wait_for_selector(".task", timeout=1000 * MAX_SECONDS)
    page.keyboard.press("3")
    camera.take(page, "live-answers")
    page.keyboard.press("Enter")
    page.wait_for_selector("#live-form:not([hidden])")
    page.fill("#live-message", "How long should I bake it?")
    page.press("#live-message", "Enter")
    page.wait_for_selector(".task", timeout=1000 * MAX_SECONDS)
    page.keyboard.press("7")
    camera.take(page, "live-second-turn", DESKTOP, "dark")
    camera.take(page, "live-second-turn-phone", PHONE, whole=True)


def record_dialogues(camera: Camera, project: "Project", who: str) -> None:
    page = camera.open(who, work(project))
    page.wait_for_selector(".task")
    page.keyboard.press("2")
    camera.take(page, "dialogues", whole=True)
    camera.take(page, "dialogues-phone", PHONE, "dark", whole=True)
    page = camera.open(who, work(project), locale="de-DE")
    page.wait_for_selector(".task")
    camera.take(page, "dialogues-in-german-phone", SMALL_PHONE)


def record_writing(camera: Camera, project: "Project", writer: str, checker: str) -> None:
    page = camera.open(writer, f"/projects/{project.slug}/annotate/writing/")
    page.locator("main form button[type=submit]").first.click()
    page.wait_for_url("**/annotate/writing/*-*/")
    page.locator("#turn-1").fill("How long does cooked rice keep in the fridge?")
    camera.take(page, "writing")
    camera.take(page, "writing-phone", SMALL_PHONE, "dark")
    page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
    page.locator("#writing button[type=submit]").click()
    page.wait_for_selector("main h2")
    page = camera.open(checker, f"/projects/{project.slug}/annotate/written/to-check/")
    page.locator("main .recent-prompt a").first.click()
    page.wait_for_url("**/texts/*/")
    camera.take(page, "writing-checked")
    page = camera.open(checker, page.url.removeprefix(camera.address), locale="de-DE")
    camera.take(page, "writing-checked-in-german-phone", SMALL_PHONE, "dark")


def record_quality(camera: Camera, project: "Project", who: str, name: str) -> None:
    quality = f"/projects/{project.slug}/annotate/quality/"
    page = camera.open(who, quality)
    camera.take(page, f"{name}-agreement", whole=True)
    camera.take(page, f"{name}-agreement-phone", PHONE, "dark", whole=True)
    page = camera.open(who, quality + "annotators/")
    camera.take(page, f"{name}-annotators", DESKTOP, "dark", whole=True)
    page.locator("main table tbody th a").first.click()
    page.wait_for_url("**/annotators/*/**")
    camera.take(page, f"{name}-annotator", whole=True)
    page = camera.open(who, quality + "leaderboard/")
    camera.take(page, f"{name}-leaderboard", whole=True)
    page = camera.open(who, quality + "uncertain/")
    camera.take(page, f"{name}-uncertain", DESKTOP, "dark")


def wait_until_done(run: Any) -> None:
    deadline = time.monotonic() + MAX_SECONDS
    while run.state not in ("done", "failed", "cancelled"):
        assert time.monotonic() < deadline, f"{run.title} does not end"
        time.sleep(1)
        run.refresh_from_db()
    assert run.state == "done", run.error


def record(folder: Path, data: Path | None, parts: list[str], chromium: str, temporary: Path) -> None:
    import django

    django.setup()
    from demo import processes
    from docs import annotation_tour_site as site_module

    site = site_module.make_site(PASSWORD)
    port = processes.free_port(8400 + secrets.randbelow(1000))
    address = f"http://127.0.0.1:{port}"
    commands = processes.web_server_command(port), processes.worker_command()
    with processes.run_processes(*commands), sync_playwright() as playwright:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{address}/healthz", timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        camera = Camera(browser, address, folder)
        annotator, manager = site.annotator.username, site.manager.username
        if "desk" in parts:
            record_pairs(camera, site.pairs, annotator)
            record_rankings(camera, site.rankings, annotator)
            record_ratings(camera, site.ratings, annotator)
            record_history(camera, site.pairs, site.ratings, annotator)
        if "dialogues" in parts:
            record_dialogues(camera, site.dialogues, annotator)
        if "writing" in parts:
            record_writing(camera, site.writing, annotator, manager)
        if "quality" in parts and data is not None:
            for name, title, read in (
                ("tulu", "Tulu 1, published judgments", site_module.tulu_records),
                ("pandalm", "PandaLM, published judgments", site_module.pandalm_records),
            ):
                project = site_module.import_published(site.manager, title, read(data), temporary)
                record_quality(camera, project, manager, name)
        if "live" in parts:
            wait_until_done(site.training)
            site_module.open_conversations(site.manager, site.live)
            record_conversation(camera, site.live, annotator)
        browser.close()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, default=os.environ.get("ROUNDTABLE_SHARED_DATA"))
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="some of the pictures")
    parser.add_argument("--chromium", default=os.environ.get("ROUNDTABLE_CHROMIUM", "/usr/bin/chromium"))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {
            "ROUNDTABLE_DATA_DIR": folder,
            "ROUNDTABLE_SECRET_KEY": secrets.token_urlsafe(40),
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DJANGO_ALLOW_ASYNC_UNSAFE": "true",  # Playwright's synchronous API runs an event loop in this thread
        }
        os.environ.pop("ROUNDTABLE_DATABASE_URL", None)
        for command in (["migrate", "--verbosity", "0"], ["collectstatic", "--noinput", "--verbosity", "0"]):
            subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, check=True)
        record(options.folder, options.data, options.only, options.chromium, Path(folder))


if __name__ == "__main__":
    main()
