"""Where validated rows wait between the two passes of an import.

A private SQLite file without a name: the system removes it when the process ends, however it ends, and its
pages spill to disk, so that a million rows cost no memory. It also answers the questions that one pass
cannot: is this id taken already, which rows belong to one group, and which judgments are of one task.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from annotation.importing.readers.judgments import ImportedJudgment, ImportedPair
from annotation.preferences.comparisons import GROUP_FLAG
from learning.interface.messages import answer_key

_TABLES = """
CREATE TABLE row_id (id TEXT PRIMARY KEY, line INTEGER) WITHOUT ROWID;
CREATE TABLE content_digest (kind TEXT, id TEXT, digest TEXT, line INTEGER, PRIMARY KEY (kind, id)) WITHOUT ROWID;
CREATE TABLE pair (seq INTEGER PRIMARY KEY, line INTEGER, group_key BLOB, payload TEXT);
CREATE TABLE judgment
  (seq INTEGER PRIMARY KEY, line INTEGER, task_key BLOB, annotator TEXT, annotator_kind TEXT,
   fingerprint TEXT, payload TEXT);
CREATE INDEX judgment_by_fingerprint ON judgment (fingerprint) WHERE fingerprint IS NOT NULL;
CREATE TABLE pseudonym
  (annotator TEXT, annotator_kind TEXT, pseudonym TEXT, PRIMARY KEY (annotator, annotator_kind)) WITHOUT ROWID;
CREATE TABLE prompt_row (seq INTEGER PRIMARY KEY, line INTEGER, payload TEXT);
"""
# If one user judged the same task twice in a file, it is imported as two tasks: one judgment per user and task.
# Users are compared after pseudonyms are resolved, since two names may be one user.
_TASKS = """
CREATE INDEX judgment_of_task ON judgment (task_key, seq);
CREATE TABLE duplicate AS
  SELECT seq, task_key, ROW_NUMBER() OVER
    (PARTITION BY task_key, COALESCE(pseudonym.pseudonym, judgment.annotator) ORDER BY seq) AS occurrence
  FROM judgment LEFT JOIN pseudonym USING (annotator, annotator_kind);
CREATE INDEX duplicate_of_task ON duplicate (task_key, occurrence, seq);
CREATE TABLE task AS
  SELECT task_key, occurrence, MIN(seq) AS first FROM duplicate GROUP BY task_key, occurrence;
