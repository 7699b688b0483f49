"""Answers on the work page: hostile text, tool calls, formulas and wide tables."""

import pytest
from playwright.sync_api import expect

from annotation.models import Response
from tests.annotation.annotator.waiting import wait_for_another, wait_for_task
from tests.annotation.rendering.test_markdown import HOSTILE
from tests.axe import axe

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


def test_hostile_text_runs_nothing_and_fetches_nothing(
    page, live_server, ada, max_, project, make_batch, address, open_as
):
    texts = [text for text in HOSTILE if len(text) < 5000]
    if len(texts) % 2:
        texts.append("calm")
    from workspace.actions import publish_guideline

    publish_guideline(actor=max_, project=project, text="\n\n".join(texts))
    for number in range(0, len(texts), 9):
        chunk = (texts[number : number + 9] + ["calm"] * 9)[:9]
        make_batch(tasks=1, responses_per_task=9, texts=[text if text.strip() else "calm" for text in chunk])
    asked, dialogs = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    open_as(page, ada).goto(address("annotate"))
    shown = 0
    while page.wait_for_selector(".task, .no-tasks").get_attribute("class") == "task":
        handle = wait_for_task(page)
        assert (
            page.locator("#work-page-task :is(script, img, iframe, svg, style, link, form form)").count() == 0
        )
        page.evaluate(
            """document.querySelectorAll('#work-page-task .prose *').forEach(
            e => e.dispatchEvent(new MouseEvent('mouseover', {bubbles: true})))"""
        )
        page.keyboard.press("s")
        wait_for_another(page, handle)
        shown += 1
    assert shown >= 4
    page.goto(address("overview"))
    assert dialogs == []
    assert [url for url in asked if not url.startswith((live_server.url, "data:"))] == []
    assert Response.objects.filter(text__contains="<script>").exists()


def test_a_call_is_seen_as_a_call_and_every_answer_also_as_it_was_written(
    page, ada, make_batch, address, open_as
):
    make_batch(tasks=1, texts=["**Yes** \\[x\\]", "No"])
    call = {"id": "c1", "name": "book", "arguments": '{"people": 2, "at": "19:00"}'}
    turns = [
        {"role": "assistant", "content": "One moment.", "tool_calls": [call]},
        {"role": "tool", "content": "full", "name": "book"},
        {"role": "assistant", "content": "**No** table."},
    ]
    Response.objects.filter(text="No").update(turns=turns)
    open_as(page, ada).goto(address("annotate"))
    wait_for_task(page)
    expect(page.locator(".tool-call-name code")).to_have_text("book", use_inner_text=True)
    assert page.locator(".tool-call pre").inner_text() == '{\n  "people": 2,\n  "at": "19:00"\n}'
    expect(page.locator(".tool-result")).to_have_text("full", use_inner_text=True)
    label = page.locator("[data-response]", has_text="One moment").get_attribute("data-response")
    other = "A" if label == "B" else "B"
    switch = page.get_by_role("button", name=f"Answer {other} as written")
    written = page.locator(f"[data-response={other}] [data-written]")
    expect(written).to_be_hidden()
    switch.click()
    expect(written).to_have_text("**Yes** \\[x\\]", use_inner_text=True)
    expect(page.locator(f"[data-response={other}] [data-rendered]")).to_be_hidden()
    switch.click()
    expect(written).to_be_hidden()
    for width in (1280, 320):
        page.set_viewport_size({"width": width, "height": 900})
        assert axe(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") == width


FORMULAS = (
    "Two: $x_i^*$ and \\(\\vec{a} + \\overline{AB}\\), $\\fbox{b}$\n\n"
    "\\[\n\\begin{pmatrix}1 & 2 \\\\ 3 & 4\\end{pmatrix}\n\\]\n\n"
    "$$\\sqrt{" + " + ".join(f"x_{{{n}}}^2" for n in range(60)) + "}$$\n\n"
    "$\\notacommand{x}$ and $\\href{javascript:alert(1)}{y}$"
)


def test_formulas_are_drawn_under_the_sites_policy_and_only_where_there_are_some(page, begin_work):
    """The console has no complaint (the page fixture looks): no style attribute was refused."""
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    begin_work(page, tasks=1, texts=[FORMULAS, "None, for $5."], name="formulas")
    page.wait_for_selector(".math-display[data-drawn] .katex")
    expect(page.locator(".math-inline .katex, .math-display .katex")).to_have_count(7)
    expect(page.locator(".katex mtd")).to_have_count(4)
    # The arrow of a vector has the width KaTeX gave it, through the element's style.
    assert (
        page.locator(".katex .accent-body svg, .katex .overlay svg").first.evaluate("e => e.style.width")
        != ""
    )
    # A link is never made, whatever a formula asks for; an unknown command is drawn as its name.
    assert page.locator(".prose a").count() == 0
    assert "\\notacommand" in page.locator(".prose", has_text="Two:").inner_text()
    expect(page.locator(".prose", has_text="None, for $5.")).to_have_text(
        "None, for $5.", use_inner_text=True
    )
    assert {url.split("/")[2] for url in requests} == {page.url.split("/")[2]}
    for width in (1280, 320):
        page.set_viewport_size({"width": width, "height": 900})
        assert axe(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_without_formulas_katex_is_not_loaded_and_wide_tables_scroll(page, begin_work):
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    columns = ["Name of plan", "Storage", "Users", "Support", "Backups", "Regions", "Price", "Trial"]
    plan = ["Professional", "1,500 GB", "250", "Telephone", "hourly", "Europe", "$15/month", "thirty days"]
    rows = [columns, ["---"] * 8, plan]
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    begin_work(page, tasks=1, texts=[table, "Costs $5 or $6."])
    assert not [url for url in requests if "katex" in url]
    page.set_viewport_size({"width": 390, "height": 900})
    box = page.locator(".prose .table-scroll")
    assert box.evaluate("e => e.scrollWidth > e.clientWidth")
    # Cells break between words, never inside of one: three lines at most.
    height = page.locator(".prose th").first.evaluate("e => e.getBoundingClientRect().height")
    assert height < 4 * 1.6 * 16 + 20
    assert page.evaluate("document.documentElement.scrollWidth") == 390
