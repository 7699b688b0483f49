"""The first rows of a file as an import would take them: what they become on the work page, and what of each column
became what. Nothing is stored and nothing beyond these rows is read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

from annotation.importing.readers.columns import ColumnMap
from annotation.importing.readers.fields import NamedStrengths
from annotation.importing.readers.judgments import ImportedPair
from annotation.importing.readers.margins import Margins
from annotation.importing.readers.registry import DIALOGUE_READERS, row_extras
from annotation.importing.readers.row_extras import EXTRA_FIELDS
from annotation.importing.report import ImportRefused
from annotation.importing.rows import NumberedRow, RowError, UnreadableValue, locate
from annotation.importing.sources import Source, SourceFile, open_source, with_published_splits
from annotation.importing.texts import is_plain_text, read_text_rows
from annotation.importing.uploads.actions import in_the_owners_words
from annotation.importing.uploads.settings import READERS, ImportSettings
from annotation.models import Import, Upload
from annotation.preferences.scale import STRENGTH_NAMES
from annotation.rendering.conversation import (
    DisplayedResponse,
    Turn,
    displayed_response,
    response_fragments,
)
from annotation.rendering.html_cache import message_fragment
from annotation.rendering.markdown import excerpt
from annotation.rendering.messages import name_speaker
from learning.interface.messages import Answer
from learning.interface.options import UserError
from workspace.errors import ActionError
from workspace.models import Project

FIRST_ROWS = 50  # that tell the form and the columns
SHOWN_ROWS = 5
SHOWN_BAD_ROWS = 3  # further ones, of those that are bad
MAX_COLUMNS = 100
# Of the rows that are held at once, and of one text that is shown.
MAX_CHARACTERS = 4_000_000
MAX_SHOWN_CHARACTERS = 20_000


@dataclass(kw_only=True)
class Column:
    """A column of the file: what stands in it first, and which fields it was read as (empty: none)."""

    name: str
    sample: str = ""
    fields: list[str] = field(default_factory=list)
    is_kept: bool = False  # as further column, which comes back in exports


@dataclass(kw_only=True)
class ShownRow:
    line: int
    error: str = ""
    turns: list[Turn] = field(default_factory=list)
    responses: list[tuple[DisplayedResponse, str]] = field(default_factory=list)  # and what is said of it
    facts: list[tuple[str, str]] = field(default_factory=list)
    text: str = ""
    is_skipped: bool = False  # it was read, and no judgment in it


@dataclass(kw_only=True)
class Preview:
    refused: str = ""  # why the file is not read at all
    columns: list[Column] = field(default_factory=list)
    rows: list[ShownRow] = field(default_factory=list)
    n_read: int = 0
    n_bad: int = 0
    is_whole: bool = False  # the file has no further row


def source_of(upload: Upload) -> Source:
    if upload.hub:
        return open_source(upload.path)
    files = with_published_splits([SourceFile(path=file.path, name=file.name) for file in upload.files()])
    return Source(name=upload.title, files=tuple(files))


def first_rows(upload: Upload, txt_rows: str = "document") -> tuple[list[NumberedRow], bool]:
    """The first rows, and whether these are all. Raises ImportRefused."""
    rows: list[NumberedRow] = []
    characters = 0
    of_file = source_of(upload).rows if upload.hub else partial(read_text_rows, upload.path, txt_rows)  # type: ignore[arg-type]
    stream = of_file()
    for number, row in islice(stream, FIRST_ROWS):
        rows.append((number, row))
        characters += len(str(row))
        if characters > MAX_CHARACTERS:
            return rows, False
    return rows, next(iter(stream), None) is None


def guess_settings(upload: Upload, *, only: str = "") -> ImportSettings:
    """The kind and format that read half of the first rows, those first that ask more of a row; where none does, what
    reads most. `only`: of this kind, where it is known.
    """
    best, most = ImportSettings(kind=only or Import.Kind.COMPARISONS.value), 0
    if not upload.hub and is_plain_text(upload.path):
        return ImportSettings(kind=Import.Kind.TEXTS.value, txt_rows="paragraph")
    try:
        rows, _ = first_rows(upload)
    except ImportRefused:
        return best
    for kind in [only] if only else READERS:
        readers = READERS[kind]
        for name in readers:
            if name in DIALOGUE_READERS:
                continue  # takes apart what others keep whole: only by choice
            settings = ImportSettings(kind=kind, format=name)
            reader = _PreviewReader(settings, criterion="")
            good = sum(reader.can_read(row, line) for line, row in rows)
            if good > most:
                best, most = settings, good
            if good and 2 * good >= len(rows):
                return settings
    return best


def preview_upload(upload: Upload, project: Project) -> Preview:
    """What the first rows become under the upload's settings."""
    settings = ImportSettings.from_json(upload.settings)
    try:
        rows, is_whole = first_rows(upload, settings.txt_rows)
        reader = _PreviewReader(settings, criterion=settings.criterion or first_criterion(project))
    except (ActionError, UserError) as error:
        return Preview(refused=in_the_owners_words(upload, str(error)))
    preview = Preview(n_read=len(rows), is_whole=is_whole)
    columns: dict[str, Column] = {}
    for line, row in rows:
        if isinstance(row, dict):
            _note_samples(columns, row)
        try:
            if isinstance(row, RowError):
                raise row
            shown = reader.show(row, line, columns, render=len(preview.rows) < SHOWN_ROWS)
        except RowError as problem:
            preview.n_bad += 1
            shown = ShownRow(line=locate(line)[1], error=f"column {problem.column}: {problem.reason}")
        if len(preview.rows) < SHOWN_ROWS or (
            shown.error and len(preview.rows) < SHOWN_ROWS + SHOWN_BAD_ROWS
        ):
            preview.rows.append(shown)
    preview.columns = list(columns.values())
    return preview


