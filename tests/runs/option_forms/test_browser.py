"""A manager fine-tunes in the browser: another preset shows its values, what is read is counted, the run is queued."""

import pytest
from django.urls import reverse
from playwright.sync_api import expect

from annotation.importing.contents.actions import import_demonstrations
from runs.models import Run
from tests.annotation.importing.conftest import write_rows  # noqa: F401
from tests.runs.test_browser import max_looks  # noqa: F401

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]


def test_a_preset_is_chosen_changed_and_started(max_looks, live_server, project, max_, write_rows):  # noqa: F811
    rows = [{"prompt": f"Question {n}?", "response": f"Answer {n}.", "split": "train"} for n in range(30)]
    import_demonstrations(actor=max_, project=project, path=write_rows(rows, "shown.jsonl"))
    page = max_looks
    page.goto(live_server.url + reverse("policies:fine_tune", args=[project.slug]))
    preview = page.locator("#preview")
    expect(preview).to_contain_text("400")  # steps of the preset tiny
    page.get_by_label("Preset").select_option("sft_llama2")
    expect(page.locator("#run-options")).to_contain_text("Llama 2 (Touvron et al. 2023), 3.1")
    expect(page.locator("[name='optimizer.learning_rate']")).to_have_value("2e-05")
    page.get_by_label("Name of the new policy").fill("llama")
    page.locator("[name='data.steps']").fill("7")
    page.locator("[name='data.steps']").press("Tab")
    # Shown before the page is left: a request that leaving cuts off is an error in the console.
    expect(preview.locator("dd").get_by_text("7", exact=True)).to_be_visible()
    expect(preview).to_contain_text("30")
    page.get_by_role("button", name="Fine-tune").click()
    page.wait_for_url("**/runs/*/")
    run = Run.objects.get()
    assert (run.config["preset"], run.config["data"]["steps"]) == ("sft_llama2", 7)
    assert run.config["optimizer"]["learning_rate"] == 2e-5
