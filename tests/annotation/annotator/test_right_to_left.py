"""The annotators' pages in a language that is written from right to left: every text of the pages in Hebrew letters, by
a catalog that the test makes; nothing is cut or lies over something else.
"""

import io

import pytest
from django.utils import translation
from django.utils.translation import trans_real

from annotation.models import Judgment
from annotation.preferences.scale import tiers_to_labels
from config.translations import compile_catalog, read_marked
from tests.annotation.annotator.test_work_page import wait_for_another, wait_for_task, wait_until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

HEBREW = dict(zip("abcdefghijklmnopqrstuvwxyz", "אבגדהוזחטיכלמנסעפצקרשתךםןף", strict=True))
MIRRORED = """() => {
  const box = (selector) => document.querySelector(selector).getBoundingClientRect();
  return { brand: box(".brand").left > box(".nav-end").left, scale: box("[value='1']").left > box("[value='8']").left };
}"""
# Buttons and fields beyond the window's edges, or with a part of their words outside of them.
CUT = """() => [...document.querySelectorAll("main :is(button, .point-face, .strength-face, a.btn), header a")]
  .filter((node) => node.checkVisibility() && !node.closest(".visually-hidden"))
  .filter((node) => {
    const box = node.getBoundingClientRect();
    return box.left < -0.5 || box.right > innerWidth + 0.5 || node.scrollWidth > node.clientWidth + 1;
  }).map((node) => node.outerHTML.slice(0, 160))"""
OVERLAPPING = """() => {
  const all = [".work-page-bar > *", ".task-actions > *", ".scale .point", ".rank-card-head > *"]
    .flatMap((selector) => [...document.querySelectorAll(selector)])
    .filter((node) => node.offsetParent && node.getBoundingClientRect().width);
  const over = (a, b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1
    && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 1;
  return all.flatMap((one, place) => all.slice(place + 1)
    .filter((other) => one.parentElement.closest(".work-page-bar, .task-footer, .rank-card-head")
      === other.parentElement.closest(".work-page-bar, .task-footer, .rank-card-head")
      && over(one.getBoundingClientRect(), other.getBoundingClientRect()))
    .map((other) => [one.outerHTML.slice(0, 80), other.outerHTML.slice(0, 80)]));
}"""


def in_hebrew_letters(text: str) -> str:
    """Letters outside of placeholders and tags are changed, one for one."""
    said, inside = io.StringIO(), ""
    for place, letter in enumerate(text):
        if inside:
            inside = "" if letter == inside else inside
            said.write(letter)
        elif letter in "{<" or text.startswith("%(", place):
            inside = {"{": "}", "<": ">", "%": "s"}[letter]
            # The conversion of %(name)s is the letter behind the bracket.
            inside = ")" if letter == "%" else inside
            said.write(letter)
        elif place and text[place - 1] == ")" and letter in "sd" and "%(" in text[:place]:
            said.write(letter)
        else:
            said.write(HEBREW.get(letter.lower(), letter))
    return said.getvalue()


@pytest.fixture
def hebrew(settings, tmp_path):
    for domain in ("django", "djangojs"):
        catalog = read_marked(domain)
        catalog.mime_headers = [("Plural-Forms", "nplurals=2; plural=(n != 1);")]
        for message in catalog:
            if isinstance(message.id, tuple):
                message.string = tuple(map(in_hebrew_letters, message.id))
            elif message.id:
                message.string = in_hebrew_letters(message.id)
        folder = tmp_path / "he" / "LC_MESSAGES"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{domain}.mo").write_bytes(compile_catalog(catalog))
    settings.LANGUAGES = [*settings.LANGUAGES, ("he", "עברית")]
    settings.LOCALE_PATHS = [tmp_path]
    yield
    trans_real._translations.clear()
    translation.activate(settings.LANGUAGE_CODE)


@pytest.fixture
def hebrew_page(browser, hebrew):
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="he-IL")
    context.set_default_timeout(90_000)
    yield context.new_page()
    context.close()


def faults(page) -> list:
    found = []
    for width in (1280, 320):
        page.set_viewport_size({"width": width, "height": 900})
        if page.evaluate("document.documentElement.scrollWidth") > width:
            found.append(f"wider than {width}")
        found += page.evaluate(CUT) + page.evaluate(OVERLAPPING)
    page.set_viewport_size({"width": 1280, "height": 900})
    return found


@pytest.mark.parametrize("text", ["%(better)s is %(than)s %(worse)s", "{n} of {most} <strong>done</strong>"])
def test_placeholders_stay(text):
    changed = in_hebrew_letters(text)
    assert not set("ishodfne") & set(changed.replace("%(better)s", "").replace("%(than)s", "")
                                     .replace("%(worse)s", "").replace("{n}", "").replace("{most}", "")
                                     .replace("<strong>", "").replace("</strong>", ""))  # fmt: skip


def test_a_pair_is_mirrored_and_its_keys_mean_what_stands_on_them(
    hebrew_page, ada, make_batch, address, open_as
):
    page = hebrew_page
    make_batch(tasks=2, texts=["احفظ الخبز في كيس ورقي.", "Keep it in a bag."])
    open_as(page, ada).goto(address("annotate"))
    first = wait_for_task(page)
    assert page.get_attribute("html", "dir") == "rtl" and page.get_attribute("html", "lang") == "he"
    assert page.evaluate(MIRRORED) == {"brand": True, "scale": True}
    assert faults(page) == []
    # Each text has the direction of its own letters.
    assert sorted(
        page.eval_on_selector_all(
            ".response .prose", "all => all.map(one => getComputedStyle(one).direction)"
        )
    ) == ["ltr", "rtl"]
    # The scale goes from right to left, and so does the arrow that leads on.
    page.keyboard.press("2")
    page.locator("[name=scale]:checked").focus()
    page.keyboard.press("ArrowLeft")
    assert page.input_value("[name=scale]:checked") == "3"
    page.keyboard.press("ArrowRight")
    assert page.input_value("[name=scale]:checked") == "2"
    page.keyboard.press("Enter")
    wait_for_another(page, first)
    wait_until(page, lambda: Judgment.objects.count() == 1)
    judgment = Judgment.objects.get()
    assert tiers_to_labels(judgment.order_shown, judgment.tiers) == [["A"], ["B"]]
    assert judgment.strengths == [2]


def test_rankings_and_ones_own_pages_are_mirrored_whole(hebrew_page, ada, make_batch, address, open_as):
    page = hebrew_page
    make_batch(tasks=1, responses_per_task=3)
    open_as(page, ada).goto(address("annotate"))
    wait_for_task(page)
    assert faults(page) == []
    page.click("[data-way=typed]")
    page.keyboard.press("b")
    page.keyboard.press("a")
    order = page.locator("#typed-order")
    assert order.inner_text() == "B > A > …" and order.get_attribute("dir") == "ltr"
    assert faults(page) == []
    page.click("[data-way=guided]")
    page.wait_for_selector("#guided:not([hidden])")
    assert faults(page) == []
    for name in ("overview", "own_history", "conversations"):
        page.goto(address(name))
        assert faults(page) == []