CREATE INDEX task_in_order ON task (first);
"""


@dataclass(frozen=True, kw_only=True)
class StagedTask:
    """The judgments of one task, in file order, with the number of its first row."""

    number: int
    judgments: list[ImportedJudgment]


class Staging:
    def __enter__(self) -> Self:
        # An empty name: a temporary file of SQLite's own, unlinked as soon as it is open.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("PRAGMA cache_size = -16000")
        self._database.execute("PRAGMA temp_store = FILE")
        self._database.executescript(_TABLES)
        self._database.execute("BEGIN")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    @contextmanager
    def row_savepoint(self) -> Iterator[None]:
        """What a row claims and adds; none of it stays when the row turns out to be bad."""
        self._database.execute("SAVEPOINT staged_row")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK TO staged_row")
            raise
        finally:
            self._database.execute("RELEASE staged_row")

    def claim_id(self, row_id: str, line: int) -> int | None:
        """Registers the id for this line; returns the earlier line when it is taken already."""
        taken = self._database.execute("SELECT line FROM row_id WHERE id = ?", (row_id,)).fetchone()
        if taken:
            return int(taken[0])
        self._database.execute("INSERT INTO row_id VALUES (?, ?)", (row_id, line))
        return None

    def claim_content(self, kind: str, row_id: str, digest: str, line: int) -> int | None:
        """Ties an id (of a prompt or a response) to its content; returns the earlier line that tied it to another
        content.
        """
        found = self._database.execute(
            "SELECT line, digest FROM content_digest WHERE kind = ? AND id = ?", (kind, row_id)
        ).fetchone()
        if found:
            return None if found[1] == digest else int(found[0])
        self._database.execute("INSERT INTO content_digest VALUES (?, ?, ?, ?)", (kind, row_id, digest, line))
        return None

    def content_digests(self, kind: str) -> Iterator[list[tuple[str, str]]]:
        """(id, digest of the content) of everything of this kind, some hundreds at a time."""
        cursor = self._database.execute(
            "SELECT id, digest FROM content_digest WHERE kind = ? ORDER BY id", (kind,)
        )
        while chunk := cursor.fetchmany(500):
            yield chunk

    def drop_rows_with_id(self, kind: str, row_id: str) -> list[int]:
        """Takes out the staged rows that use this id; their lines."""
        path = {"prompt": "$.prompt_id", "response": "$.response_ids"}[kind]
        lines: set[int] = set()
        for table in ("judgment", "prompt_row"):
            found = self._database.execute(
                f"SELECT seq, line FROM {table} AS staged WHERE EXISTS"
                " (SELECT 1 FROM json_each(staged.payload, ?) WHERE value = ?)",
                (path, row_id),
            ).fetchall()
            self._database.executemany(f"DELETE FROM {table} WHERE seq = ?", [(seq,) for seq, _ in found])
            lines.update(line for _, line in found)
        return sorted(lines)

    def add_prompt_row(self, line: int, row: dict[str, Any]) -> None:
        self._database.execute(
            "INSERT INTO prompt_row (line, payload) VALUES (?, ?)",
            (line, json.dumps(row, ensure_ascii=False)),
        )

    def drop_prompt_row(self, line: int) -> None:
        self._database.execute("DELETE FROM prompt_row WHERE line = ?", (line,))

    def prompt_rows(self) -> Iterator[dict[str, Any]]:
        for (payload,) in self._database.execute("SELECT payload FROM prompt_row ORDER BY seq"):
            yield json.loads(payload)

    def add_pair(self, line: int, pair: ImportedPair) -> None:
        key = _digest([pair.group, pair.annotator])
        payload = json.dumps(pair.as_json(), ensure_ascii=False)
        self._database.execute(
            "INSERT INTO pair (line, group_key, payload) VALUES (?, ?, ?)", (line, key, payload)
        )

    def groups(self) -> Iterator[tuple[list[int], list[ImportedPair]]]:
        """(lines, pairs) of every group of pairs, in the order in which groups begin."""
        self._database.execute("CREATE INDEX pair_of_group ON pair (group_key, seq)")
        firsts = self._database.execute("SELECT group_key FROM pair GROUP BY group_key ORDER BY MIN(seq)")
        for (key,) in firsts:
            rows = self._database.execute(
                "SELECT line, payload FROM pair WHERE group_key = ? ORDER BY seq", (key,)
            ).fetchall()
            yield [line for line, _ in rows], [ImportedPair(**json.loads(payload)) for _, payload in rows]

    def add_judgment(self, line: int, judgment: ImportedJudgment) -> None:
        self._database.execute(
            "INSERT INTO judgment (line, task_key, annotator, annotator_kind, fingerprint, payload)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                line,
                _task_key(judgment),
                judgment.annotator or "",
                judgment.annotator_kind,
                judgment.fingerprint,
                json.dumps(judgment.as_json(), ensure_ascii=False),
            ),
        )

    def annotators(self) -> Iterator[tuple[str | None, str]]:
        """(pseudonym, kind) of everybody in the file; the pseudonym is None for rows that name nobody."""
        rows = self._database.execute("SELECT DISTINCT annotator, annotator_kind FROM judgment ORDER BY 1, 2")
        for pseudonym, kind in rows:
            yield pseudonym or None, kind

    def set_pseudonyms(self, pseudonyms: Mapping[tuple[str | None, str], str]) -> None:
        """Who is behind each (pseudonym, kind) of the file. Call it before
        `group_into_tasks`."""
        self._database.executemany(
            "INSERT INTO pseudonym VALUES (?, ?, ?)",
            [(name or "", kind, pseudonym) for (name, kind), pseudonym in pseudonyms.items()],
        )

    def has_fingerprints(self) -> bool:
        """Whether a row of the file is one of our own records."""
        found = self._database.execute("SELECT 1 FROM judgment WHERE fingerprint IS NOT NULL LIMIT 1")
        return found.fetchone() is not None

    def drop_fingerprint(self, fingerprint: str) -> list[int]:
        """Takes out the judgments that are this one; their lines."""
        found = self._database.execute(
            "DELETE FROM judgment WHERE fingerprint = ? RETURNING line", (fingerprint,)
        )
        return sorted({line for (line,) in found.fetchall()})

    def group_into_tasks(self) -> tuple[int, int, int]:
        """Makes the tasks of all judgments. Call it once, after the last row.

        Returns the numbers of judgments, of tasks, and of responses of the largest task.
        """
        self._database.executescript(_TASKS)
        judgments = self._database.execute("SELECT COUNT(*) FROM judgment").fetchone()[0]
        tasks = self._database.execute("SELECT COUNT(*) FROM task").fetchone()[0]
        max_responses = self._database.execute(
            "SELECT COALESCE(MAX(json_array_length(payload, '$.responses')), 0) FROM judgment"
        ).fetchone()[0]
        return int(judgments), int(tasks), int(max_responses)

    def tasks(self) -> Iterator[StagedTask]:
        """Every task with its judgments, in the order in which tasks begin in the file."""
        tasks = self._database.execute("SELECT task_key, occurrence, first FROM task ORDER BY first")
        for key, occurrence, first in tasks:
            rows = self._database.execute(
                "SELECT payload FROM duplicate JOIN judgment USING (seq)"
                " WHERE duplicate.task_key = ? AND occurrence = ? ORDER BY seq",
                (key, occurrence),
            ).fetchall()
            yield StagedTask(
                number=first, judgments=[ImportedJudgment(**json.loads(payload)) for (payload,) in rows]
            )


def row_chunks(rows: Iterator[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    """The rows, so many at a time."""
    chunk: list[dict[str, Any]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _task_key(judgment: ImportedJudgment) -> bytes:
    """Judgments with the same key answer the same question: same prompt, same responses (in any order)."""
    group = [flag for flag in judgment.flags if flag.startswith(GROUP_FLAG)]
    return _digest(
        [
            judgment.task_id,
            judgment.prompt_id,
            judgment.prompt,
            sorted(map(answer_key, judgment.responses)),
            sorted(judgment.response_ids or []),
            judgment.purpose,
            group,
        ]
    )


def _digest(value: Any) -> bytes:
    return hashlib.sha256(json.dumps(value, ensure_ascii=True).encode()).digest()[:16]
