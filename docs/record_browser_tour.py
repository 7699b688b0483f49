"""Go once round the circle as a manager without a shell, in the browser alone, and save a picture of every step.

    (a site with ROUNDTABLE_MANAGERS_CREATE_PROJECTS=1 and a worker, and somebody who manages a project there)
    PYTHONPATH=. .venv/bin/python docs/record_browser_tour.py http://127.0.0.1:8000 USERNAME PASSWORD FOLDER

The files it uploads are written by the demonstration's grammar. The annotators it invites judge by keyboard. It ends
with an error at the first step that does not do what its page says.
"""

import argparse
import json
import os
import random
import re
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from demo import grammar

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
GUIDELINE = """Read the question first.

- **On topic** beats everything: an answer about another food helps nobody.
- Then *kindness*, then substance: a reason or a tip is worth more than empty phrases.
- Call it a tie when you would not mind which one you got.
"""
MAX_SECONDS_OF_A_RUN = 1500


class Tour:
    """One browser page and the pictures taken of it, numbered in the order of the steps."""

    def __init__(self, browser: Browser, address: str, folder: Path):
        self.browser, self.address, self.folder = browser, address, folder
        self.page = self.new_page()
        self.taken = 0
        self.slug = ""  # of the project, once it is there

    def new_page(self) -> Page:
        return self.browser.new_context(viewport={"width": 1100, "height": 760}).new_page()

    def picture(self, name: str) -> None:
        self.taken += 1
        self.page.wait_for_timeout(300)  # colours that change slowly
        self.page.screenshot(path=self.folder / f"{self.taken:02d}-{name}.png")
        print(f"{self.taken:02d}-{name}", self.page.url.removeprefix(self.address), flush=True)

    def go(self, place: str) -> None:
        self.page.goto(self.address + place)

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def follow(self, name: str) -> None:
        self.page.locator("main").get_by_role("link", name=name).first.click()

    def wait_until_done(self) -> None:
        """On a run's page: until it has ended well."""
        deadline = time.monotonic() + MAX_SECONDS_OF_A_RUN
        live = self.page.locator("#run-live")
        while live.get_attribute("data-finished") != "yes":
            assert time.monotonic() < deadline, "the run does not end"
            self.page.wait_for_timeout(1000)
        assert live.inner_text().startswith("Done"), live.inner_text()


def log_in(page: Page, address: str, username: str, password: str) -> None:
    page.goto(address + "/login/")
    page.get_by_label(re.compile("User ?name", re.I)).fill(username)
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "/login/" not in url)


def write_rows(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    return path


def import_file(tour: Tour, kind: str, path: Path, fields: dict[str, str], *, picture: str = "") -> None:
    tour.go(f"/projects/{tour.slug}/data/imports/new/?kind={kind}")
    tour.page.get_by_label("File").set_input_files(path)
    tour.page.wait_for_url("**/uploads/*/")
    for label, value in fields.items():
        field = tour.page.get_by_label(label, exact=True)
        if field.evaluate("field => field.tagName") == "SELECT":
            field.select_option(value)
        else:
            field.fill(value)
    if picture:
        tour.picture(picture)
    tour.press("Import")
    tour.page.wait_for_url(re.compile(r"/imports/\d+/$"), timeout=120_000)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("address", "username", "password"):
        parser.add_argument(name)
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--project", default="Cooking questions", help="the name of the project that it creates"
    )
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as files:
        executable = os.environ.get("ROUNDTABLE_CHROMIUM", "/usr/bin/chromium")
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        tour = Tour(browser, options.address, options.folder)
        log_in(tour.page, options.address, options.username, options.password)
        create_project(tour, options.project)
        annotators = invite_annotators(tour)
        bring_data(tour, Path(files))
        train_policy(tour)
        open_batch(tour)
        judge(tour, annotators)
        freeze_and_download(tour, Path(files))
        train_reward_model(tour)
        start_round(tour)
        browser.close()


