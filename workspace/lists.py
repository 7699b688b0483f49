"""Lists of many things on a page: search, filters from an allow-list, a count, and pages that never count rows to skip.

A page begins where the one before it ended (keyset on the primary key, newest first), so that the thousandth costs what
the first does. What the address asks for and no list names is not read.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest, QueryDict
from django.utils.functional import Promise

PAGE_SIZE = 50
# Beyond it a list says "more than": counting a million rows takes longer than showing fifty.
MAX_COUNTED = 10_000
MAX_QUERY_CHARACTERS = 200
MAX_KEY = 2**63 - 1
M = TypeVar("M", bound=Model)


@dataclass(frozen=True, kw_only=True)
class Filter:
    """One choice among few: `name` in the address, and what each of its values does to the list."""

    name: str
    label: str | Promise
    choices: Sequence[tuple[str, str | Promise]]  # (value, as the page says it)
    apply: Callable[[QuerySet[Any], str], QuerySet[Any]]


def field_filter(
    name: str, label: str | Promise, choices: Sequence[tuple[str, str | Promise]], lookup: str | None = None
) -> Filter:
    """A filter on one field of ours (`lookup`, by default called like the filter), never on one that is asked for."""
    of = lookup or name
    return Filter(
        name=name,
        label=label,
        choices=choices,
        apply=lambda rows, value: rows.filter(**{of: value}),
    )


@dataclass(frozen=True, kw_only=True)
class ListPage:
    """One page of a list, for `workspace/list_tools.html` and `workspace/list_pages.html`."""

    rows: list[Any]
    count: int
    is_counted: bool  # False: there are more than `count`
    query: str
    can_search: bool
    filters: list[dict[str, Any]] = field(default_factory=list)  # {name, label, choices, chosen}
    newer: str = ""  # "?..." of the pages beside this one; empty where there is none
    older: str = ""

    @property
    def is_filtered(self) -> bool:
        return bool(self.query) or any(part["chosen"] for part in self.filters)


def read_list(
    request: HttpRequest,
    rows: QuerySet[M],
    *,
    search: Callable[[QuerySet[M], str], QuerySet[M]] | None = None,
    filters: Sequence[Filter] = (),
    page_size: int = PAGE_SIZE,
    kept: Mapping[str, str] | None = None,
) -> ListPage:
    """The page of `rows` that the address asks for, newest first. `kept`: what a form of the page's own
    found the rows by, for the addresses of the pages beside it.
    """
    asked = request.GET
    parameters = QueryDict(mutable=True)
    parameters.update(kept or {})
    query = asked.get("q", "").replace("\0", "").strip()[:MAX_QUERY_CHARACTERS] if search else ""
    if search is not None and query:
        rows = search(rows, query)
        parameters["q"] = query
    shown = []
    for one in filters:
        value = asked.get(one.name, "")
        chosen = value if value in dict(one.choices) else ""
        if chosen:
            rows = one.apply(rows, chosen)
            parameters[one.name] = chosen
        shown.append({"name": one.name, "label": one.label, "choices": one.choices, "chosen": chosen})
    count = rows.order_by()[: MAX_COUNTED + 1].count()
    found, newer, older = _page(rows, asked, page_size)
    return ListPage(
        rows=found,
        count=min(count, MAX_COUNTED),
        is_counted=count <= MAX_COUNTED,
        query=query,
        can_search=search is not None,
        filters=shown,
        newer=_address(parameters, "after", found[0].pk) if found and newer else "",
        older=_address(parameters, "before", found[-1].pk) if found and older else "",
    )


def _page(rows: QuerySet[M], asked: Mapping[str, str], size: int) -> tuple[list[M], bool, bool]:
    """The rows, whether there are newer ones, and whether there are older ones."""
    before, after = _key(asked.get("before")), _key(asked.get("after"))
    if after is not None:
        found = list(rows.filter(pk__gt=after).order_by("pk")[: size + 1])
        more = len(found) > size
        found = found[:size][::-1]
        return found, more, bool(found) and rows.filter(pk__lt=found[-1].pk).exists()
    older = rows if before is None else rows.filter(pk__lt=before)
    found = list(older.order_by("-pk")[: size + 1])
    more = len(found) > size
    found = found[:size]
    newer = before is not None and bool(found) and rows.filter(pk__gt=found[0].pk).exists()
    return found, newer, more


def _key(text: str | None) -> int | None:
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 19:
        return None
    return min(int(text), MAX_KEY)


def _address(kept: QueryDict, direction: str, key: int) -> str:
    address = kept.copy()
    address[direction] = str(key)
    return f"?{address.urlencode()}"
