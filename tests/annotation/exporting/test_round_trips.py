"""Whatever a starred format carries comes back: rows drawn by hypothesis, written and read by the import's own readers;
and once through files and databases.
"""

import itertools
import json
from collections import Counter, defaultdict

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.datasets.actions import freeze_dataset
from annotation.datasets.files import dataset_comparisons
from annotation.exporting.actions import export_preferences
from annotation.exporting.formats.base import ExportOptions
from annotation.exporting.formats.registry import EXPORT_FORMATS
from annotation.importing.contents.actions import import_demonstrations
from annotation.importing.readers.judgments import ImportedPair, merge_group
from annotation.preferences.comparisons import group_judgments, merge_judgments, pair_preferences
from annotation.preferences.weak_orders import compare, pair_strength, ranks_to_tiers
from annotation.records import demonstration_rows
from learning.interface.messages import answer_columns, answer_key
from tests.annotation.exporting.folders import meaning
from tests.annotation.importing.readers.conftest import make_reader
from tests.annotation.preferences.rows import judgment_row
from workspace.actions import create_project

LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
# Texts that files, spreadsheets and readers of transcripts stumble over, beside any.
TEXTS = st.one_of(
    st.text(LETTERS, max_size=12),
    st.sampled_from(
        [
            "=1+1",
            " a ",
            "\u2028",
            "👩‍🍳",
            "a\r\nb",
            "\n\nHuman: x",
            "[call] f()",
            "null",
            "3",
            "{}",
            "'x",
            "%s",
        ]
    ),
)
FILLED = TEXTS.filter(lambda text: text.strip())
CALL = st.fixed_dictionaries({"id": st.just("c1"), "name": st.just("book"), "arguments": st.just('{"n": 2}')})


def said(text):
    return {"role": "assistant", "content": text}


@st.composite
def prompts(draw, calls):
    turns = [{"role": "system", "content": draw(TEXTS)}] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(0, 2))):
        turns += [{"role": "user", "content": draw(TEXTS)}, said(draw(TEXTS))]
        if calls and draw(st.booleans()):
            turns[-1]["tool_calls"] = [draw(CALL)]
            turns.append({"role": "tool", "content": draw(TEXTS), "tool_call_id": "c1"})
    return [*turns, {"role": "user", "content": draw(FILLED)}]


@st.composite
def answers(draw, calls, dialogues=False):
    if dialogues and draw(st.booleans()):
        later = draw(st.lists(st.tuples(FILLED, TEXTS), min_size=1, max_size=3))
        turns = [
            turn for asked, answer in later for turn in ({"role": "user", "content": asked}, said(answer))
        ]
        return [said(draw(TEXTS)), *turns]
    if calls and draw(st.booleans()):
        call = said("") | {"tool_calls": [draw(CALL)]}
        return [call, {"role": "tool", "content": draw(TEXTS), "tool_call_id": "c1"}, said(draw(TEXTS))]
    return draw(TEXTS)


@st.composite
def judgments(draw, *, calls=False, dialogues=False, annotators=1):
    """The judgments of one task: 2 to 9 answers, ties, steps without a strength."""
    prompt = draw(prompts(calls))
    size = draw(st.integers(2, 9) if draw(st.booleans()) else st.integers(2, 3))
    shown = draw(st.lists(answers(calls, dialogues), min_size=size, max_size=size, unique_by=answer_key))
    found = []
    for number in range(draw(st.integers(1, annotators))):
        ranks = draw(st.lists(st.integers(0, size - 1), min_size=size, max_size=size))
        steps = len(set(ranks)) - 1
        strengths = draw(st.lists(st.none() | st.integers(0, 3), min_size=steps, max_size=steps))
        row = judgment_row(
            ranks, strengths, annotator=f"w{number}", prompt=prompt, rationale=draw(TEXTS),
            source_id=draw(st.none() | st.just("row 1")), metadata=draw(st.none() | st.just('{"lang": "en"}')),
        )  # fmt: skip
        for response, answer in zip(row["responses"], shown, strict=True):
            text, turns = answer_columns(answer)
            response |= {"text": text, "turns": turns, "marks": {}, "source": "import", "policy": None}
        found.append(row)
    return found


def through(name, source, *, files="jsonl", **options):
    """The rows of a format as a file has them, with null columns as null."""
    export_format = EXPORT_FORMATS[name]
    options = ExportOptions(files=files, with_turns=True, **options)
    schema = export_format.schema(options)
    rows = list(export_format.rows(source, options, Counter()))
    if files == "parquet":
        return pa.Table.from_pylist(rows, schema=schema).to_pylist()
    return [json.loads(json.dumps({column: row.get(column) for column in schema.names})) for row in rows]


