# ruff: noqa: E501 - a row of a file is read best on a line
"""Every public set beside the repository, by the documented command and by the page: rows in are rows stored and rows
reported. Without them, rows of our own of the same forms. What is stored is counted here from the rows themselves.
"""

import gzip
import io
import itertools
import json
import os
from collections import Counter

import pytest
from django.core.management import CommandError, call_command

from annotation.importing.uploads import starting
from annotation.models import Demonstration, Import, Judgment, PromptSetMember, Task, Text
from tests.annotation.importing.conftest import SHARED_DATA
from workspace.actions import create_project

pytestmark = [pytest.mark.db, pytest.mark.django_db]
# Of each file; every form of row that the sets have comes early. 0: all 104,246 rows of them, in about a minute.
ROWS = int(os.environ.get("ROUNDTABLE_SHARED_ROWS", "40")) or None


def one(row):
    return [None]


def nothing(row):
    """Such a row has no text that anybody could judge: it is reported."""
    return []


def differing(first, second):
    """A preference between equal texts is none, and is reported."""
    return lambda row: [None] * (row[first].strip() != row[second].strip())


def annotators_of(*columns):
    return lambda row: [None for column in columns if row[column] is not None]


def pairs_or_ranking(row):
    """One judgment, or six where the labels of the six pairs of four answers are no weak order."""
    better = dict(zip(itertools.combinations(range(4), 2), row["preference"], strict=True))
    sign = {pair: (0, -1, 1)[label] for pair, label in better.items()}
    sign |= {(j, i): -value for (i, j), value in sign.items()}
    fits = all(
        not (sign[i, j] <= 0 and sign[j, k] <= 0) or sign[i, k] == min(sign[i, j], sign[j, k])
        for i, j, k in itertools.permutations(range(4), 3)
    )
    return [None] * (1 if fits else 6)


def rankings_in_tree(row):
    found, waiting = [], [row["prompt"]]
    while waiting:
        node = waiting.pop()
        replies = node.get("replies") or []
        waiting += replies
        if node["role"] == "prompter" and sum(reply.get("rank") is not None for reply in replies) > 1:
            found.append(None)
    return found


def text_of(column):
    return lambda row: [row[column]]


def pair_of(prompt, response):
    return lambda row: [(row[prompt], row[response])]


def arguments(*pairs, **options):
    """(what the command gets, what the page gets): `--map field=column` and the same, a line each."""
    given = [part for pair in pairs for part in ("--map", pair)]
    strengths = options.pop("strength", ())
    given += [part for pair in strengths for part in ("--strength", pair)]
    page = {"further_columns": "\n".join(pairs)} if pairs else {}
    return given, page | ({"named_strengths": "\n".join(strengths)} if strengths else {}) | options


