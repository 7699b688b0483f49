"""The texts of the scripts: all marked for translation, and said in the language of the page."""

import json
import re

import pytest

from config.translations import ROOT, read_marked
from tests.config.test_translations import TEMPLATES

STATIC = ROOT / "static"
SCRIPTS = tuple(
    sorted(str(path.relative_to(STATIC)) for path in STATIC.rglob("*.js") if "vendor" not in path.parts)
)
TAKES_TEXTS = {"gettext": 1, "ngettext": 2}  # how many of the first arguments are texts
# Their strings are selectors, names of events, attributes and keys, or code.
TAKES_NAMES = frozenset(
    "querySelector querySelectorAll closest matches byId getElementById createElement makeElement createTreeWalker "
    "makeDiv makeSlot addEventListener removeEventListener setAttribute getAttribute removeAttribute hasAttribute "
    "Event CustomEvent matchMedia edgeOf onClick replace split get set getPropertyValue setProperty".split()
)
# Whatever is given to these is read by somebody.
SHOWS = frozenset(
    "announce say showError showNotice showWaiting refuse setText link text confirm alert".split()
)
SHOWN_FIELDS = frozenset({"textContent", "innerText", "title", "placeholder", "ariaLabel", "error"})
HIDDEN_FIELDS = frozenset({"className", "style", "font", "draggable", "handle"})
NOT_TEXTS = {
    "use strict", "not loaded", "server away", "\0?next=\0",  # "not ...", "server ...": Errors that the caller takes
    "btn btn-outline-secondary", "btn btn-danger", "btn btn-primary",  # classes of a dialog's buttons
    "curve card-surface", "muted curve-at", "muted curve-about",
    "Enter", "Escape", "Backspace", "Delete", "Key", "Digit", "Unidentified",  # of KeyboardEvent
    # Selectors that stand in constants.
    ".code-tools, .katex-mathml, .dialogue .turn-speaker, .fold-switch, script, style",
    "p, li, pre, td, th, h1, h2, h3, h4, h5, h6, blockquote, div",
    "textarea, select, input:not([type=radio]):not([type=checkbox])",
}  # fmt: skip


TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)|(?P<string>"(?:[^"\\\n]|\\.)*")|(?P<template>`(?:[^`\\]|\\.)*`)
    |(?P<expression>(?:(?<=[(,!:])|(?<=[=,:?&|][ ]))/(?:[^/\\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/[a-z]*)
    |(?P<name>[A-Za-z_$][\w$]*)|(?P<sign>=>|[=!<>]=+|\S)""",
    re.DOTALL | re.VERBOSE,
)


def tokenize(source):
    """[(kind, text)] of a script, without its comments; of a string its words."""
    found = [(match.lastgroup, match.group()) for match in TOKEN.finditer(source)]
    return [
        (kind, json.loads(text) if kind == "string" else text) for kind, text in found if kind != "comment"
    ]


def read_strings(source):
    """Every string: (its words, the call that it is given to, its place there, the field that it goes into)."""
    calls, field, before = [["", 0]], "", ""
    for kind, text in tokenize(source):
        if kind in ("string", "template"):
            words = text if kind == "string" else re.sub(r"\$\{.*?\}", "\0", text[1:-1])
            yield words, *calls[-1], field
        elif kind == "sign" and text in "([{":
            calls.append([before if text == "(" else "", 0])
        elif kind == "sign" and text in ")]}":
            calls.pop()
            field = field if text == ")" else ""
        elif text == ",":
            calls[-1][1] += 1
        if text in ("=", ":") and before in SHOWN_FIELDS | HIDDEN_FIELDS:
            field = before
        elif text == ";" or (text == "," and calls[-1][0] == ""):
            field = ""
        before = text


def unmarked(source):
    """The strings of a script that somebody would read in English on a page of another language."""
    found = []
    for words, call, place, field in read_strings(source):
        is_marked = place < TAKES_TEXTS.get(call, 0)
        if is_marked or not re.search(r"[A-Za-z]{2}", words.replace("\0", " ")) or words in NOT_TEXTS:
            continue
        looks_so = re.search(r"^[A-Z][a-z]+\b(?![-:/])|[a-z,.:;\0] [A-Za-z\0]|[a-z][.…?!]$", words)
        is_hidden = call in TAKES_NAMES or field in HIDDEN_FIELDS
        if call in SHOWS or field in SHOWN_FIELDS or (looks_so and not is_hidden):
            found.append(words)
    return found


def test_no_text_of_a_script_is_unmarked():
    assert unmarked(
        """say("bad"); b.textContent = on ? "worse" : gettext("Good"); f(`${n} bad ones`); p.querySelector("p, li");
        c.className = "btn btn-sm"; announce(ngettext("One {n}", "More {n}", n)); gettext("Good {x}", { x: "Not so" });
        return { error: "none" }; // "Not read"
        """
    ) == ["bad", "worse", "\0 bad ones", "Not so", "none"]
    found = {name: texts for name in SCRIPTS if (texts := unmarked((STATIC / name).read_text()))}
    assert found == {}


def test_every_marked_text_is_found():
    """What is marked with anything but a string, or inside of a template literal, is not read by Babel."""
    marked = {text for m in read_marked("djangojs") for text in ([m.id] if isinstance(m.id, str) else m.id)}
    for name in SCRIPTS:
        tokens = tokenize((STATIC / name).read_text())
        for (kind, text), (_, bracket), (given, words) in zip(tokens, tokens[1:], tokens[2:], strict=False):
            assert kind != "template" or "gettext(" not in text, f"{name}: {text}"
            if kind == "name" and text in TAKES_TEXTS and bracket == "(":
                assert given == "string" and words in marked, f"{name}: {words}"


def test_every_script_of_a_page_was_looked_at():
    for name in TEMPLATES:
        template = (ROOT / "templates" / name).read_text()
        for script in re.findall(r"{% static '([^']+\.js)' %}", template):
            assert (
                script.startswith(("vendor/", "django_htmx/", "drf_spectacular_sidecar/"))
                or script in SCRIPTS
            )


@pytest.mark.browser
def test_texts_are_said_in_the_language_of_the_page(page):
    texts = {
        "Answer {label}": "Antwort {label}",
        "{n} task": ["{n} Aufgabe", "{n} Aufgaben"],
        "{first} and {second}": "{first} und {second}",
    }
    page.set_content(f'<script id="script-texts" type="application/json">{json.dumps(texts)}</script>')
    page.add_script_tag(path=STATIC / "js" / "translation.js")
    said = page.evaluate("""() => { const { gettext, ngettext, joinLabels } = Roundtable; return [
        gettext("Answer {label}", { label: "B" }),
        gettext("Answer {label}", { label: "{label} $& $1" }),
        gettext("Answer {label}"),
        gettext("Unknown to {whom}", { whom: 0 }),
        ...[0, 1, 2].map((n) => ngettext("{n} task", "{n} tasks", n)),
        ...[1, 5].map((n) => ngettext("{n} {what}", "{n} {what}s", n, { what: "mark" })),
        ...[["A"], ["A", "B"], ["A", "B", "C"]].map(joinLabels),
    ]; }""")
    assert said == [
        "Antwort B", "Antwort {label} $& $1", "Antwort {label}", "Unknown to 0", "0 Aufgaben", "1 Aufgabe",
        "2 Aufgaben", "1 mark", "5 marks", "A", "A und B", "A und B und C",
    ]  # fmt: skip


@pytest.mark.browser
def test_without_texts_the_scripts_say_their_own(page):
    page.set_content("<p></p>")
    page.add_script_tag(path=STATIC / "js" / "translation.js")
    said = page.evaluate("""() => [Roundtable.gettext("{n} done", { n: 3 }),
        Roundtable.ngettext("{n} place", "{n} places", 2), Roundtable.joinLabels(["A", "B"])]""")
    assert said == ["3 done", "2 places", "A and B"]
