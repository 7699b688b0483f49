"""Exports for OpenRLHF and NeMo RL against validators written from those trainers' documentation."""

import json
import math

import pyarrow.parquet as pq
import pytest

from annotation.datasets.actions import freeze_dataset
from annotation.exporting.actions import export_preferences
from tests.annotation.exporting.conftest import ranked_rows
from tests.annotation.exporting.documented_columns import check_nemo, check_openrlhf

pytestmark = [pytest.mark.db, pytest.mark.django_db]
ROWS = list(ranked_rows(40, seed=4))
PAIRS = sum(
    first != second
    for row in ROWS
    for place, first in enumerate(row["ranks"])
    for second in row["ranks"][place + 1 :]
)


@pytest.fixture
def exported(project, max_, bring, tmp_path):
    def exported(format, **options):
        bring(ROWS, "ranked")
        dataset = freeze_dataset(actor=max_, project=project)
        export_preferences(actor=max_, dataset=dataset, out=tmp_path / "out", format=format, **options)
        rows = []
        for path in sorted((tmp_path / "out" / "data").iterdir()):
            if path.suffix == ".parquet":
                rows += pq.read_table(path).to_pylist()
            else:
                rows += [json.loads(line) for line in path.read_text().splitlines()]
        return rows

    return exported


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("files", ["parquet", "jsonl"])
@pytest.mark.parametrize("columns", ["all", "documented"])
def test_openrlhf_reads_every_pair(exported, plain, files, columns):
    rows = exported("openrlhf", plain=plain, files=files, columns=columns)
    assert len(rows) == PAIRS
    for row in rows:
        check_openrlhf(row, chat=not plain)
    if columns == "documented":
        assert set(rows[0]) == {"prompt", "chosen", "rejected", "margin"}


@pytest.mark.parametrize("files", ["parquet", "jsonl"])
@pytest.mark.parametrize("columns", ["all", "documented"])
def test_nemo_rl_reads_every_pair_and_every_ranking(exported, files, columns):
    rows = exported("nemo", files=files, columns=columns)
    assert len(rows) == PAIRS
    for row in rows:
        check_nemo(row, pairs=True)
    if columns == "documented":
        assert set(rows[0]) == {"context", "completions", "task_name"}


def test_nemo_rl_has_whole_rankings_too(exported):
    rows = exported("nemo", rows="rankings", ties="soft")
    assert len(rows) == len(ROWS)
    for row in rows:
        check_nemo(row, pairs=False)
    assert sum(math.comb(len(row["completions"]), 2) for row in rows) == sum(
        math.comb(len(row["responses"]), 2) for row in ROWS
    )


SAID = {"role": "assistant", "content": "Yes"}
ASKED = [{"role": "user", "content": "Tea?"}]
GOOD = {"prompt": ASKED, "chosen": [SAID], "rejected": [SAID | {"content": "No"}], "margin": 0.5}
RANKED = {"context": ASKED, "completions": [
    {"rank": 0, "completion": [SAID]}, {"rank": 1, "completion": [SAID | {"content": "No"}]},
]}  # fmt: skip


@pytest.mark.parametrize(
    ("check", "row", "fault"),
    [
        (check_openrlhf, GOOD, {"chosen": GOOD["rejected"]}),
        (check_openrlhf, GOOD, {"prompt": "Tea?"}),
        (check_openrlhf, GOOD, {"margin": math.nan}),
        (check_openrlhf, GOOD, {"chosen": ASKED}),
        (check_nemo, RANKED, {"context": [*ASKED, SAID]}),
        (check_nemo, RANKED, {"completions": RANKED["completions"][:1]}),
        (check_nemo, RANKED, {"completions": [RANKED["completions"][0]] * 2}),
        (
            check_nemo,
            RANKED,
            {"completions": [{"rank": "0", "completion": [SAID]}, RANKED["completions"][1]]},
        ),
    ],
)
def test_the_validators_refuse_what_the_trainers_would_misread(check, row, fault):
    options = {"chat": True} if check is check_openrlhf else {"pairs": True}
    check(row, **options)
    with pytest.raises((AssertionError, TypeError)):
        check(row | fault, **options)