def read_back(name, rows):
    """The judgments that an import makes of the rows."""
    reader, found, groups = make_reader(name), [], defaultdict(list)
    for line, row in enumerate(rows, start=1):
        for item in reader.read(row, line):
            if isinstance(item, ImportedPair):
                groups[item.group, item.annotator].append(item)
            else:
                found.append(item)
    return found + [judgment for pairs in groups.values() for judgment in merge_group(pairs)]


def told(judgment):
    """What an imported judgment says, whatever the order of its responses: prompt, each pair's sign and strength."""
    keys = [answer_key(response) for response in judgment.responses]
    pairs = {}
    for i, j in itertools.permutations(range(len(keys)), 2):
        ranks = judgment.ranks[i], judgment.ranks[j]
        strength = pair_strength(judgment.strengths, min(ranks), max(ranks))
        pairs[keys[i], keys[j]] = (compare(ranks[1], ranks[0]), strength)
    return json.dumps(judgment.prompt, sort_keys=True), frozenset(pairs.items())


def meant(row):
    """The same of a row of judgments."""
    keys = {
        response["response_id"]: answer_key(response["turns"] or response["text"])
        for response in row["responses"]
    }
    pairs = {}
    for (i, j), preference in pair_preferences(row).items():
        pairs[keys[i], keys[j]] = (preference.sign, preference.strength)
        pairs[keys[j], keys[i]] = (-preference.sign, preference.strength)
    return json.dumps(row["prompt"], sort_keys=True), frozenset(pairs.items())


def has_tie(row):
    return any(len(tier) > 1 for tier in row["tiers"])


def comparison(row):
    return merge_judgments(row["judgment_id"], [row], {})


@pytest.mark.parametrize("files", ["jsonl", "parquet"])
@pytest.mark.parametrize("name", ["trl", "ranked"])
@given(data=st.data())
def test_pairs_and_rankings_come_back_whole(name, files, data):
    (row,) = data.draw(judgments(calls=True, dialogues=True))
    options = {"ties": "soft"} if name == "trl" else {}
    (back,) = read_back(name, through(name, comparison(row), files=files, **options))
    assert told(back) == meant(row)


@given(data=st.data())
def test_ties_that_were_left_out_come_back_by_their_number(data):
    """In every ranking with more than one tier each response is in some pair."""
    (row,) = data.draw(judgments())
    rows = through("trl", comparison(row))
    if len(row["tiers"]) == 1:
        assert rows == []
        return
    (back,) = read_back("trl", rows)
    assert told(back) == meant(row)


@pytest.mark.parametrize("files", ["jsonl", "parquet"])
@given(data=st.data())
def test_helpsteer3_brings_back_every_annotator_with_the_strength_that_was_given(files, data):
    rows = data.draw(judgments(annotators=3))
    ((group, same),) = group_judgments(rows)
    back = read_back("helpsteer3", through("helpsteer3", (group, same), files=files, ties="soft"))
    assert sorted(
        (judgment.annotator, judgment.rationale, str(told(judgment)[0])) for judgment in back
    ) == sorted((row["annotator"], row["rationale"], meant(row)[0]) for row in rows)
    assert Counter(map(told, back)) == Counter(map(meant, rows))


@given(data=st.data())
def test_hh_brings_back_what_a_transcript_can_say_and_leaves_the_rest_out(data):
    (row,) = data.draw(judgments(dialogues=True))
    counts = Counter()
    options = ExportOptions(ties="soft")
    rows = list(EXPORT_FORMATS["hh"].rows(comparison(row), options, counts))
    if counts["pairs_ambiguous_left_out"]:
        # The others of its group then stand alone, and none says anything that was not judged.
        for one in rows:
            one |= {"n_pairs_in_group": len(rows), "n_ties_in_group": None}
    if not rows or counts["pairs_with_outer_space"]:
        return
    _, meant_pairs = meant(row)
    for judgment in read_back("hh", rows):
        prompt, pairs = told(judgment)
        assert prompt == meant(row)[0]
        assert pairs <= meant_pairs
        assert counts["pairs_ambiguous_left_out"] or pairs == meant_pairs


@given(data=st.data())
def test_a_tree_brings_back_the_order(data):
    (row,) = data.draw(judgments())
    (back,) = read_back("oasst", through("oasst", comparison(row), ties="soft"))
    prompt, pairs = meant(row)
    read_prompt, read_pairs = told(back)
    assert read_prompt == prompt
    assert {(pair, sign) for pair, (sign, _) in read_pairs} == {(pair, sign) for pair, (sign, _) in pairs}


