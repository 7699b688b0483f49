"""Where validated rows wait between the two passes of an import.

A private SQLite file without a name: the system removes it when the process ends, however it ends, and its
pages spill to disk, so that a million rows cost no memory. It also answers the questions that one pass
cannot: is this id taken already, which rows belong to one group, and which judgments are of one task.
"""

import itertools
import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter
from types import TracebackType
from typing import Any, Self

from annotation.content.splits import hash_first_turn
from annotation.importing.readers.judgments import ImportedJudgment, ImportedPair
from annotation.importing.staged_judgments import INSERT_JUDGMENT, INSERT_PAIR, judgment_row, pair_row
from annotation.importing.staging_tables import SAME_IDS, TABLES, TASKS
from learning.interface.json_text import json_encoder

_to_json = json_encoder(ensure_ascii=False)


@dataclass(frozen=True, kw_only=True)
class StagedTask:
    """The judgments of one task, in file order, with the number of its first row."""

    number: int
    judgments: list[ImportedJudgment]


PackedTask = tuple[int, list[str]]  # the number of its first row, its judgments as JSON


def unpack_task(packed: PackedTask) -> StagedTask:
    number, payloads = packed
    return StagedTask(
        number=number, judgments=[ImportedJudgment(**json.loads(payload)) for payload in payloads]
    )


@dataclass(frozen=True, kw_only=True)
class StagedPrompt:
    """What decides on which side a prompt goes; `split`: the one that the file names."""

    first_turn_hash: str
    messages: list[dict[str, Any]]
    tags: list[str]
    split: str | None


