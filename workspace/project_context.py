"""Who asks for which project as what, and under which settings and guideline people judge there: one read a request.

Nothing of it outlives the request: a right that was taken away a moment ago is gone at the next. There is one only
where everything is as it should be; all other cases (no session, an old one, a deactivated account, no member) are
left to Django's own checks and to workspace.access.
"""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.db import connection, models
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from workspace.database import run_prepared
from workspace.models import Guideline, Membership, Project, QuestionSettings, User


@dataclass(frozen=True)
class ProjectContext:
    user: User
    project: Project
    role: str
    settings: QuestionSettings | None  # in force; None: none yet
    guideline: Guideline | None  # in force, its text not read yet


_GUIDELINE_FIELDS = [field for field in Guideline._meta.concrete_fields if field.name != "text"]
_PARTS: list[tuple[str, type[models.Model], list[Any]]] = [
    ("u", User, list(User._meta.concrete_fields)),
    ("p", Project, list(Project._meta.concrete_fields)),
    ("q", QuestionSettings, list(QuestionSettings._meta.concrete_fields)),
    ("g", Guideline, _GUIDELINE_FIELDS),
]
_COLUMNS = ", ".join(f"{alias}.{field.column}" for alias, _, fields in _PARTS for field in fields)
_CONTEXT = f"""SELECT m.role, {_COLUMNS}
    FROM {User._meta.db_table} u
    JOIN {Project._meta.db_table} p ON p.slug = %s
    JOIN {Membership._meta.db_table} m ON m.project_id = p.id AND m.user_id = u.id
    LEFT JOIN {QuestionSettings._meta.db_table} q ON q.project_id = p.id
        AND q.version = (SELECT MAX(v.version) FROM {QuestionSettings._meta.db_table} v WHERE v.project_id = p.id)
    LEFT JOIN {Guideline._meta.db_table} g ON g.project_id = p.id
        AND g.version = (SELECT MAX(v.version) FROM {Guideline._meta.db_table} v WHERE v.project_id = p.id)
    WHERE u.id = %s"""


def read_project_context(request: HttpRequest, slug: str) -> ProjectContext | None:
    """Reads the context and makes its user the request's; None where the request must be looked at the long way."""
    session = request.session
    backend = session.get(BACKEND_SESSION_KEY)
    try:
        user_id = User._meta.pk.to_python(session[SESSION_KEY])
    except (KeyError, ValueError, TypeError):
        return None
    context = _read(slug, user_id)
    if context is None or backend not in settings.AUTHENTICATION_BACKENDS:
        return None
    session_hash = session.get(HASH_SESSION_KEY, "")
    if not context.user.is_active or not constant_time_compare(
        session_hash, context.user.get_session_auth_hash()
    ):
        return None
    context.user.backend = backend
    request._cached_user = context.user  # type: ignore[attr-defined]  # where Django's middleware looks first
    return context


def _read(slug: str, user_id: int) -> ProjectContext | None:
    rows, _ = run_prepared(_CONTEXT, [slug, user_id])
    if not rows:
        return None
    row = rows[0]
    place, found = 1, []
    for _, model, fields in _PARTS:
        found.append(_instance(model, fields, row[place : place + len(fields)]))
        place += len(fields)
    user, project, question, guideline = found
    return ProjectContext(user, project, row[0], question, guideline)


def _instance(model: type[models.Model], fields: list[Any], values: tuple[Any, ...]) -> Any:
    """A model's instance, as the ORM would make it of these columns; None of a row that an outer join did not find."""
    if values[0] is None:
        return None
    converted = []
    for field, value in zip(fields, values, strict=True):
        for convert in _converters(field):
            value = convert(value, None, connection)
        converted.append(value)
    return model.from_db(connection.alias, [field.attname for field in fields], converted)


_converters_of: dict[Any, list[Any]] = {}


def _converters(field: Any) -> list[Any]:
    if field not in _converters_of:
        expression = field.get_col(field.model._meta.db_table)
        _converters_of[field] = [
            *connection.ops.get_db_converters(expression),
            *expression.get_db_converters(connection),
        ]
    return _converters_of[field]
