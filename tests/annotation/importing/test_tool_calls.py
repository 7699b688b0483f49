"""Answers that are tool calls or several messages."""

import json

import pytest

from annotation.exporting.actions import export_selection
from annotation.importing.actions import import_comparisons
from annotation.models import Judgment, Response
from workspace.actions import create_project
from workspace.errors import ActionError

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def call(people):
    function = {"name": "book", "arguments": json.dumps({"people": people})}
    return [
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": function}],
        }
    ]


TABLE = [{"role": "user", "content": "Book a table for two"}]
FULL = [{"role": "tool", "content": "full", "tool_call_id": "c1"}]
WEATHER = [
    {"role": "assistant", "content": "Let me look"},
    {"role": "tool", "content": "rain"},
    {"role": "assistant", "content": "Rain; take a hat"},
]


def test_tool_calls_and_answers_of_several_messages_are_kept_whole(project, bring, max_, tmp_path):
    """Imported, exported and imported again they are what they were; two different calls are two answers."""
    rows = [
        {"prompt": TABLE, "chosen": call(2), "rejected": call(7)},
        {"prompt": TABLE, "chosen": WEATHER, "rejected": "Sun"},
        {"prompt": TABLE + call(3) + FULL, "chosen": "A", "rejected": "B"},
    ]
    batch, report = bring(rows)
    assert (report.bad, report.counts["tasks"]) == (0, 3)

    def stored(wanted):
        judgments = Judgment.objects.filter(task__batch__project=wanted).order_by("pk")
        return [
            (
                judgment.task.prompt.messages,
                [Response.objects.get(pk=tier[0]).turns for tier in judgment.tiers],
            )
            for judgment in judgments
        ]

    def kept(people):
        made = {"id": "c1", "name": "book", "arguments": json.dumps({"people": people})}
        return [{"role": "assistant", "content": "", "tool_calls": [made]}]

    assert stored(project) == [
        (TABLE, [kept(2), kept(7)]),
        (TABLE, [WEATHER, None]),
        (TABLE + kept(3) + FULL, [None, None]),
    ]
    assert {response.text for response in Response.objects.filter(turns__isnull=False)} == {
        '[call] book({"people": 2})', '[call] book({"people": 7})', "Let me look\n\n[tool] rain\n\nRain; take a hat",
    }  # fmt: skip
    for number, (format, read_as) in enumerate(
        (("records", "records"), ("judgments", "records"), ("trl", "trl"))
    ):
        for files in ("parquet", "jsonl"):
            out = tmp_path / f"{format}-{files}"
            export_selection(actor=max_, project=project, selection={}, out=out, format=format, files=files)
            other = create_project(actor=max_, name=f"Other {number} {files}")
            for file in sorted((out / "data").iterdir()):
                import_comparisons(actor=max_, project=other, path=file, format=read_as)
            assert sorted(stored(other), key=str) == sorted(stored(project), key=str), (format, files)
    with pytest.raises(ActionError, match="3 of 3 comparisons have tool calls .* leave --plain out"):
        export_selection(
            actor=max_, project=project, selection={}, out=tmp_path / "plain", format="trl", plain=True
        )
