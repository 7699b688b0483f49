import itertools
from collections import Counter

import pytest

from annotation.importing.source_files import read_rows
from tests.annotation.importing.conftest import SHARED_DATA
from tests.annotation.importing.readers.conftest import make_reader, problem_with


def node(text, role="prompter", replies=(), **fields):
    return {"message_id": text, "text": text, "role": role, "lang": "en", "synthetic": False, "review_count": 3,
            "replies": list(replies), "emojis": {"+1": 2}} | fields  # fmt: skip


def reply(text, rank=None, replies=(), **fields):
    return node(text, "assistant", replies, rank=rank, **fields)


TREE = {
    "message_tree_id": "t1",
    "tree_state": "ready_for_export",
    "prompt": node(
        "Tea?",
        replies=[
            reply(
                "Green",
                1,
                [node("Why green?", replies=[reply("Taste", 0), reply("Health", 1), reply("Unranked")])],
            ),
            reply("Black", 0, synthetic=True, model_name="chip20b"),
            reply("Spam", 2, [node("?", replies=[reply("x", 0), reply("y", 1)])], deleted=True),
            reply("White", 2, [node("And?", replies=[reply("only one", 0)])]),
        ],
    ),
}


def user(text):
    return {"role": "user", "content": text}


def test_every_set_of_ranked_replies_is_a_ranking_under_its_path():
    first, second = make_reader("oasst").read(TREE, 1)
    assert (first.prompt, first.responses, first.ranks) == (
        [user("Tea?")],
        ["Green", "Black", "White"],
        [1, 0, 2],
    )
    assert first.sources == [["person", "person"], ["policy", "chip20b"], ["person", "person"]]
    assert first.strengths == [None, None]
    said = {"lang": "en", "review_count": 3, "emojis": {"+1": 2}}
    assert first.metadata == {"message": said, "replies": [said] * 3}
    path = [user("Tea?"), {"role": "assistant", "content": "Green"}, user("Why green?")]
    assert (second.prompt, second.responses, second.ranks) == (path, ["Taste", "Health"], [0, 1])
    assert make_reader("oasst").row_id(TREE) == "t1"


def test_equal_ranks_tie_and_a_tree_without_ranks_has_no_judgment():
    tree = {
        "message_tree_id": "t",
        "prompt": node("Tea?", replies=[reply("a", 3), reply("b", 3), reply("c", 1)]),
    }
    assert make_reader("oasst").read(tree, 1)[0].ranks == [1, 1, 0]
    tree["prompt"] = node("Tea?", replies=[reply("a"), reply("b")])
    assert make_reader("oasst").read(tree, 1) == []


@pytest.mark.parametrize(
    ("tree", "problem"),
    [
        ({"prompt": "Tea?"}, "prompt: should be a message"),
        ({"prompt": node("Tea?", replies=[reply("a", 0), "b"])}, "prompt.replies.1: should be a message"),
        ({"prompt": node("Tea?", replies=[reply("a", 0), reply("a", 1)])}, "prompt.replies: has the same text"),
        ({"prompt": node("Tea?", replies=[reply("a", 0), reply("b", "x")])}, "prompt.replies.1.rank: should be"),
        ({"prompt": node("Tea?", role="moon")}, "prompt.0.role: should be one of"),
        ({"prompt": node("Tea?", image="x")}, "prompt.0.image: cannot be kept"),
        ({"message_id": "m", "parent_id": None, "text": "Tea?", "role": "prompter"},
         "parent_id: is of a file with a message a line"),
        ({"prompt": node("Tea?", replies=[reply("a", 0, lang="e\0n"), reply("b", 1)])},
         "prompt.replies.0.lang: cannot be kept"),
    ],
)  # fmt: skip
def test_trees_that_cannot_be_taken_say_why(tree, problem):
    assert problem_with("oasst", tree).startswith(problem)


def test_a_tree_may_be_deep():
    tree = node("end", replies=[reply("a", 0), reply("b", 1)])
    for number in range(2_000):
        tree = node(f"q{number}", replies=[reply(f"a{number}", None, [tree])])
    (found,) = make_reader("oasst").read({"prompt": tree}, 1)
    assert len(found.prompt) == 4_001


# The trees above, and the shared file where it is: its README counts 183 rankings with these K, and 620 pairs.
FILES = [([TREE] * 2, {3: 2, 2: 2}, 8)] + [
    (path, {3: 101, 2: 49, 4: 25, 6: 4, 5: 3, 8: 1}, 620)
    for path in [SHARED_DATA / "oasst_en_100_trees_kway_ranked.jsonl.gz"]
    if path.is_file()
]


@pytest.mark.parametrize(("source", "sizes", "pairs"), FILES, ids=["generated", "shared"][: len(FILES)])
def test_whole_files_of_trees_are_read_as_they_are_known_to_be(write_rows, source, sizes, pairs):
    reader = make_reader("oasst")
    path = write_rows(source) if isinstance(source, list) else source
    found = [judgment for line, row in read_rows(path) for judgment in reader.read(row, line)]
    assert Counter(len(judgment.responses) for judgment in found) == sizes
    assert sum(len(list(itertools.combinations(judgment.responses, 2))) for judgment in found) == pairs
    assert all(sorted(judgment.ranks) == list(range(len(judgment.ranks))) for judgment in found)
