"""Many rows at once: COPY on PostgreSQL, statements of many rows on SQLite, keys taken beforehand.

What Django's bulk_create does, at a fifth of its cost, for rows of our own models that an action has checked: no
signals, no pre_save but that of `auto_now_add`, no defaults of the database. Keys are known before anything is
written, so that rows that point at each other can be made in one go.
"""

import itertools
import os
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache, lru_cache
from operator import attrgetter, itemgetter
from typing import Any, TypeVar

from django.db import connection, models, transaction
from django.db.models.base import ModelState
from django.utils import timezone

from learning.interface.json_text import json_encoder
from workspace.database import insert_row
from workspace.writes_beside import current_writes

Row = TypeVar("Row", bound=models.Model)
Encode = Callable[[Any], Any]
# SQLite notes the pages that a statement changes, to undo it alone if a trigger refuses a row, in a file if they are
# many: for a statement a row that took longer than the row itself.
ROWS_PER_STATEMENT = 200
_to_json = json_encoder()
_at_hand: ContextVar[Mapping[type[models.Model], list[int]] | None] = ContextVar(
    "reserved keys", default=None
)


@contextmanager
def keys_at_hand(keys: Mapping[type[models.Model], list[int]]) -> Iterator[None]:
    """New rows of these models get these keys, reserved before, as long as they last: for rows whose place among others
    was decided before they are made. They are used up.
    """
    token = _at_hand.set(keys)
    try:
        yield
    finally:
        _at_hand.reset(token)


def reserve_keys(model: type[models.Model], number: int) -> list[int]:
    """So many new keys, ascending. Call it inside the transaction that uses them: on SQLite its lock keeps them."""
    if not connection.in_atomic_block:
        raise transaction.TransactionManagementError("Keys are reserved inside a transaction.")
    at_hand = (_at_hand.get() or {}).get(model, [])
    if len(at_hand) >= number:
        taken, at_hand[:number] = at_hand[:number], []
        return taken
    table = model._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # The sequence looked up once and not for each key, and the keys only told where they have gaps: others
            # took some in between.
            cursor.execute(
                "SELECT min(key), CASE WHEN max(key) - min(key) + 1 > count(*) THEN array_agg(key ORDER BY key) END "
                "FROM (SELECT nextval(s.name) AS key FROM (SELECT pg_get_serial_sequence(%s, 'id')::regclass AS name "
                "OFFSET 0) AS s, generate_series(1, %s)) AS keys",
                [table, number],
            )
            first, keys = cursor.fetchone()
            return keys if keys is not None else list(range(first, first + number))
        if (writes := current_writes()) is not None:
            return writes.reserve_keys(table, number)
        cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [table])
        found = cursor.fetchone()
        first = (found[0] if found else 0) + 1
        return list(range(first, first + number))


def time_ordered_uuids(number: int) -> list[uuid.UUID]:
    """Of version 7, all of the same millisecond: rows of one call are neighbours in an index, which a database writes
    in few pages, and among each other they are in random order, so that they tell nothing of what they name.
    """
    drawn = os.urandom(10 * number)
    fixed = time.time_ns() // 1_000_000 << 80 | 0x7 << 76 | 0b10 << 62
    free = (1 << 76) - 1 & ~(0b11 << 62)
    return [
        uuid.UUID(int=fixed | int.from_bytes(drawn[start : start + 10]) & free)
        for start in range(0, len(drawn), 10)
    ]


def new_object(model: type[Row], **values: Any) -> Row:
    """What `model(**values)` makes, at a quarter of its cost: values by the names of fields."""
    shape = _shape(model)
    row = model.__new__(model)
    state = row.__dict__["_state"] = ModelState()
    columns = row.__dict__
    columns.update(shape.constants)
    for name, make in shape.makers:
        if name not in values:
            columns[name] = make()
    columns.update(values)
    for name, attname, key in shape.foreign_keys:
        if name in values:
            value = columns.pop(name)
            columns[attname] = None if value is None else getattr(value, key)
            state.fields_cache[name] = value
    return row


@dataclass(frozen=True, kw_only=True)
class _Shape:
    constants: dict[str, Any]
    makers: list[tuple[str, Callable[[], Any]]]
    foreign_keys: list[tuple[str, str, str]]  # name, its column's attribute, that of the key it points at


@cache
def _shape(model: type[models.Model]) -> _Shape:
    fields = _fields(model)
    made = [field for field in fields if field.has_default() and callable(field.default)]
    return _Shape(
        constants={field.attname: field.get_default() for field in fields if field not in made},
        makers=[(field.attname, field.default) for field in made],
        foreign_keys=[
            (field.name, field.attname, field.target_field.attname)
            for field in fields
            if isinstance(field, models.ForeignKey)
        ],
    )


