"""Record the pictures of docs/reports.md: one of each report, on a small site with a real run of every recipe.

    PYTHONPATH=. .venv/bin/python docs/record_reports.py docs/screenshots/reports

A site of its own (SQLite, one web worker, one worker that trains; docs/report_site.py, docs/report_runs.py), in a
temporary folder or in the one that `--site` names: a site that was made there before is used again, and its runs go on
where they stood. A run or a picture that fails costs no other: whatever is done has its picture taken, and the same
command with `--missing` takes the rest. Pictures are PNGs, 1280 pixels wide in the light scheme, cut to the report.
Pillow, where it is installed, makes them a third as large.
"""

import argparse
import os
import secrets
import signal
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import Error, Page, sync_playwright

from docs.record_annotation_tour import FLAGS, PASSWORD, Camera
from docs.report_judge import judge_server

if TYPE_CHECKING:
    from docs.report_site import ReportSite

WIDTH, HEIGHT = 1280, 800
MARGIN = 16  # pixels around the report
MAX_START_SECONDS = 300
COLOURS = 128
# What stands on a page beside its report: ways to other pages, buttons, forms that describe, the log, settings, and of
# sample texts all but two.
LEFT_OUT = (
    "main nav, main .crumbs, main .btn, .facts div:has(form), #serving, .model-card, .sample:nth-of-type(n+3), "
    'form[action$="/describe/"], h2:has(+ form[action$="/describe/"]), '
    + ", ".join(
        f"section:has(> #{name}-heading)" for name in ("log", "asked", "limit", "checkpoints", "models")
    )
)
# The picture of one part of a page alone: what is not in it.
ALONE = {
    "run-checkpoints": "main section:not(:has(> #checkpoints-heading)):not(:has(> #models-heading)), "
    "main > header, main > .facts, main nav, main .crumbs",
}
# Of a model the curves of its training, which its run shows.
LEFT_OUT_OF_MODELS = "#curves"
MODELS = ("reward-model", "policy", "policy-best_of_n", "merged-policy")


def places(site: "ReportSite") -> dict[str, str]:
    """Name of the picture -> address of the page, of the runs that are done."""
    from django.urls import reverse

    def page(name: str, **key: object) -> str:
        return reverse(name, kwargs={"slug": site.project.slug, **key})

    found = {f"run-{name}": page("runs:run", pk=run.pk) for name, run in site.runs.items()}
    for name in ("comparison", "along"):
        if name in site.runs:
            found[name] = page("policies:comparison", pk=site.runs[name].policy_comparison.pk)
    for round_ in site.project.rounds.all():
        found["round"] = page("rounds:round", number=round_.number)
        if round_.reward_model is not None:
            found["reward-model"] = page("reward_models:reward_model", pk=round_.reward_model.pk)
        if round_.new_policy is not None:
            found["policy"] = page("policies:policy", pk=round_.new_policy.pk)
            if "benchmark_1" in site.runs:
                beside = f"?beside={round_.start_policy.pk}"
                found["benchmarks"] = page("policies:measured", pk=round_.new_policy.pk) + beside
    if "merge" in site.runs:
        found["merged-policy"] = page("policies:policy", pk=site.runs["merge"].policy.pk)
    found["frontier"] = page("policies:frontier")
    if "best_of_n" in site.runs:
        found["policy-best_of_n"] = page("policies:policy", pk=site.runs["best_of_n"].policy.pk)
    if "reward_model_evaluation" in site.runs:
        measured = site.runs["reward_model_evaluation"].reward_model_evaluation
        found["reward-model-evaluation"] = page("reward_models:evaluation", pk=measured.pk)
    if "ai_judge" in site.runs:
        found["ai-judges"] = page("annotation:ai_judges", pk=site.runs["ai_judge"].parameters["batch"])
    if "ppo" in site.runs:
        found["run-checkpoints"] = found["run-ppo"]
    for selection in site.project.policy_selections.all():
        found[f"selection-{selection.rule}"] = page("policies:selection", pk=selection.pk)
    return found