LEFT_RIGHT = {"strength": ("left=a", "right=b")}
ONE_TWO = {"strength": ("0=tie", "1=a", "2=b")}
FOUR = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
EIGHT = (
    "davinci", "davinci-t0-ft", "davinci-superni-ft", "davinci-self-instruct",
    "davinci-self-instruct-and-superni-ft", "text-davinci-001", "text-davinci-002", "text-davinci-003",
)  # fmt: skip
THREE = ("bart", "bart-dpr", "human")
HH = ("comparisons/hh", arguments(), differing("chosen", "rejected"))
GSM8K = (
    "demonstrations/records",
    arguments("prompt=question", "response=answer"),
    pair_of("question", "answer"),
)
RATED = (
    "demonstrations/records",
    arguments("prompt=context", "response=generation"),
    pair_of("context", "generation"),
)
SUMMARIES = ("texts/records", arguments("text=summary"), text_of("summary"))
QA = {"question": "Q?", "prediction 1": "a", "prediction 2": "b", "prediction 3": "c", "prediction 4": "d"}
TREE = {"message_id": "1", "text": "Tea?", "role": "prompter", "replies": [
    {"message_id": "2", "text": "Yes", "role": "assistant", "rank": 1, "emojis": {"+1": 2}, "lang": "en", "replies": []},
    {"message_id": "3", "text": "No", "role": "assistant", "rank": 0, "replies": []},
]}  # fmt: skip
# name of the file: (kind and format, options of the command and the page, what a row stores, own rows of its form).
# A row stores judgments or tasks by number; demonstrations, prompts and texts by content, the same twice once.
SETS = {
    "tulu1_graded_pairs_17_evaluators": ("comparisons/ranked", arguments("responses=completion_a", "responses=completion_b", "annotator=evaluator"), differing("completion_a", "completion_b"),
        [{"prompt": "Tea?", "completion_a": "Yes", "completion_b": "No", "preference": "a-is-slightly-better", "evaluator": "e1"}, {"prompt": "Tea?", "completion_a": "Yes", "completion_b": "Yes", "preference": "tie", "evaluator": "e1"}]),
    "oasst_en_100_trees_kway_ranked": ("comparisons/oasst", arguments(), rankings_in_tree, [{"message_tree_id": "t", "tree_state": "ready_for_export", "prompt": TREE}]),
    "oasst_250_user_prompts": ("prompts/records", arguments(), text_of("prompt"), [{"prompt": "Tea?"}]),
    "finegrained_qa_feedback_4way_with_ties": ("comparisons/ranked", arguments("prompt=question", *(f"responses=prediction {n}" for n in range(1, 5)), "pair_labels=preference"), pairs_or_ranking,
        [QA | {"preference": [1, 1, 1, 0, 1, 1]}, QA | {"question": "R?", "preference": [1, 2, 1, 1, 1, 1]}]),
    "squality_3way_ranked_3_reviewers": ("comparisons/ranked", arguments("prompt=question_text", *(f"responses=responses.{name}.response" for name in THREE), *(f"ranks=responses.{name}.overall.overall-ranking" for name in THREE)), one,
        [{"question_text": "Plot?", "responses": {name: {"response": name, "overall": {"overall-ranking": place}} for place, name in enumerate(THREE)}}]),
    "hh_rlhf_helpful_base_test": (*HH, [{"chosen": "\n\nHuman: Tea?\n\nAssistant: Yes", "rejected": "\n\nHuman: Tea?\n\nAssistant: No"}, {"chosen": "\n\nHuman: Tea?\n\nAssistant: No", "rejected": "\n\nHuman: Tea?\n\nAssistant: No"}]),
    "hh_rlhf_helpful_online_test": (*HH, []),
    "hh_rlhf_helpful_rejection_sampled_test": (*HH, []),
    "hh_rlhf_harmless_base_test": (*HH, []),
    "pandalm_pairs_3_annotators": ("comparisons/ranked", arguments("responses=response1", "responses=response2", *(f"preference=annotator{n}" for n in (1, 2, 3)), **ONE_TWO), annotators_of("annotator1", "annotator2", "annotator3"),
        [{"instruction": "Shorten", "input": "Tea", "response1": "T", "response2": "Te", "annotator1": 1, "annotator2": 0, "annotator3": 2}]),
    "llmfao_crowd_judgements_124_workers": ("comparisons/ranked", arguments("responses=left", "responses=right", "preference=winner", "annotator=worker", **LEFT_RIGHT), nothing, [{"prompt_id": 8, "left": "m", "right": "n", "winner": "tie", "worker": 1}]),
    "llmfao_prompts": ("prompts/records", arguments("prompt=text"), text_of("text"), [{"id": 8, "text": "Haiku?", "stop": None}]),
    "llmfao_responses_kway_60plus_models": ("texts/records", arguments("text=result"), text_of("result"), [{"id": 0, "prompt": 8, "result": "A plea"}]),
    "llmfao_annotator_training_pairs": ("comparisons/ranked", arguments("prompt=text", "responses=result_x", "responses=result_y", "preference=golden", "rationale=reason", **LEFT_RIGHT), one, [{"prompt": 1, "text": "Vendor?", "result_x": "N", "result_y": "M", "golden": "left", "reason": "r"}]),
    "llmbar_pairs_single_label": ("comparisons/ranked", arguments("prompt=input", "responses=output_1", "responses=output_2", "preference=label", **ONE_TWO), one, [{"input": "Sum up", "output_1": "a", "output_2": "b", "label": 2}]),
    "hhh_alignment_pairs": ("comparisons/trl", arguments(), differing("chosen", "rejected"), [{"source": "honest", "prompt": "Q?", "chosen": "a", "rejected": "b"}]),
    "halie_summary_likert_3_workers": (*SUMMARIES, [{"summary": "Burglars", "worker": "w"}, {"summary": "Burglars", "worker": "v"}]),
    "taskmaster4_coffee_rated_generations": (*RATED, [{"context": "[{}]", "generation": "{}", "reward": 1.0}]),
    "taskmaster3_movie_rated_generations": (*RATED, []),
    "ukpconvarg1_pairs_4to5_workers": ("comparisons/ranked", arguments("prompt=topic", "responses=arg1", "responses=arg2", "preference=judgements"), nothing, [{"topic": "t", "arg1": "x", "arg2": "y", "judgements": [["w", "a1", 0.5], ["v", "a2", 0.1]]}]),
    "ukpconvarg1_arguments": ("texts/records", arguments(), text_of("text"), [{"id": "a", "text": "T"}]),
    "xsum_factuality_3_workers": (*SUMMARIES, []),
    "xsum_hallucination_spans_3_workers": (*SUMMARIES, []),
    "chatbot_arena_votes_no_text": ("comparisons/ranked", arguments("responses=model_a", "responses=model_b", "preference=winner"), nothing, [{"model_a": "m", "model_b": "n", "winner": "tie (bothbad)"}]),
    "barzan_binary_crowd_labels_with_gold": ("comparisons/ranked", arguments(), nothing, [{"worker": "w", "item": "1", "label": 0}]),
    "gsm8k_kway_model_solutions_checked": ("tasks/records", arguments("prompt=question", *(f"responses={name}.solution" for name in FOUR)), one, [{"question": "2+2?"} | {name: {"solution": name, "is_correct": "True"} for name in FOUR}]),
    "gsm8k_train": (*GSM8K, [{"question": "2+2?", "answer": "4"}]),
    "gsm8k_test": (*GSM8K, []),
    "taskmaster4_coffee_dialogues": ("demonstrations/records", arguments("messages=utterances", "role=speaker", "content=text"), lambda row: [json.dumps([row["utterances"]])], [{"utterances": [{"speaker": "user", "text": "Tea"}, {"speaker": "assistant", "text": "Yes"}]}]),
    "sgd_single_domain_dialogues": ("demonstrations/records", arguments("messages=turns"), nothing, [{"turns": [["USER", "Tea"], ["SYSTEM", "Yes"]]}]),
    "self_instruct_seed_tasks": ("demonstrations/records", arguments("instruction=instruction", "input=instances.0.input", "response=instances.0.output"), lambda row: [json.dumps(row)], [{"instruction": "Eat?", "instances": [{"input": "now", "output": "Yes"}]}]),
    "self_instruct_252_prompts_8way_unlabelled": ("tasks/records", arguments(*(f"responses=responses.{name}" for name in EIGHT)), one, [{"instruction": "Shorten", "input": "Tea", "responses": {name: f"{name}!" for name in EIGHT}}]),
}  # fmt: skip
COMMANDS = {"comparisons": "import_comparisons", "prompts": "import_prompts", "demonstrations": "import_demonstrations", "texts": "import_texts", "tasks": "import_tasks"}  # fmt: skip
CASES = [(name, case) for name, case in SETS.items() if case[3]]
CASES += [
    (path.name.removesuffix(".jsonl.gz"), (*SETS[path.name.removesuffix(".jsonl.gz")][:3], path))
    for path in sorted(SHARED_DATA.glob("*.jsonl.gz"))
]


