"""The search behind the questions: every weak order is found again, with as few questions as binary insertion takes."""

import random
from math import ceil, log2
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser
SCRIPTS = Path(__file__).resolve().parents[3] / "static" / "annotation" / "annotator"
# Answers all questions from the ranks (0 is best; equal: a tie): the tiers found, how many questions, the bound said at
# the start, and whether a bound was ever exceeded by what followed.
ASK_ALL = """orders => orders.map(ranks => {
  const { search, answer } = Roundtable.guidedOrder;
  const labels = Object.keys(ranks);
  let said = [], bounds = [];
  for (;;) {
    const { question, tiers, left } = search(labels, said);
    bounds.push(said.length + left);
    if (!question) return { tiers, questions: said.length, bounds };
    const [a, b] = question;
    said = answer(said, question, ranks[a] === ranks[b] ? null : ranks[a] < ranks[b] ? a : b);
  }
})"""


def weak_orders(items):
    """All of them, as lists of tiers (1, 3, 13, 75, 541, ...)."""
    if not items:
        yield []
        return
    first, rest = items[0], items[1:]
    for order in weak_orders(rest):
        for place in range(len(order) + 1):
            yield [*order[:place], [first], *order[place:]]
        for place in range(len(order)):
            yield [*order[:place], [first, *order[place]], *order[place + 1 :]]


def random_order(chance, items):
    ranks = {item: chance.randrange(chance.randint(1, 2 * len(items))) for item in items}
    return [[item for item in items if ranks[item] == rank] for rank in sorted(set(ranks.values()))]


def bound(k):
    return sum(ceil(log2(i + 1)) for i in range(1, k))


@pytest.fixture
def search_page(page):
    page.goto("about:blank")
    for name in ("typed_order.js", "guided_order.js"):
        page.add_script_tag(path=SCRIPTS / name)
    return page


def test_the_questions_find_every_weak_order_again_and_are_few(search_page):
    assert [bound(k) for k in (4, 6, 9)] == [5, 11, 21]  # 1+2+2, +3+3, +3+3+4
    chance = random.Random(11)
    orders = [order for k in range(2, 6) for order in weak_orders("ABCDE"[:k])]
    assert len(orders) == 3 + 13 + 75 + 541
    orders += [random_order(chance, "ABCDEFGHI"[:k]) for k in (6, 7, 8, 9) for _ in range(150)]
    asked = [{label: rank for rank, tier in enumerate(order) for label in sorted(tier)} for order in orders]
    # Labels in the order of the page, whatever their rank.
    asked = [dict(sorted(ranks.items())) for ranks in asked]
    for order, found in zip(orders, search_page.evaluate(ASK_ALL, asked), strict=True):
        labels = sum(map(len, order))
        assert [sorted(tier) for tier in found["tiers"]] == [sorted(tier) for tier in order]
        assert found["questions"] <= bound(labels)
        # "At most so many" holds from the first question on, and only shrinks.
        assert found["bounds"][0] == bound(labels)
        assert found["bounds"] == sorted(found["bounds"], reverse=True)


def test_what_was_said_against_the_order_is_found(search_page):
    """A over B, B over C and A over C were said; then C over A, which the order of the others does not hold."""
    found = search_page.evaluate(
        """() => { const { search, answer, contradictions, without } = Roundtable.guidedOrder;
        let said = answer(answer(answer([], ["A", "B"], "A"), ["B", "C"], "B"), ["A", "C"], "A");
        const before = contradictions(said, search(["A", "B", "C"], said).tiers).length;
        said = answer(said, ["A", "C"], "C");
        const order = search(["A", "B", "C"], said).tiers;
        const against = contradictions(said, order);
        return [before, order, against, contradictions(without(said, against[0].pair), order).length]; }"""
    )
    assert found[0] == 0
    # C against B came first in the search, so C is under B; what was said of A and C is not asked any more.
    assert found[1:] == [[["A"], ["B"], ["C"]], [{"pair": ["A", "C"], "better": "C"}], 0]


def test_what_is_read_from_a_draft_is_of_these_answers_or_nothing(search_page):
    said, typed = search_page.evaluate(
        """() => { const of = (...pair) => ({ pair, better: pair[0] });
        const said = [of("A", "B"), of("A", "A"), of("A", "Z"), { pair: ["A", "C"], better: "B" }, null, 5,
          { pair: ["B", "C"], better: null }];
        const labels = ["A", "B", "C"];
        const { read } = Roundtable.typedOrder;
        return [[read, true].map((ties) => Roundtable.guidedOrder.read(said, labels, ties === true)),
          [undefined, { tiers: "AB" }, { tiers: [["A"], ["A"]] }, { tiers: [["Z"]] },
            { tiers: [["B", "A"]], tie: true }].map((saved) => read(saved, labels))]; }"""
    )
    first = {"pair": ["A", "B"], "better": "A"}
    assert said == [[first], [first, {"pair": ["B", "C"], "better": None}]]
    nothing = {"tiers": [], "tie": False}
    assert typed == [nothing] * 4 + [{"tiers": [["B", "A"]], "tie": True}]
