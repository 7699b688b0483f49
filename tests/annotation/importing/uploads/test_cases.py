# ruff: noqa: E501 - a row of a file is read best on a line
"""Small files as people's tools write them: the page makes of each what the documented command makes of it, and rows in
are rows stored and rows reported.
"""

import csv
import gzip
import io
import json
import os
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command

from annotation.models import Demonstration, Import, Judgment, Prompt, Task, Text
from workspace.actions import create_project

pytestmark = [pytest.mark.db, pytest.mark.django_db]
SHARED_CASES = Path(
    os.environ.get("ROUNDTABLE_SHARED_CASES", Path(__file__).resolve().parents[5] / "shared" / "cases")
)
LABELS = ["--format", "ranked", "--map", "responses=a", "--map", "responses=b", "--map", "preference=label",
          "--grade", "1=a:2", "--grade", "0=b:2"]  # fmt: skip
LABELS_ON_THE_PAGE = {
    "what": "comparisons/ranked",
    "further_columns": "responses=a\nresponses=b\npreference=label",
    "named_strengths": "1=a:2\n0=b:2",
}
TRL = (["--format", "trl"], {"what": "comparisons/trl"})
RANKED = (["--format", "ranked"], {"what": "comparisons/ranked"})
# name of the shared file: (command, its options, the same on the page). "." begins our own content of that form.
CASES = {
    "09_nan_in_unread_column.jsonl": ("import_comparisons", *TRL),
    "10_snowflake_id_unread.jsonl": ("import_comparisons", *TRL),
    "12_array.json": ("import_comparisons", *TRL),
    "13.csv": ("import_comparisons", *TRL),
    "14.jsonl.zst": ("import_comparisons", *TRL),
    "16_sharegpt.jsonl": ("import_comparisons", *TRL),
    "17b_developer_role.jsonl": ("import_comparisons", *TRL),
    "18_tool_calls_null_content.jsonl": ("import_comparisons", *TRL),
    "18c_tool_calls_with_text.jsonl": ("import_comparisons", *TRL),
    "19_prompt_and_full_conversations.jsonl": ("import_comparisons", *TRL),
    "22_multi_message_answer.jsonl": ("import_comparisons", *TRL),
    "26_ranks.jsonl": ("import_comparisons", *RANKED),
    "27_preference.jsonl": ("import_comparisons", *RANKED),
    "29_hh.jsonl": ("import_comparisons", ["--format", "hh"], {"what": "comparisons/hh"}),
    "33_shown.jsonl": ("import_comparisons", *TRL),
    "34_dup_prompts.jsonl": ("import_prompts", [], {"what": "prompts/records"}),
    "44_odd_types.parquet": ("import_comparisons", *TRL),
    "47_annotator_int.parquet": ("import_comparisons", *TRL),
    "50_with_id.jsonl": ("import_comparisons", *TRL),
    "51_metadata.jsonl": ("import_comparisons", *TRL),
    "61_all_ties.jsonl": ("import_comparisons", *RANKED),
    "67_demos.jsonl": ("import_demonstrations", [], {"what": "demonstrations/records"}),
    "93_label_one_is_first.jsonl": ("import_comparisons", LABELS, LABELS_ON_THE_PAGE),
    "96_margin_only.jsonl": (
        "import_comparisons", ["--format", "trl", "--margins", "0.5,1,2"],
        {"what": "comparisons/trl", "margins": "0.5,1,2"},
    ),
}  # fmt: skip
PAIR = {"prompt": "Bread?", "chosen": "Rye", "rejected": "None"}
OWN = {
    "pairs.jsonl": (
        "".join(json.dumps(row) + "\n" for row in (PAIR, PAIR | {"prompt": "Oat?", "chosen": True}, PAIR | {"prompt": "Né?"})),
        "import_comparisons", *TRL,
    ),
    "labels.jsonl": (
        json.dumps({"prompt": "Soup?", "a": "Leek", "b": "Sand", "label": 1}) + "\n",
        "import_comparisons", LABELS, LABELS_ON_THE_PAGE,
    ),
    "array.json": (json.dumps([PAIR, {"no": "pair"}]), "import_comparisons", *TRL),
    "pairs.csv": ("prompt,chosen,rejected\nBread?,Rye,None\n", "import_comparisons", *TRL),
    "pairs.jsonl.gz": (gzip.compress(json.dumps(PAIR).encode()), "import_comparisons", *TRL),
    "pairs.zst": (b"\x28\xb5\x2f\xfd rows", "import_comparisons", *TRL),
    "answers.jsonl": (
        json.dumps({"q": "Tea?", "gpt": "yes", "llama": "no"}) + "\n", "import_tasks",
        ["--map", "prompt=q", "--map", "responses=gpt", "--map", "responses=llama"],
        {"what": "tasks/records", "further_columns": "prompt=q\nresponses=gpt\nresponses=llama"},
    ),
    "texts.txt": ("One.\n\nTwo.\n", "import_texts", ["--txt-rows", "paragraph"], {"what": "texts/records"}),
}  # fmt: skip
ALL = [(name, content, *rest) for name, (content, *rest) in OWN.items()]
ALL += [
    (name, (SHARED_CASES / name).read_bytes(), *rest)
    for name, rest in CASES.items()
    if (SHARED_CASES / name).is_file()
]