def stored(project, kind):
    match kind:
        case "comparisons":
            return Judgment.objects.filter(task__batch__project=project).count()
        case "tasks":
            return Task.objects.filter(batch__project=project).count()
        case "prompts":
            return PromptSetMember.objects.filter(prompt_set__project=project).count()
        case "demonstrations":
            return Demonstration.objects.filter(project=project).count()
        case "texts":
            return Text.objects.filter(project=project).count()


@pytest.mark.parametrize(
    ("name", "case"),
    [
        pytest.param(name, case, id=f"{name}-own")
        if isinstance(case[3], list)
        else pytest.param(name, case, id=f"{name}-shared", marks=pytest.mark.slow)
        for name, case in CASES
    ],
)
def test_rows_in_are_rows_stored_and_rows_reported(
    send, post, project, criterion, max_, tmp_path, monkeypatch, name, case
):
    monkeypatch.setattr(starting, "is_small", lambda upload: True)  # what the worker runs, in the request
    what, (options, fields), stores, source = case
    kind, format = what.split("/")
    if isinstance(source, list):
        rows = source
    else:
        with gzip.open(source, "rt", encoding="utf-8") as file:
            rows = [json.loads(line) for line in itertools.islice(file, ROWS)]
    content = gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode())
    file = tmp_path / f"{name}.jsonl.gz"
    file.write_bytes(content)
    other = create_project(actor=max_, name="By command")
    formats = ["--format", format] if format != "records" else []
    refused = ""
    try:
        call_command(
            COMMANDS[kind], other.slug, str(file), "--skip-bad", *formats, *options, stdout=io.StringIO()
        )
    except CommandError as error:
        refused = str(error)
    post(upload := send(content, file.name), what=what)
    page, text = post(upload, "import", what=what, skip_bad="on", **fields)

    by_page, by_command = Import.objects.filter(project=project).first(), other.imports.first()
    if refused:
        # All its rows are reported, and nothing is stored.
        assert not any(stores(row) for row in rows), refused
        assert by_page is None and by_command is None
        all_of_them = f"{len(rows)} of {len(rows)} rows"
        assert all_of_them in refused and all_of_them in text
        return
    assert (by_page.rows, by_page.bad_rows, by_page.counts) == (
        by_command.rows,
        by_command.bad_rows,
        by_command.counts,
    )
    assert by_page.rows == len(rows)
    reported = set()
    if by_page.bad_rows:
        reported = {json.loads(line)["line"] for line in by_page.bad_rows_path.read_text().splitlines()}
    assert len(reported) == by_page.bad_rows
    kept = [stores(row) for number, row in enumerate(rows, start=1) if number not in reported]
    numbers = Counter(item for items in kept for item in items)
    by_number = kind in ("comparisons", "tasks")
    assert all(kept) and stored(project, kind) == (numbers.total() if by_number else len(numbers))
    assert stored(other, kind) == stored(project, kind)


