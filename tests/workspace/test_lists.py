"""Lists: search, filters from an allow-list, a count, and pages by key."""

import pytest
from django.template.loader import render_to_string
from django.test import RequestFactory

from annotation.content.actions import add_prompts
from annotation.models import Prompt
from workspace import lists
from workspace.lists import field_filter, read_list

pytestmark = [pytest.mark.db, pytest.mark.django_db]
NUMBERS = range(1, 8)


@pytest.fixture
def read(project, max_):
    rows = [
        {"messages": [{"role": "user", "content": f"Question {n}?"}], "split": "test" if n % 2 else "train"}
        for n in NUMBERS
    ]
    add_prompts(actor=max_, project=project, rows=rows)

    def read(address=""):
        page = read_list(
            RequestFactory().get(f"/{address}"),
            Prompt.objects.filter(project=project),
            search=lambda rows, text: rows.filter(messages__icontains=text),
            filters=[field_filter("split", "Split", Prompt.Split.choices)],
            page_size=3,
        )
        return page, [int(row.messages[0]["content"].split()[1][:-1]) for row in page.rows]

    return read


def test_pages_follow_each_other_in_both_directions_without_a_row_twice(read):
    page, first = read()
    assert (page.count, page.is_counted, page.newer, first) == (7, True, "", [7, 6, 5])
    page, second = read(page.older)
    assert second == [4, 3, 2]
    last, third = read(page.older)
    assert (third, last.older) == ([1], "")
    page, back = read(last.newer)
    assert back == [4, 3, 2] and read(page.newer)[1] == [7, 6, 5]
    assert read(page.newer)[0].newer == ""


def test_a_filter_and_a_search_go_with_the_pages_and_what_is_not_on_the_list_is_not_read(read):
    page, odd = read("?split=test")
    assert (page.count, odd) == (4, [7, 5, 3]) and "split=test" in page.older
    assert read(page.older)[1] == [1]
    assert read("?q=question+3")[1] == [3] and read("?q=3&split=train")[1] == []
    for address in ("?split=nowhere", "?project=0", "?project__name=x", "?before=x", "?after=-1", "?q=%00"):
        assert read(address)[0].count == 7
    assert read("?before=99999999999999999999")[1] == [7, 6, 5]


def test_beyond_a_limit_a_list_says_more_than(read, monkeypatch):
    monkeypatch.setattr(lists, "MAX_COUNTED", 5)
    page, _ = read()
    assert (page.count, page.is_counted) == (5, False)


@pytest.mark.parametrize(
    ("query", "said"),
    [("", "7 prompts"), ("q=Question 3", "1 prompt found"), ("q=nothing", "0 prompts found")],
)
def test_how_many_there_are_is_said_in_the_singular_of_one(read, query, said):
    page, _ = read(f"?{query}")
    html = render_to_string(
        "workspace/list_tools.html", {"listing": page, "what": "prompts", "one": "prompt"}
    )
    assert f'role="status">{said}</p>' in html