def count_rows(name, content):
    """Rows of the file, counted without the program's readers; None for forms that are not read."""
    if name.endswith(".zst"):
        return None
    if name.endswith(".gz"):
        content = gzip.decompress(content)
    if name.endswith(".parquet"):
        return pq.ParquetFile(io.BytesIO(content)).metadata.num_rows
    text = content.decode("utf-8-sig")
    if name.endswith(".json"):
        return len(json.loads(text))
    if name.endswith(".csv"):
        return len(list(csv.DictReader(io.StringIO(text))))
    if name.endswith(".txt"):
        return len([part for part in text.split("\n\n") if part.strip()])
    return len([line for line in text.split("\n") if line.strip()])


def stored(project):
    """Everything that an import stores, without the numbers of rows and the hashes of imports."""
    judgments = []
    for judgment in Judgment.objects.filter(task__batch__project=project).order_by("pk"):
        answers = {
            row.pk: (row.text, row.turns)
            for row in (one.response for one in judgment.task.task_responses.all())
        }
        judgments.append(
            (
                judgment.task.prompt.messages, [[answers[pk] for pk in tier] for tier in judgment.tiers],
                judgment.strengths, judgment.flags, judgment.rationale, judgment.source_id, judgment.metadata,
                [answers[pk] for pk in judgment.order_shown],
            )
        )  # fmt: skip
    return {
        "judgments": judgments,
        "prompts": [(p.messages, p.tags, p.source_id, p.metadata, p.kind) for p in Prompt.objects.filter(project=project).order_by("pk")],
        "tasks": Task.objects.filter(batch__project=project).count(),
        "demonstrations": [(d.prompt.messages, d.response_text, d.turns) for d in Demonstration.objects.filter(project=project).order_by("pk")],
        "texts": list(Text.objects.filter(project=project).order_by("pk").values_list("text", flat=True)),
        "sources": sorted(project.sources.values_list("name", flat=True)),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "command", "options", "fields"), ALL, ids=[case[0] for case in ALL]
)
def test_the_page_makes_of_a_file_what_the_command_makes_of_it(
    send, post, project, criterion, max_, tmp_path, name, content, command, options, fields
):
    content = content.encode() if isinstance(content, str) else content
    other = create_project(actor=max_, name="By command")
    (tmp_path / name).write_bytes(content)
    refused = ""
    try:
        call_command(command, other.slug, str(tmp_path / name), "--skip-bad", *options, stdout=io.StringIO())
    except CommandError as error:
        refused = str(error)

    upload = send(content, name)
    fields = dict(fields)
    post(upload, what=fields.pop("what"))
    extra = {"txt_rows": "paragraph"} if name.endswith(".txt") else {}
    _, text = post(upload, "import", skip_bad="on", **fields, **extra)
    by_page, by_command = Import.objects.filter(project=project).first(), other.imports.first()
    n_rows = count_rows(name, content)
    assert bool(refused) is name.endswith(".zst"), refused
    if refused:
        assert by_page is None and by_command is None and not Prompt.objects.exists()
        said = refused.replace(str(tmp_path / name), name).split(":")[0].split(", ")[0]
        assert said in text
        return
    assert stored(project) == stored(other) and any(stored(project).values())
    assert (by_page.rows, by_page.bad_rows, by_page.counts) == (
        by_command.rows,
        by_command.bad_rows,
        by_command.counts,
    )
    assert by_page.rows == n_rows
    reported = len(by_page.bad_rows_path.read_text().splitlines()) if by_page.bad_rows else 0
    assert by_page.bad_rows == reported


def test_every_shared_case_is_in_the_table():
    if SHARED_CASES.is_dir():
        there = {path.name for path in SHARED_CASES.iterdir()} - {"README.md"}
        assert there == set(CASES)