def first_criterion(project: Project) -> str:
    return project.criteria.order_by("pk").values_list("name", flat=True).first() or ""


def _note_samples(columns: dict[str, Column], row: Mapping[str, Any]) -> None:
    for name, value in row.items():
        if len(columns) >= MAX_COLUMNS and name not in columns:
            continue
        column = columns.setdefault(name, Column(name=name))
        if not column.sample and value is not None:
            column.sample = excerpt(value.text if isinstance(value, UnreadableValue) else str(value), 80)


class _PreviewReader:
    """The reader of these settings, and what it makes of single rows."""

    def __init__(self, settings: ImportSettings, *, criterion: str) -> None:
        readers = READERS[settings.kind]
        self._kind = settings.kind
        self._criterion = criterion
        # A file's own split is always read here: what the row says is what is shown.
        self._extras = row_extras(
            readers, settings.format, settings.mapping, split_names=settings.split_names,
            project_splits=settings.project_splits,
        )  # fmt: skip
        columns = self._extras.reader_columns
        self.columns: ColumnMap = columns
        reader = readers[settings.format]
        try:
            if self._kind == Import.Kind.COMPARISONS:
                self._reader: Any = reader(
                    columns,
                    criterion=criterion,
                    named_strengths=NamedStrengths(settings.named_strengths),
                    margins=Margins(settings.margins),
                )
            elif settings.format in DIALOGUE_READERS:
                self._reader = reader(columns, seed=settings.seed)
            else:
                self._reader = reader(columns)
        except RowError as problem:
            raise ImportRefused(f"--margins {problem.reason}.", code="bad_margins") from problem
        self._fields = list(dict.fromkeys([*reader.fields, *EXTRA_FIELDS]))
        self._mapping = settings.mapping

    def can_read(self, row: Any, line: int) -> bool:
        if isinstance(row, RowError):
            return False
        if not self._criterion and "criterion" in row:
            # Whose criterion is meant is not known yet.
            row = {name: value for name, value in row.items() if name != "criterion"}
        try:
            self._reader.read(row, line)
        except RowError:
            return False
        return True

    def show(
        self, row: Mapping[str, Any], line: int, columns: Mapping[str, Column], *, render: bool
    ) -> ShownRow:
        """Raises RowError."""
        read = self._reader.read(row, line)
        if hasattr(self._reader, "row_id"):
            self._reader.row_id(row)  # asked for by the import itself
        beside = self._extras.read(row) if read else {}
        self._note_columns(row, columns, kept=beside.get("metadata") or {})
        shown = ShownRow(line=locate(line)[1])
        if not render:
            return shown
        items = read if isinstance(read, Sequence) else [read]
        if not items:
            shown.is_skipped = True
            return shown
        self._describe(shown, items[0], beside)
        if len(items) > 1:
            shown.facts.append(("Judgments in this row", str(len(items))))
        return shown

    def _note_columns(
        self, row: Mapping[str, Any], columns: Mapping[str, Column], *, kept: Mapping[str, Any]
    ) -> None:
        asked = self.columns.columns_asked(row)
        for name, column in columns.items():
            if name not in row or row[name] is None:
                continue
            for one in self._fields:
                known = one in EXTRA_FIELDS and one not in self._reader.fields
                of = self._mapping.get(one, [one]) if known else self.columns.columns_of(one)
                is_read = name not in kept if known else any(path in asked for path in of)
                of_column = any(path == name or path.startswith(f"{name}.") for path in of)
                if is_read and of_column and one not in column.fields:
                    column.fields.append(one)
            column.is_kept = column.is_kept or name in kept

    def _describe(self, shown: ShownRow, item: Any, beside: Mapping[str, Any]) -> None:
        if isinstance(item, ImportedPair):
            said = "tie" if item.tie else "preferred"
            answers = [(item.chosen, said), (item.rejected, "tie" if item.tie else "")]
            _show_texts(shown, item.prompt, answers)
            shown.facts += [("Group", item.group)]
            _add_facts(shown, annotator=item.annotator, strength=_strength(item.strength))
        elif self._kind == Import.Kind.COMPARISONS:
            places = [f"place {rank + 1}" for rank in item.ranks]
            if len(set(item.ranks)) == 1:
                places = ["tie" for _ in item.ranks]
            _show_texts(shown, item.prompt, list(zip(item.responses, places, strict=True)))
            steps = ", ".join(_strength(strength) or "not said" for strength in item.strengths)
            _add_facts(shown, annotator=item.annotator, strength=steps, flags=", ".join(item.flags))
            _add_facts(shown, reason=item.rationale)
        elif self._kind == Import.Kind.TEXTS:
            shown.text = item["text"][:MAX_SHOWN_CHARACTERS]
            _add_facts(shown, licence=item["licence"], split=item["split"])
        else:
            answers = [(item["response"], "")] if "response" in item else []
            sources = item.get("sources") or []
            answers += [
                (answer, f"by {source}" if source else "")
                for answer, source in zip(item.get("answers") or [], sources, strict=False)
            ]
            _show_texts(shown, item["messages"], answers)
            _add_facts(shown, kind=item.get("kind"), author=item.get("author"))
        tags = beside.get("tags") or (item.get("tags") if isinstance(item, dict) else None)
        _add_facts(
            shown,
            split=beside.get("split"),
            tags=", ".join(tags or []),
            id_in_its_file=beside.get("source_id"),
        )


def _add_facts(shown: ShownRow, **facts: Any) -> None:
    shown.facts += [
        (name.replace("_", " ").capitalize(), str(value)) for name, value in facts.items() if value
    ]


def _strength(strength: int | None) -> str:
    return "" if strength is None else STRENGTH_NAMES[strength]


def _show_texts(
    shown: ShownRow, messages: Sequence[Mapping[str, Any]], answers: Sequence[tuple[Answer, str]]
) -> None:
    """As the work page shows them; made here and not kept."""
    for message in messages:
        message = {**message, "content": message["content"][:MAX_SHOWN_CHARACTERS]}
        shown.turns.append(
            Turn(message["role"], name_speaker(message), message_fragment(message).make(), message["content"])
        )
    for place, (answer, said) in enumerate(answers):
        if isinstance(answer, str):
            answer = answer[:MAX_SHOWN_CHARACTERS]
        label = "ABCDEFGHI"[place]
        html = (fragment.make() for fragment in response_fragments(answer))
        shown.responses.append((displayed_response(label, answer, html), said))
