"""Words in a conversation that is stored as JSON."""

from typing import Any

from django.db.models import BooleanField, F, Func, Value


class SaidInTurns(Func):
    """Whether a turn of the conversation (a JSON column) has the words; names of keys and roles are no words of it."""

    output_field = BooleanField()
    arity = 2

    def __init__(self, messages: str, text: str) -> None:
        escaped = text.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
        super().__init__(F(messages), Value(f"%{escaped}%"))

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, tuple[Any, ...]]:
        return self._exists(
            compiler, "json_each({}) AS turn WHERE json_extract(turn.value, '$.content') LIKE {} ESCAPE '\\'"
        )

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, tuple[Any, ...]]:
        return self._exists(compiler, "jsonb_array_elements({}) AS turn WHERE turn->>'content' ILIKE {}")

    def _exists(self, compiler: Any, rows: str) -> tuple[str, tuple[Any, ...]]:
        parts: list[str] = []
        values: list[Any] = []
        for source in self.get_source_expressions():
            sql, params = compiler.compile(source)
            parts.append(sql)
            values.extend(params)
        return f"EXISTS (SELECT 1 FROM {rows.format(*parts)})", tuple(values)
