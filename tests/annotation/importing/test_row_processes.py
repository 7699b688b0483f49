"""Processes that check rows beside an import: the same rows and the same report as without them, whoever is killed."""

import gzip
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annotation.importing import row_processes
from annotation.importing.actions import import_comparisons
from annotation.importing.checked_rows import check_row
from annotation.importing.readers.fields import NamedStrengths
from annotation.importing.readers.margins import Margins
from annotation.importing.readers.registry import COMPARISON_READERS, comparison_reader, row_extras
from annotation.importing.report import ImportRefused
from annotation.importing.sources import open_source
from annotation.importing.staging import Staging
from annotation.importing.validation import stage_comparisons
from annotation.importing.watching import ImportStopped, Watch, watched_by
from annotation.models import Import, Judgment, Prompt

ROOT = Path(__file__).resolve().parents[3]
TABLES = ("row_id", "content_digest", "pair", "judgment")
ROWS = [{"prompt": f"Q {n}?", "chosen": f"yes {n}", "rejected": "no", "note": n} for n in range(40)]

text = st.sampled_from(["yes", "no", "", "ünïcode 👩‍🍳", "a\tb", "nul \0"])
row = st.fixed_dictionaries(
    {"prompt": st.sampled_from(["Q?", "R?", "", 7]), "chosen": text, "rejected": text},
    optional={
        "id": st.sampled_from(["1", "2", "3"]),
        "group_id": st.sampled_from(["g", "h"]),
        "split": st.sampled_from(["train", "test", "somewhere"]),
        "margin": st.sampled_from([0.5, -1, 3]),
        "strength": st.integers(-1, 4),
        "annotator": st.sampled_from(["ada", "ben"]),
        "system": st.just("Be brief."),
        "note": st.one_of(text, st.lists(st.integers(), max_size=2)),
    },
)
lines = st.lists(st.one_of(row.map(json.dumps), st.sampled_from(["", "[1]", "{broken", '{"a": 1, "a": 2}'])))


@pytest.fixture
def in_processes(monkeypatch):
    def use(number):
        monkeypatch.setattr(row_processes, "_number_of_processes", lambda source: number)

    monkeypatch.setattr(row_processes, "ROWS_PER_BLOCK", 3)
    use(2)
    return use


def staged(project, path):
    """Everything that the first pass found, or why it found nothing."""
    notes = NamedStrengths({}), Margins()
    extras = row_extras(COMPARISON_READERS, "trl", {})
    columns = extras.reader_columns
    reader = comparison_reader(
        "trl", columns, criterion="overall", named_strengths=notes[0], margins=notes[1]
    )
    with Staging() as staging:
        try:
            report = stage_comparisons(open_source(path), reader, extras, staging, project, notes)
        except ImportRefused as refused:
            return str(refused), refused.code
        found = [staging._database.execute(f"SELECT * FROM {table}").fetchall() for table in TABLES]
    said = report.rows, report.bad, report.bad_rows, report.counts, report.notes
    return found, said, [one.noted() for one in (*notes, extras)]


@pytest.mark.django_db
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=lines, cut=st.integers(0, 30), processes=st.integers(2, 3))
def test_rows_and_report_are_those_of_one_process(project, tmp_path, in_processes, content, cut, processes):
    path = tmp_path / "rows.jsonl"
    whole = "\n".join(content).encode() + b"\n"
    path.write_bytes(whole[: len(whole) - cut])
    in_processes(1)
    alone = staged(project, path)
    in_processes(processes)
    assert staged(project, path) == alone
    assert not multiprocessing.active_children()


@pytest.mark.django_db
def test_a_file_that_ends_too_early_is_refused_in_the_same_words(project, tmp_path, in_processes):
    path = tmp_path / "rows.jsonl.gz"
    # What cannot be packed well: the break is behind many rows.
    packed = gzip.compress(
        "\n".join(json.dumps(r | {"note": os.urandom(200).hex()}) for r in ROWS * 10).encode()
    )
    path.write_bytes(packed[:-20_000])
    together = staged(project, path)
    in_processes(1)
    assert together == staged(project, path)
    assert together[1] == "damaged" and not multiprocessing.active_children()


@pytest.mark.django_db
def test_a_process_that_is_killed_ends_the_import_with_a_sentence(
    project, criterion, max_, write_rows, monkeypatch, in_processes
):
    importing = os.getpid()

    def killed_at_20(reader, extras, line, row):
        if line == 20 and os.getpid() != importing:
            os.kill(os.getpid(), signal.SIGKILL)
        return check_row(reader, extras, line, row)

    path = write_rows(ROWS)
    with monkeypatch.context() as patched:
        patched.setattr(row_processes, "check_row", killed_at_20)
        with pytest.raises(
            ImportRefused, match=r"ended \(exit code -9\), and nothing of it counts"
        ) as refused:
            import_comparisons(actor=max_, project=project, path=path, format="trl")
    assert refused.value.code == "broke_off"
    assert (
        not multiprocessing.active_children() and not Import.objects.exists() and not Prompt.objects.exists()
    )
    _, report = import_comparisons(actor=max_, project=project, path=path, format="trl")
    assert report.counts["judgments"] == Judgment.objects.count() == len(ROWS)
    stored = Judgment.objects.order_by("pk").values_list("metadata", flat=True)
    assert list(stored) == [{"note": n} for n in range(len(ROWS))]


@pytest.mark.django_db
def test_a_stop_while_rows_are_checked_ends_the_processes(project, write_rows, monkeypatch, in_processes):
    monkeypatch.setattr(row_processes, "ROWS_PER_LOOK", 10)
    said = []

    def say(stage, done, total):
        said.append((os.getpid(), stage, done))

    watch = Watch(say=say, stop_requested=lambda: len(said) == 3)
    with watched_by(watch), pytest.raises(ImportStopped):
        staged(project, write_rows(ROWS))
    assert said == [(os.getpid(), "checking rows", done) for done in (0, 10, 20)]
    assert not multiprocessing.active_children()


BEGIN_AND_WAIT = """
import multiprocessing, sys, time
import django
django.setup()
from pathlib import Path
from annotation.importing import row_processes
from annotation.importing.readers.fields import NamedStrengths
from annotation.importing.readers.margins import Margins
from annotation.importing.readers.registry import COMPARISON_READERS, comparison_reader, row_extras
from annotation.importing.sources import open_source
row_processes._number_of_processes = lambda source: 2
extras = row_extras(COMPARISON_READERS, "trl", {})
reader = comparison_reader("trl", extras.reader_columns, criterion="overall", named_strengths=NamedStrengths({}),
                           margins=Margins())
rows = row_processes.checked_rows(open_source(Path(sys.argv[1])), reader, extras)
next(rows)
print(*(process.pid for process in multiprocessing.active_children()), flush=True)
time.sleep(600)
"""


def test_the_processes_end_when_the_import_is_killed(write_rows):
    path = write_rows(
        [{"prompt": f"Q {n}?", "chosen": "yes" * 500, "rejected": "no" * 500} for n in range(3000)]
    )
    importing = subprocess.Popen(
        [sys.executable, "-c", BEGIN_AND_WAIT, str(path)],
        cwd=ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"},
        stdout=subprocess.PIPE,
        text=True,
    )
    with importing:
        try:
            children = [int(pid) for pid in importing.stdout.readline().split()]
        finally:
            importing.kill()
        # The pipe of stdout ends when nobody holds it any more: the processes, too, have ended.
        assert len(children) == 2 and importing.stdout.read() == ""
