"""Safe HTML is made once, and never shown from another version of the rendering."""

from datetime import timedelta
from unittest import mock

import pytest
from django.core.cache import cache
from django.db import OperationalError
from django.utils import timezone, translation

from annotation.models import RenderedText, TaskResponse
from annotation.rendering import actions, html_cache
from annotation.rendering.conversation import display_task, display_texts
from annotation.rendering.html_cache import show_markdown

pytestmark = [pytest.mark.db, pytest.mark.django_db]
MESSAGES = [{"role": "user", "content": "**Which?**"}]


@pytest.fixture(autouse=True)
def other_process():
    """Empties what this process holds, as another one would have it."""
    cache.clear()
    yield cache.clear
    cache.clear()


@pytest.fixture
def made(monkeypatch):
    """The texts that were made into HTML, in order."""
    texts = []
    original = html_cache.render_markdown

    def render_markdown(text):
        texts.append(text)
        return original(text)

    monkeypatch.setattr(html_cache, "render_markdown", render_markdown)
    return texts


def test_a_text_is_made_once_for_every_process(made, other_process):
    first = show_markdown("**once**")
    other_process()
    assert first == show_markdown("**once**") == "<p><strong>once</strong></p>\n"
    assert made == ["**once**"]


def test_a_task_costs_two_reads_and_no_write_once_its_texts_are_kept(
    make_batch, other_process, django_assert_num_queries
):
    batch = make_batch(tasks=1, texts=["*one*", "`two`"])
    keys = list(TaskResponse.objects.filter(task__batch=batch).values_list("response", flat=True))
    display_task(MESSAGES, keys)
    other_process()
    with django_assert_num_queries(2):
        turns, responses = display_task(MESSAGES, keys)
    assert [turn.html for turn in turns] == ["<p><strong>Which?</strong></p>\n"]
    assert {r.html for r in responses} == {"<p><em>one</em></p>\n", "<p><code>two</code></p>\n"}
    assert {r.label for r in responses} == {"A", "B"}
    with django_assert_num_queries(1):
        display_task(MESSAGES, keys)


def test_another_version_is_never_shown(made, monkeypatch, other_process):
    show_markdown("**once**")
    RenderedText.objects.update(html="<p>of an older version</p>")
    other_process()
    assert show_markdown("**once**") == "<p>of an older version</p>"
    monkeypatch.setattr(html_cache, "VERSION", html_cache.VERSION + " newer")
    assert show_markdown("**once**") == "<p><strong>once</strong></p>\n"
    assert made == ["**once**"] * 2


def test_blank_answers_calls_and_equal_texts_keep_apart():
    """A response that says the same as a turn is one text; a blank one says that it is blank, a blank turn does not."""
    call = {"id": "c", "name": "look", "arguments": "{}"}
    turns, responses = display_texts(
        [
            {"role": "assistant", "content": " "},
            {"role": "assistant", "content": "", "tool_calls": [call]},
            *MESSAGES,
        ],
        {"A": " ", "B": "**Which?**", "C": [{"role": "assistant", "content": "", "tool_calls": [call]}]},
    )
    assert turns[0].html == ""
    assert "look" in turns[1].html
    assert "(empty answer)" in responses[0].html
    assert responses[1].html == turns[2].html
    assert "answer-turn" in responses[2].html and "answer-turn" not in turns[1].html
    assert [turn.written for turn in turns] == [" ", "[call] look({})", "**Which?**"]


def test_a_database_that_takes_no_writes_does_not_hold_up_a_page(monkeypatch):
    def fail(*args, **kwargs):
        raise OperationalError("attempt to write a readonly database")

    monkeypatch.setattr(RenderedText.objects, "bulk_create", fail)
    assert show_markdown("*a*") == "<p><em>a</em></p>\n"
    assert not RenderedText.objects.exists()


def test_very_long_html_is_not_kept(monkeypatch):
    monkeypatch.setattr(actions, "MAX_KEPT_CHARACTERS", 20)
    assert "<em>" in show_markdown("*a*" + " long" * 10)
    assert not RenderedText.objects.exists()


def test_rows_of_other_versions_go_after_a_day_and_the_oldest_beyond_the_budget():
    def keep(key, version, characters, age):
        row = RenderedText.objects.create(
            key=key, version=version, characters=characters, html="x" * characters
        )
        RenderedText.objects.filter(pk=row.pk).update(created_at=timezone.now() - age)

    hour = timedelta(hours=1)
    keep("old version", "1", 10, 25 * hour)
    keep("other version, still served", "3", 10, 23 * hour)
    for number in range(4):
        keep(f"mine {number}", "2", 10, 48 * hour)
    assert actions.trim_rendered(version="2", budget=60) == 1
    assert RenderedText.objects.count() == 5
    with mock.patch.object(actions, "_ROWS_PER_DELETE", 2):
        assert actions.trim_rendered(version="2", budget=25) == 4
    assert list(RenderedText.objects.values_list("key", flat=True)) == ["mine 3"]


def test_words_of_the_page_in_a_text_are_in_the_language_that_is_read(other_process):
    """They were kept in whichever language was asked for first."""
    call = {"name": "weather", "arguments": "{}"}
    turns = [{"role": "assistant", "content": "", "tool_calls": [call]}, {"role": "tool", "content": " "}]
    image = "![a map](http://x.example/m)"
    found = {}
    for language in ("en", "de", "en"):
        with translation.override(language):
            shown = map(html_cache.response_fragment, (turns, image))
            found[language] = " ".join(html_cache.show(list(shown)))
        other_process()
    assert all(word in found["en"] for word in ("Calls", "(nothing)", "Tool", "Image: a map"))
    assert all(word in found["de"] for word in ("Ruft auf", "(nichts)", "Werkzeug", "Bild: a map"))
    assert RenderedText.objects.count() == 4
    # A text that holds none of them is kept once.
    with translation.override("de"):
        show_markdown("rice")
    show_markdown("rice")
    assert RenderedText.objects.count() == 5