def test_every_shared_set_is_in_the_table():
    if SHARED_DATA.is_dir():
        there = {path.name for path in SHARED_DATA.glob("*.jsonl.gz")}
        assert there == {f"{name}.jsonl.gz" for name in SETS}
        others = {path.name for path in SHARED_DATA.iterdir()} - there
        assert others == {
            "README.md",
            "tinyshakespeare.txt.gz",
            "reference_cases_agreement_and_ranking.json.gz",
        }


PLAYS = "First Citizen:\nBefore we proceed\n\nAll:\nSpeak, speak.\n"


@pytest.mark.parametrize("origin", ["own", "shared"])
def test_a_text_is_one_document_or_its_paragraphs(send, post, project, max_, tmp_path, origin):
    shared = SHARED_DATA / "tinyshakespeare.txt.gz"
    text = PLAYS
    if origin == "shared" and shared.is_file():
        text = gzip.decompress(shared.read_bytes()).decode()[:20_000]
    content = gzip.compress(text.encode())
    post(upload := send(content, "plays.txt.gz"), what="texts/records")
    post(upload, "import", what="texts/records", txt_rows="paragraph", skip_bad="on")
    paragraphs = [part.strip("\n") for part in text.split("\n\n") if part.strip()]
    imported = Import.objects.get(project=project)
    assert (imported.rows, imported.bad_rows) == (len(paragraphs), 0)
    other = create_project(actor=max_, name="By command")
    (tmp_path / "plays.txt.gz").write_bytes(content)
    call_command(
        "import_texts",
        other.slug,
        str(tmp_path / "plays.txt.gz"),
        "--txt-rows",
        "paragraph",
        stdout=io.StringIO(),
    )
    for one_project in (project, other):
        assert sorted(one_project.texts.values_list("text", flat=True)) == sorted(set(paragraphs))


def test_one_object_is_no_rows_and_is_refused_in_a_sentence(send, post, project, max_, tmp_path):
    """The reference cases of agreement are one object."""
    content = gzip.compress(json.dumps({"description": "cases", "cases": [{"id": "one"}]}).encode())
    (tmp_path / "cases.json.gz").write_bytes(content)
    with pytest.raises(CommandError) as refused:
        call_command("import_prompts", project.slug, str(tmp_path / "cases.json.gz"), stdout=io.StringIO())
    post(upload := send(content, "cases.json.gz"), what="prompts/records")
    _, text = post(upload, "import", what="prompts/records")
    assert "cases.json.gz" in str(refused.value)
    assert str(refused.value).replace(f"{tmp_path}/", "").split(": ")[-1][:40] in text
    assert not Import.objects.exists()