def create_project(tour: Tour, name: str) -> None:
    page = tour.page
    tour.follow("New project")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("The question", exact=True).fill("Which answer would you rather read?")
    tour.picture("new-project")
    tour.press("Create project")
    page.get_by_role("heading", name="First steps").wait_for()
    found = re.search(r"/projects/([^/]+)/", page.url)
    assert found is not None
    tour.slug = found.group(1)
    tour.picture("first-steps")
    tour.follow("Write the guideline")
    page.get_by_label("Text", exact=True).press_sequentially(GUIDELINE)
    page.locator("#guideline-preview em", has_text="kindness").wait_for()  # before anything is saved
    page.get_by_label("Text", exact=True).scroll_into_view_if_needed()
    tour.picture("guideline")
    tour.press("Publish a new version")
    page.get_by_text("Annotators see it from their next task on").wait_for()


def invite_annotators(tour: Tour) -> list[Page]:
    page = tour.page
    tour.go(f"/projects/{tour.slug}/people/")
    page.get_by_label("For whom").fill("Nia\nOmar\nPia")
    tour.press("Make an invitation link")
    links = re.findall(r"https?://\S+/invitations/\S+/", page.locator("#invitation-links").input_value())
    assert len(links) == 3
    tour.picture("invitations")
    annotators = []
    for name, link in zip(("nia", "omar", "pia"), links, strict=True):
        theirs = tour.new_page()
        theirs.goto(link)
        theirs.get_by_label("User name").fill(f"{name}-{int(time.time())}")
        theirs.get_by_label("Password").fill("a long enough phrase")
        theirs.keyboard.press("Enter")
        theirs.wait_for_url("**/annotate/")
        annotators.append(theirs)
    return annotators


def bring_data(tour: Tour, folder: Path) -> None:
    rng = random.Random("tour")
    prompts = [{"messages": prompt.messages} for prompt in grammar.sample_prompts("policy", 200, rng)]
    import_file(
        tour,
        "prompts",
        write_rows(folder / "questions.jsonl", prompts),
        {"Prompt set": "questions", "What the prompt set is for": "policy"},
    )
    demonstrations = [
        {"messages": [*row.prompt.messages, {"role": "assistant", "content": row.response}]}
        for row in grammar.sample_demonstrations(800, rng)
    ]
    import_file(tour, "demonstrations", write_rows(folder / "demonstrations.jsonl", demonstrations), {})
    tasks = []
    for prompt in grammar.sample_prompts("reward", 40, rng):
        first, second = grammar.sample_pair(prompt.topic, rng)
        tasks.append({"prompt": prompt.text, "responses": [first, second]})
    import_file(
        tour,
        "tasks",
        write_rows(folder / "answers.jsonl", tasks),
        {"Name of the batch": "First pairs", "People per task": "2"},
        picture="answers-before-they-are-stored",
    )


def fill_options(page: Page, values: dict[str, str]) -> None:
    """Fields of a run's form, folded sections among them."""
    page.evaluate("document.querySelectorAll('details').forEach(part => { part.open = true; })")
    for name, value in values.items():
        page.locator(f'[name="{name}"]').fill(value)
    page.evaluate("window.scrollTo(0, 0)")


def train_policy(tour: Tour) -> None:
    tour.go(f"/projects/{tour.slug}/data/policies/")
    tour.follow("Fine-tune")
    tour.page.get_by_label("Name of the new policy").fill("base")
    fill_options(tour.page, {"data.steps": "40"})
    tour.picture("fine-tune")
    tour.page.locator("main form button[type=submit]").last.click()
    tour.page.wait_for_url(re.compile(r"/runs/\d+/$"))
    tour.wait_until_done()
    tour.picture("the-policy-has-learned")


def open_batch(tour: Tour) -> None:
    tour.go(f"/projects/{tour.slug}/annotate/batches/")
    tour.follow("First pairs")
    tour.follow("Look at its tasks one by one")
    tour.picture("inside-a-draft")
    tour.follow("First pairs")
    tour.press("Open the batch")
    tour.page.get_by_text("annotators get its tasks").wait_for()