def take(page: Page, file: Path) -> None:
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    page.wait_for_timeout(1500)  # curves are drawn
    left_out = f"{LEFT_OUT}, {LEFT_OUT_OF_MODELS}" if file.stem in MODELS else LEFT_OUT
    left_out = ALONE.get(file.stem, left_out)
    if file.stem == "run-paused":
        left_out = left_out.replace("main .btn, ", "")  # what a manager can do about the alarm
    # Not by a style sheet: the pages' content security policy takes none from elsewhere.
    page.evaluate(
        "left => document.querySelectorAll(left).forEach(one => one.style.display = 'none')", left_out
    )
    page.evaluate("scrollTo(0, 0)")
    top, bottom = page.evaluate(
        """() => {
          const boxes = [...document.querySelectorAll("main *")].map((one) => one.getBoundingClientRect());
          const seen = boxes.filter((box) => box.height > 0);
          return [Math.min(...seen.map((box) => box.top)), Math.max(...seen.map((box) => box.bottom))];
        }"""
    )
    area = {"x": 0, "y": top - MARGIN, "width": WIDTH, "height": bottom - top + 2 * MARGIN}
    page.screenshot(path=file, full_page=True, clip=area)
    try:
        from PIL import Image
    except ImportError:
        pass
    else:
        picture = Image.open(file).convert("RGB")
        picture.quantize(COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)
    print(f"{file.name}: {file.stat().st_size // 1024} KiB", flush=True)


def record(folder: Path, chromium: str, wanted: Callable[[str], bool], *, runs: bool) -> list[str]:
    """Takes the wanted pictures; what failed, in sentences."""
    import django

    django.setup()
    from config import prepare
    from demo import processes
    from docs import report_runs, report_site

    failed = []
    prepare.migrate()
    prepare.collect_static_files()
    site = report_site.get_or_make_site(PASSWORD)
    if runs:
        try:
            with processes.run_processes(processes.worker_command()):
                report_runs.run_everything(site)
        except report_runs.RunFailed as error:
            failed.append(str(error))
    report_runs.read_runs(site)
    port = processes.free_port(8400 + secrets.randbelow(1000))
    address = f"http://127.0.0.1:{port}"
    with processes.run_processes(processes.web_server_command(port)), sync_playwright() as playwright:
        _wait_for(
            f"{address}/login/"
        )  # the first page imports the whole site, which a busy machine takes long for
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        camera = Camera(browser, address, folder)
        for name, place in places(site).items():
            if not wanted(name):
                continue
            try:
                page = camera.open(site.manager.username, place)
                page.wait_for_load_state("networkidle")
                take(page, folder / f"{name}.png")
            except Error as error:
                failed.append(f"{name} ({place}): {error}")
        browser.close()
    return failed


def _wait_for(address: str) -> None:
    """Until it answers; raises URLError after MAX_START_SECONDS."""
    deadline = time.monotonic() + MAX_START_SECONDS
    while True:
        try:
            urllib.request.urlopen(address, timeout=MAX_START_SECONDS).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--site", type=Path, help="keep the site in this folder, or use the one that is there"
    )
    parser.add_argument("--only", nargs="+", metavar="PICTURE", help="some of the pictures")
    parser.add_argument("--missing", action="store_true", help="only pictures that the folder does not have")
    parser.add_argument(
        "--no-runs", action="store_true", help="only pictures, of the runs that are done by now"
    )
    parser.add_argument("--chromium", default=os.environ.get("ROUNDTABLE_CHROMIUM", "/usr/bin/chromium"))
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))  # its processes end with it

    def wanted(name: str) -> bool:
        is_there = (options.folder / f"{name}.png").exists()
        return (options.only is None or name in options.only) and not (options.missing and is_there)

    with tempfile.TemporaryDirectory() as temporary, judge_server() as judge:
        os.environ |= (
            judge
            | {
                "ROUNDTABLE_DATA_DIR": str(options.site.resolve() if options.site else temporary),
                "ROUNDTABLE_SECRET_KEY": secrets.token_urlsafe(40),
                "DJANGO_SETTINGS_MODULE": "config.settings",
                "DJANGO_ALLOW_ASYNC_UNSAFE": "true",  # Playwright's synchronous API runs an event loop in this thread
            }
        )
        os.environ.pop("ROUNDTABLE_DATABASE_URL", None)
        failed = record(options.folder, options.chromium, wanted, runs=not options.no_runs)
    if failed:
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()