class Staging:
    def __enter__(self) -> Self:
        # An empty name: a temporary file of SQLite's own, unlinked as soon as it is open.
        # One thread at a time uses it, and not always the same.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA cache_size = -16000")
        self._database.execute("PRAGMA temp_store = FILE")
        self._database.executescript(TABLES)
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

    def claimed_content(self, kind: str, row_id: str) -> str:
        """The content that an id is tied to."""
        found = self._database.execute(
            "SELECT digest FROM content_digest WHERE kind = ? AND id = ?", (kind, row_id)
        ).fetchone()
        return str(found[0])

    def drop_rows_of_split(self, first_turn: str) -> list[int]:
        """Takes out the staged rows that put prompts with this first turn on a side; their lines."""
        lines: set[int] = set()
        for table in ("judgment", "prompt_row"):
            found = self._database.execute(
                f"DELETE FROM {table} WHERE first_turn = ? AND json_extract(payload, '$.split') IS NOT NULL"
                " RETURNING line",
                (first_turn,),
            ).fetchall()
            lines.update(line for (line,) in found)
        self._database.execute("DELETE FROM content_digest WHERE kind = 'split' AND id = ?", (first_turn,))
        return sorted(lines)

    def prompts(self) -> Iterator[list["StagedPrompt"]]:
        """Of every row, in the order of the file, some hundreds at a time."""
        for table, messages in (("judgment", "$.prompt"), ("prompt_row", "$.messages")):
            cursor = self._database.execute(
                "SELECT first_turn, json_extract(payload, ?), json_extract(payload, '$.tags'),"
                f" json_extract(payload, '$.split') FROM {table} ORDER BY seq",
                (messages,),
            )
            while chunk := cursor.fetchmany(500):
                yield [
                    StagedPrompt(
                        first_turn_hash=key,
                        messages=json.loads(turns),
                        tags=json.loads(tags or "[]"),
                        split=split,
                    )
                    for key, turns, tags, split in chunk
                ]

    def fill_splits(self) -> None:
        """A row that names no split gets the one that another row of the file names for prompts that begin alike."""
        for table in ("judgment", "prompt_row"):
            self._database.execute(
                f"UPDATE {table} SET payload = json_set(payload, '$.split', claim.digest) FROM content_digest AS claim"
                " WHERE claim.kind = 'split' AND claim.id = first_turn AND json_extract(payload, '$.split') IS NULL"
            )

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
            "INSERT INTO prompt_row (line, first_turn, payload) VALUES (?, ?, ?)",
            (
                line,
                hash_first_turn(row["messages"]) if "messages" in row else None,
                _to_json(row),
            ),
        )

    def drop_prompt_row(self, line: int) -> None:
        self._database.execute("DELETE FROM prompt_row WHERE line = ?", (line,))

    def numbered_prompt_rows(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """(line, row), in the order of the file."""
        for line, payload in self._database.execute("SELECT line, payload FROM prompt_row ORDER BY seq"):
            yield line, json.loads(payload)

    def prompt_rows(self) -> Iterator[dict[str, Any]]:
        for (payload,) in self._database.execute("SELECT payload FROM prompt_row ORDER BY seq"):
            yield json.loads(payload)

    def add_pair(self, line: int, pair: ImportedPair) -> None:
        self.add_row(pair_row(line, pair), is_pair=True)

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
        self.add_row(judgment_row(line, judgment), is_pair=False)

    def add_row(self, values: Sequence[Any], *, is_pair: bool) -> None:
        """What `judgment_row` or `pair_row` made."""
        self._database.execute(INSERT_PAIR if is_pair else INSERT_JUDGMENT, values)

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

    def prompt_contents(self) -> Iterator[list[str]]:
        """The hashes of all prompts, some hundreds at a time."""
        cursor = self._database.execute("SELECT DISTINCT content FROM judgment ORDER BY content")
        while chunk := cursor.fetchmany(500):
            yield [content for (content,) in chunk]

    def add_known_verdict(
        self, verdict: bytes, pseudonym: str, batch: str, *, prompt_id: str, response_ids: Sequence[str]
    ) -> None:
        """A judgment that the project has; `batch` is how a sentence names its batch."""
        self._database.execute(
            "INSERT INTO known_verdict VALUES (?, ?, ?, ?, ?, 1)"
            " ON CONFLICT (verdict, pseudonym, batch, prompt_id, response_ids) DO UPDATE SET number = number + 1",
            (verdict, pseudonym, batch, prompt_id, json.dumps(response_ids)),
        )

    def add_known_task(
        self,
        task: int,
        question: bytes,
        *,
        prompt_id: str,
        response_ids: Sequence[str],
        annotators: Iterable[str],
        room: int,
    ) -> None:
        """A task of the project that judgments of the file may be of, as long as there is room."""
        self._database.execute(
            "INSERT INTO known_task VALUES (?, ?, ?, ?, ?)",
            (task, question, prompt_id, json.dumps(response_ids), room),
        )
        self._database.executemany(
            "INSERT OR IGNORE INTO known_annotator VALUES (?, ?)", [(task, name) for name in annotators]
        )

    def place_known_rows(self, *, drop: bool) -> tuple[Counter[str], int]:
        """Takes out the judgments that are known, if `drop`, and gives the others the known task that is theirs and
        that their annotator has not judged. Returns how many are known, by batch, and how many of the others are of a
        task that their annotator has judged otherwise.
        """
        known: Counter[str] = Counter()
        judged_otherwise = 0
        if not self._has_known_rows():
            return known, judged_otherwise
        dropped: list[tuple[int]] = []
        placed: list[tuple[int, int]] = []
        rows = self._database.execute(
            "SELECT seq, question, verdict, joins, COALESCE(pseudonym, annotator), prompt_id, response_ids, annotator"
            " FROM judgment LEFT JOIN pseudonym USING (annotator, annotator_kind) ORDER BY seq"
        )
        for seq, question, verdict, joins, pseudonym, prompt_id, response_ids, named in rows:
            ids = (prompt_id, None if response_ids is None else json.dumps(sorted(json.loads(response_ids))))
            # Rows of comparisons name their responses and nobody who judged them: anybody's judgment is theirs.
            judge = pseudonym if named or response_ids is None else None
            if drop and (batch := self._use_up_verdict(verdict, judge, ids)) is not None:
                known[batch] += 1
                dropped.append((seq,))
            elif joins:
                judged_otherwise += drop and self._judged_otherwise(verdict, question, pseudonym, ids)
                if task := self._join_task(question, pseudonym, ids):
                    placed.append((task, seq))
        self._database.executemany("DELETE FROM judgment WHERE seq = ?", dropped)
        self._database.executemany("UPDATE judgment SET known_task = ? WHERE seq = ?", placed)
        return known, judged_otherwise

    def _has_known_rows(self) -> bool:
        found = self._database.execute(
            "SELECT EXISTS (SELECT 1 FROM known_verdict) OR EXISTS (SELECT 1 FROM known_task)"
        )
        return bool(found.fetchone()[0])

    def count_repeats(self) -> int:
        """How many judgments the file has once more: same annotator, order and strengths, and ids where it has any."""
        return int(
            self._database.execute(
                "SELECT COALESCE(SUM(number - 1), 0) FROM (SELECT COUNT(*) AS number FROM judgment"
                " LEFT JOIN pseudonym USING (annotator, annotator_kind) GROUP BY verdict,"
                " COALESCE(pseudonym, annotator), prompt_id, response_ids)"
            ).fetchone()[0]
        )

    def _judged_otherwise(
        self, verdict: bytes, question: bytes, name: str, ids: tuple[str | None, str | None]
    ) -> bool:
        return bool(
            self._database.execute(
                "SELECT EXISTS (SELECT 1 FROM known_task JOIN known_annotator USING (task)"
                f" WHERE question = ? AND pseudonym = ? AND {SAME_IDS})"
                " AND NOT EXISTS (SELECT 1 FROM known_verdict WHERE verdict = ? AND pseudonym = ?)",
                (question, name, *ids, verdict, name),
            ).fetchone()[0]
        )

    def _use_up_verdict(
        self, verdict: bytes, pseudonym: str | None, ids: tuple[str | None, str | None]
    ) -> str | None:
        """The batch that has this judgment, as often as it has it; ids of the file must be its own."""
        found = self._database.execute(
            "SELECT rowid, batch FROM known_verdict WHERE verdict = ? AND pseudonym = COALESCE(?, pseudonym)"
            " AND number > 0"
            f" AND {SAME_IDS} ORDER BY batch LIMIT 1",
            (verdict, pseudonym, *ids),
        ).fetchone()
        if found is None:
            return None
        self._database.execute("UPDATE known_verdict SET number = number - 1 WHERE rowid = ?", found[:1])
        return str(found[1])

    def _join_task(self, question: bytes, pseudonym: str, ids: tuple[str | None, str | None]) -> int | None:
        """The first task of this question that the annotator has not judged; ids of the file must be its own."""
        found = self._database.execute(
            "SELECT task FROM known_task WHERE question = ? AND room > 0 AND NOT EXISTS"
            " (SELECT 1 FROM known_annotator AS a WHERE a.task = known_task.task AND pseudonym = ?)"
            f" AND {SAME_IDS} ORDER BY task LIMIT 1",
            (question, pseudonym, *ids),
        ).fetchone()
        if found is None:
            return None
        self._database.execute("UPDATE known_task SET room = room - 1 WHERE task = ?", found)
        self._database.execute("INSERT INTO known_annotator VALUES (?, ?)", (found[0], pseudonym))
        return int(found[0])

    def joined(self) -> Iterator[tuple[int, list[ImportedJudgment]]]:
        """(task of the project, judgments of it), in the order of tasks."""
        rows = self._database.execute(
            "SELECT known_task, payload FROM judgment WHERE known_task IS NOT NULL ORDER BY known_task, seq"
        )
        for task, members in itertools.groupby(rows, key=lambda row: row[0]):
            yield int(task), [ImportedJudgment(**json.loads(payload)) for _, payload in members]

    def group_into_tasks(self) -> tuple[int, int, int]:
        """Makes the tasks of the judgments that are of no known task. Call it once, after the last row.

        Returns the numbers of judgments (of known tasks too), of tasks, and of responses of the largest task.
        """
        self._database.executescript(TASKS)
        judgments = self._database.execute("SELECT COUNT(*) FROM judgment").fetchone()[0]
        tasks = self._database.execute("SELECT COUNT(*) FROM task").fetchone()[0]
        max_responses = self._database.execute(
            "SELECT COALESCE(MAX(n_responses), 0) FROM judgment WHERE known_task IS NULL"
        ).fetchone()[0]
        return int(judgments), int(tasks), int(max_responses)

    def tasks(self) -> Iterator[PackedTask]:
        """Every task with its judgments, in the order in which tasks begin in the file."""
        rows = self._database.execute(
            "SELECT first, payload FROM task CROSS JOIN duplicate USING (task_key, occurrence)"
            " CROSS JOIN judgment USING (seq)"
            " ORDER BY first, seq"
        )
        for first, members in itertools.groupby(rows, key=itemgetter(0)):
            yield first, [payload for _, payload in members]