def insert_objects(rows: Sequence[models.Model]) -> None:
    """The objects, all of one model, in their order; their keys are set. Raises IntegrityError."""
    if not rows:
        return
    model = type(rows[0])
    names = [field.attname for field in _fields(model)]
    key_name = model._meta.pk.attname
    for row, key in zip(rows, reserve_keys(model, len(rows)), strict=True):
        row.__dict__[key_name] = key
    now = timezone.now()
    for field in _fields(model):
        if getattr(field, "auto_now_add", False):
            for row in rows:
                setattr(row, field.attname, now)
    values_of = itemgetter(*names)
    insert_values(model, names, (values_of(row.__dict__) for row in rows))
    alias = connection.alias
    for row in rows:
        row._state.adding, row._state.db = False, alias


def insert_values(model: type[models.Model], names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Rows as values of the columns `names` (attribute names); a column of `auto_now_add` that is not named gets the
    time. Raises IntegrityError.
    """
    by_name = {field.attname: field for field in _fields(model)}
    now = timezone.now()
    dated = [
        field.attname
        for field in by_name.values()
        if getattr(field, "auto_now_add", False) and field.attname not in names
    ]
    names = [*names, *dated]
    fields = [by_name[name] for name in names]
    encoders = [(place, encode) for place, field in enumerate(fields) if (encode := _encoder(field))]
    extra = [now] * len(dated)

    def encoded(row: Iterable[Any]) -> list[Any]:
        values = [*row, *extra]
        for place, encode in encoders:
            if values[place] is not None:
                values[place] = encode(values[place])
        return values

    has_keys = model._meta.pk.attname in names
    quote = connection.ops.quote_name
    table, columns = quote(model._meta.db_table), ", ".join(quote(str(field.column)) for field in fields)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with (
                connection.wrap_database_errors,
                cursor.cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy,
            ):
                for row in rows:
                    copy.write_row(encoded(row))
        else:
            places = f"({', '.join('?' * len(fields))})"
            at_once = max(1, min(ROWS_PER_STATEMENT, _max_parameters() // len(fields)))
            todo = iter(rows)
            writes = current_writes()
            while chunk := list(itertools.islice(todo, at_once)):
                statement = f"INSERT INTO {table} ({columns}) VALUES {', '.join([places] * len(chunk))}"
                values = [value for row in chunk for value in encoded(row)]
                if writes is not None:
                    writes.insert(model._meta.db_table, statement, values, with_keys=has_keys)
                    continue
                # The driver's own: Django's looks through the statement for its places each time.
                with connection.wrap_database_errors:
                    connection.connection.execute(statement, values)


def insert_unread(row: models.Model) -> None:
    """A new row whose key nobody asks for: it need not wait for rows that are being stored, as it would to learn it."""
    if current_writes() is None:
        insert_row(row)
        return
    names = [field.attname for field in _fields(type(row)) if not field.primary_key]
    dated = {field.attname for field in _fields(type(row)) if getattr(field, "auto_now_add", False)}
    names = [name for name in names if name not in dated]
    insert_values(type(row), names, [[row.__dict__[name] for name in names]])


def _max_parameters() -> int:
    """Of one statement of this SQLite."""
    connection.ensure_connection()
    return int(connection.connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER))


def update_values(model: type[models.Model], names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Sets whole numbers: each row is a key and the new values of `names`."""
    if not rows:
        return
    quote = connection.ops.quote_name
    table = quote(model._meta.db_table)
    by_name = {field.attname: quote(str(field.column)) for field in _fields(model)}
    columns = [by_name[name] for name in names]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            new = ", ".join(f"{column} = v.{column}" for column in columns)
            arrays = ", ".join(["%s::bigint[]"] * (len(columns) + 1))
            cursor.execute(
                f"UPDATE {table} SET {new} FROM unnest({arrays}) AS v(id, {', '.join(columns)}) "
                f"WHERE {table}.id = v.id",
                [list(column) for column in zip(*rows, strict=True)],
            )
        else:
            new = ", ".join(f"{column} = %s" for column in columns)
            cursor.executemany(
                f"UPDATE {table} SET {new} WHERE id = %s", [(*row[1:], row[0]) for row in rows]
            )


@cache
def _fields(model: type[models.Model]) -> list[models.Field]:
    return list(model._meta.concrete_fields)


def _encoder(field: models.Field) -> Encode | None:
    """From a value to what the driver takes; None for what it takes as it is."""
    if isinstance(field, models.JSONField):
        return _encode_json
    if isinstance(field, models.DateTimeField):
        # The same moment again and again, for most rows.
        of_sqlite = connection.vendor == "sqlite"
        return lru_cache(maxsize=8)(connection.ops.adapt_datetimefield_value if of_sqlite else str)
    if isinstance(field, models.UUIDField):
        return attrgetter("hex")
    plain = (models.CharField, models.TextField, models.IntegerField, models.FloatField, models.BooleanField)
    if isinstance(field, (*plain, models.ForeignKey)):
        return None
    return lambda value: field.get_db_prep_save(value, connection)


def _encode_json(value: Any) -> str:
    if not value and isinstance(value, list | dict):
        return "[]" if isinstance(value, list) else "{}"
    return _to_json(value)
