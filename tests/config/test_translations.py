"""The texts of the pages in other languages: complete, with their placeholders, and compiled; and no text unmarked."""

import re
from collections import Counter

import pytest
from babel.messages.mofile import read_mo

from config.translations import (
    DOMAINS,
    LANGUAGES,
    ROOT,
    catalog_path,
    compile_catalog,
    read_catalog,
    read_marked,
)

TEMPLATES = tuple(
    sorted(str(path.relative_to(ROOT / "templates")) for path in (ROOT / "templates").rglob("*.html"))
)
PLACEHOLDERS = re.compile(r"%\(\w+\)s|%[sd%]|\{\w*\}|</?\w+")
SHOWN_ATTRIBUTES = re.compile(r'(?:aria-label|placeholder|title|alt|content-label)="([^"]*)"')
# Names, and what people type or press.
UNTRANSLATED = {"DPO", "PPO", "Roundtable", "API", "API   Roundtable", "CSV", "KL", "SHA-256"}


def forms_of(message):
    """[(English, translation)]; of Spanish's three forms the second is for whole millions, and said as the third."""
    if not message.pluralizable:
        return [(message.id, message.string)]
    one, several = message.id
    return [(one, message.string[0]), *((several, text) for text in message.string[1:])]


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_marked_text_has_its_translation(language, domain):
    marked = {(m.context, m.id) for m in read_marked(domain) if m.id}
    catalog = read_catalog(language, domain)
    there = {(m.context, m.id) for m in catalog if m.id}
    assert there == marked, "run python -m config.translations and translate what is new"
    for message in catalog:
        if not message.id:
            continue
        if message.pluralizable:
            assert len(message.string) == catalog.num_plurals, message.id
        assert "fuzzy" not in message.flags, message.id
        for said, text in forms_of(message):
            assert text, f"{language}: {said!r} is not translated"
            # Each form by its English one: a form for one thing may leave its number out.
            wanted, found = Counter(PLACEHOLDERS.findall(said)), Counter(PLACEHOLDERS.findall(text))
            assert found == wanted, f"{language}: {text!r} has other placeholders than {said!r}"
            assert text[0].isspace() == said[0].isspace() and text[-1].isspace() == said[-1].isspace(), text
    compiled = catalog_path(language, domain).with_suffix(".mo").read_bytes()
    assert compiled == compile_catalog(catalog), "run python -m config.translations"


def test_compiled_catalogs_are_read_by_gettext():
    with catalog_path("de", "django").with_suffix(".mo").open("rb") as file:
        assert read_mo(file).get("Log out").string == "Abmelden"


def unmarked(template):
    """Texts of a template that are shown and not marked for translation."""
    text = re.sub(
        r"(?s){% comment .*?{% endcomment %}|{% comment %}.*?{% endcomment %}|{#.*?#}", "", template
    )
    text = re.sub(r"(?s){% block (main_class|page_data) %}.*?{% endblock %}", "", text)
    text = re.sub(r"(?s){% blocktranslate.*?{% endblocktranslate %}", "", text)
    text = re.sub(r"(?s){%.*?%}|{{.*?}}", "\0", text)
    shown = SHOWN_ATTRIBUTES.findall(text)
    text = re.sub(r"(?s)<(script|style|svg|kbd|code)\b.*?</\1>", "\0", text)
    shown += re.split(r"<[^>]*>|\0", re.sub(r"(?s)<!--.*?-->", "", text))
    words = (re.sub(r"&\w+;|[\0\s·–→←↑↓(),.:;|/+%]", " ", part).strip() for part in shown)
    return [part for part in words if re.search(r"[A-Za-z]{2}", part) and part not in UNTRANSLATED]


def test_no_text_of_a_page_is_unmarked():
    assert unmarked('<p title="Good">{% translate "a" %} b2 <b>Bad one</b></p>') == ["Good", "Bad one"]
    found = {
        name: texts for name in TEMPLATES if (texts := unmarked((ROOT / "templates" / name).read_text()))
    }
    assert found == {}


def test_names_of_attributes_are_not_translated():
    """A `required` that becomes `erforderlich` is no attribute any more."""
    found = []
    for path in sorted((ROOT / "templates").rglob("*.html")):
        text = re.sub(r"{% (?:block)?translate\b[^%]*%}", "§", path.read_text())
        text = re.sub(r"{%[^%]*%}|{{[^}]*}}", "", text)
        for tag in re.findall(r"<[a-zA-Z][^<>]*>", text):
            if "§" in re.sub(r'"[^"]*"', "", tag):
                found.append(f"{path.relative_to(ROOT)}: {tag[:80]}")
    assert found == []
