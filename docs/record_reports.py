"""Record the pictures of docs/reports.md: one of each report, on a small site with a real run of every recipe.

    PYTHONPATH=. .venv/bin/python docs/record_reports.py docs/screenshots/reports

A site of its own in a temporary folder (SQLite, one web worker, one worker that trains; docs/report_site.py). Pictures
are WebP, which Chromium writes itself: 1280 pixels wide in the light scheme, and of some pages 320 in the dark one.
"""

import argparse
import os
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

from docs.record_annotation_tour import FLAGS, PASSWORD, ROOT, Camera

if TYPE_CHECKING:
    from docs.report_site import ReportSite
    from rounds.models import Round

WIDE, NARROW = (1280, 800), (320, 640)


def places(site: "ReportSite", round_: "Round") -> dict[str, str]:
    """Name of the picture -> address of the page."""
    from django.urls import reverse

    def page(name: str, **key: object) -> str:
        return reverse(name, kwargs={"slug": site.project.slug, **key})

    def compared(name: str) -> str:
        return page("policies:comparison", pk=site.runs[name].policy_comparison.pk)

    assert round_.reward_model is not None
    bread = site.policy("bread").pk
    return {
        "round": page("rounds:round", number=round_.number),
        "reward-model": page("reward_models:reward_model", pk=round_.reward_model.pk),
        "policy": page("policies:policy", pk=bread),
        "merged-policy": page("policies:policy", pk=site.policy("half and half").pk),
        "benchmarks": page("policies:measured", pk=bread),
        "comparison": compared("comparison"),
        "comparison-along-a-run": compared("along"),
    } | {f"run-{name}": page("runs:run", pk=run.pk) for name, run in site.runs.items()}


def record(folder: Path, chromium: str) -> None:
    import django

    django.setup()
    from demo import processes
    from docs import report_site

    site = report_site.make_site(PASSWORD)
    port = processes.free_port(8400 + secrets.randbelow(1000))
    address = f"http://127.0.0.1:{port}"
    commands = processes.web_server_command(port), processes.worker_command()
    with processes.run_processes(*commands), sync_playwright() as playwright:
        round_ = report_site.run_everything(site)
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{address}/healthz", timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        take_all(Camera(browser, address, folder), site, round_)
        browser.close()


def take_all(camera: Camera, site: "ReportSite", round_: "Round") -> None:
    for name, place in places(site, round_).items():
        page = camera.open(site.manager.username, place)
        page.wait_for_load_state("networkidle")
        camera.take(page, name, WIDE, whole=True)
        camera.take(page, f"{name}-320", NARROW, "dark", whole=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
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
        record(options.folder, options.chromium)


if __name__ == "__main__":
    main()