def judge(tour: Tour, annotators: list[Page]) -> None:
    """Every task by two people, by keyboard: the longer answer is better, as a stand-in for taste."""
    for number, page in enumerate(annotators):
        page.goto(f"{tour.address}/projects/{tour.slug}/annotate/work/")
        page.get_by_role("button", name="I have read it").click()
        task, done = page.locator("#work-page-task"), page.locator(".no-tasks")
        answers = page.locator("[data-response]")
        for judged in range(30):
            answers.nth(1).or_(done).first.wait_for()
            if done.count():
                break
            before = task.inner_text()
            first, second = (len(answers.nth(place).inner_text()) for place in range(2))
            page.keyboard.press("2" if first > second else "7")
            if number == judged == 0:
                page.screenshot(path=tour.folder / "an-annotator.png")
            page.keyboard.press("Enter")
            page.wait_for_function(
                "before => document.querySelector('#work-page-task').innerText !== before", arg=before
            )
    tour.page.reload()
    tour.page.get_by_role("heading", name="Who judged").wait_for()
    tour.picture("who-judged")
    tour.page.locator(".judgment-link").first.click()
    tour.page.get_by_role("heading", name="Others on this task").wait_for()
    tour.picture("a-judgment")


def freeze_and_download(tour: Tour, folder: Path) -> None:
    page = tour.page
    tour.go(f"/projects/{tour.slug}/data/datasets/new/")
    page.get_by_label("Name", exact=True).fill("first")
    page.locator("#preview", has_text="judgments").wait_for()
    tour.picture("a-dataset-before-it-is-frozen")
    tour.press("Freeze")
    page.wait_for_url(re.compile(r"/(datasets|runs)/\d+/"))
    if "/runs/" in page.url:
        tour.wait_until_done()
        tour.go(f"/projects/{tour.slug}/data/datasets/")
        tour.follow("first")
    tour.picture("a-dataset")
    tour.follow("Download")
    page.get_by_label("Format").select_option("trl")
    tour.picture("a-download")
    with page.expect_download() as download:
        page.locator("main form button[type=submit]").last.click()
    archive = folder / "dataset.zip"
    download.value.save_as(archive)
    print("downloaded:", zipfile.ZipFile(archive).namelist(), flush=True)


def train_reward_model(tour: Tour) -> None:
    page = tour.page
    tour.go(f"/projects/{tour.slug}/data/reward-models/train/")
    page.get_by_label("Name of the new reward model").fill("taste")
    page.locator('[name="dataset"]').select_option(index=1)
    tour.picture("train-a-reward-model")
    page.locator("main form button[type=submit]").last.click()
    page.wait_for_url(re.compile(r"/runs/\d+/$"))
    tour.wait_until_done()
    tour.go(f"/projects/{tour.slug}/data/reward-models/")
    tour.follow("taste")
    tour.picture("a-reward-model")


def start_round(tour: Tour) -> None:
    page = tour.page
    tour.go(f"/projects/{tour.slug}/rounds/start/")
    page.get_by_label("Prompts", exact=True).fill("40")
    page.locator('[name="responses_per_task"]').fill("2")
    tour.picture("start-a-round")
    page.locator("main form button[type=submit]").last.click()
    page.wait_for_url(re.compile(r"/rounds/1/$"))
    deadline = time.monotonic() + MAX_SECONDS_OF_A_RUN
    while not page.locator(".badge-state", has_text="Annotating").count():
        assert time.monotonic() < deadline, "the round does not reach its annotation"
        page.wait_for_timeout(1000)
        page.reload()
    tour.picture("a-round")
    tour.go(f"/projects/{tour.slug}/rounds/")
    assert not page.get_by_text("First steps").count()  # all are done
    tour.picture("rounds")


if __name__ == "__main__":
    sys.exit(main())
