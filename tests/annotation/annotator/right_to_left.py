"""A language that is written from right to left: every text of the pages in Hebrew letters, by a catalog made here; and
what is cut or lies over something else on a page.
"""

import io

import pytest
from django.utils import translation
from django.utils.translation import trans_real

from config.translations import compile_catalog, read_marked

HEBREW = dict(zip("abcdefghijklmnopqrstuvwxyz", "אבגדהוזחטיכלמנסעפצקרשתךםןף", strict=True))
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
    context.set_default_timeout(300_000)
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