@given(data=st.data())
def test_a_circle_of_pairs_comes_back_as_a_circle(data):
    """Three answers, each preferred to the next by somebody; no order has that."""
    prompt = data.draw(prompts(calls=False))
    texts = data.draw(st.lists(TEXTS, min_size=3, max_size=3, unique=True))
    votes = []
    for winner, loser in ((0, 1), (1, 2), (2, 0)):
        row = judgment_row([0, 1, 2], [1, 1], annotator=f"w{winner}", prompt=prompt)
        row["responses"] = [
            {"response_id": f"t1-r{place}", "text": texts[place], "turns": None}
            for place in sorted((winner, loser))
        ]
        row["tiers"], row["strengths"] = [[f"t1-r{winner}"], [f"t1-r{loser}"]], [2]
        votes.append(row)
    merged = merge_judgments("t1", votes, {})
    back = read_back("trl", through("trl", merged))
    assert len(back) == 3
    assert {
        tuple(
            answer_key(judgment.responses[place]) for tier in ranks_to_tiers(judgment.ranks) for place in tier
        )
        for judgment in back
    } == {(texts[0], texts[1]), (texts[1], texts[2]), (texts[2], texts[0])}


def awkward_rows():
    """Rankings of 2, 3 and 9 answers, ties, missing strengths, several turns; no edge that a transcript loses."""
    for number in range(12):
        size = (2, 3, 9)[number % 3]
        ranks = [(place * (number % 4 + 1)) % size for place in range(size)]
        prompt = [
            {"role": "user", "content": f"Frage {number}: “ä” | = + @?"},
            said("Which\n\none?"),
            {"role": "user", "content": "That\u2028one. 👩‍🍳"},
        ]
        yield {
            "prompt": prompt if number % 2 else prompt[:1],
            "responses": [f"={place}+{number}\nwith, \"quotes\" and 'more'" for place in range(size)],
            "ranks": ranks,
            "strengths": [(None, 0, 1, 2, 3)[(number + step) % 5] for step in range(len(set(ranks)) - 1)],
            "annotator": f"w{number % 2}",
        }


def without_strengths(rows):
    return meaning(
        row
        | {"grade": [[0 if cell is not None else None for cell in line] for line in row["soft_preference"]]}
        for row in rows
    )


@pytest.mark.db
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("judgments", {"files": "jsonl"}),
        ("records", {}),
        ("trl", {"ties": "soft", "files": "jsonl"}),
        ("helpsteer3", {"ties": "soft"}),
        ("hh", {"ties": "soft", "files": "jsonl"}),
        ("ranked", {}),
        ("oasst", {"ties": "soft"}),
    ],
)
def test_from_the_site_to_files_and_back_twice(project, max_, bring, tmp_path, name, options):
    bring(list(awkward_rows()), "ranked")
    read = meaning if name != "oasst" else without_strengths
    before = read(dataset_comparisons(freeze_dataset(actor=max_, project=project)))
    assert before.total() == 12
    _, read_as = EXPORT_FORMATS[name].imports_back
    metadata = []
    for cycle in range(2):
        dataset = freeze_dataset(actor=max_, project=project, name=f"cycle {cycle}")
        out = tmp_path / str(cycle)
        export_preferences(actor=max_, dataset=dataset, out=out, format=name, **options)
        project = create_project(actor=max_, name=f"Other {cycle}")
        for path in sorted((out / "data").iterdir()):
            bring(path, read_as, into=project)
        again = list(dataset_comparisons(freeze_dataset(actor=max_, project=project)))
        assert read(again) == before
        metadata += [row["metadata"] for row in again]
    assert set(metadata) == {None}  # what we wrote ourselves is no column of somebody's


@pytest.mark.db
@pytest.mark.django_db
@pytest.mark.parametrize("plain", [False, True])
def test_the_best_answers_come_back_as_demonstrations(project, max_, bring, tmp_path, plain):
    bring(list(awkward_rows()), "ranked")
    dataset = freeze_dataset(actor=max_, project=project)
    expected = Counter()
    for row in awkward_rows():
        prompt = row["prompt"]
        for text, rank in zip(row["responses"], row["ranks"], strict=True):
            if rank == min(row["ranks"]) < max(row["ranks"]):
                expected[json.dumps(prompt), text] += 1
    out = tmp_path / "out"
    export_preferences(actor=max_, dataset=dataset, out=out, format="sft", plain=plain, files="jsonl")
    other = create_project(actor=max_, name="Other")
    for path in sorted((out / "data").iterdir()):
        import_demonstrations(actor=max_, project=other, path=path, format="records")
    assert (
        Counter((json.dumps(row["prompt"]), row["response"]) for row in demonstration_rows(other)) == expected
    )
