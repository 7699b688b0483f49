import re

import pytest

from annotation.queue import search

STATEMENTS = {
    name: value for name, value in vars(search).items() if name.isupper() and isinstance(value, str)
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_every_column_of_the_search_is_a_column_of_its_model(name):
    for alias, column in re.findall(r"\b([a-z]+)\.(\w+)", STATEMENTS[name]):
        columns = {field.column for field in search.ALIASES[alias]._meta.concrete_fields}
        assert column in columns, f"{alias}.{column}"


def test_no_column_of_the_search_stands_without_its_table():
    known = {field.column for model in search.ALIASES.values() for field in model._meta.concrete_fields}
    # What these set is of their one table, and SQL has no place for its name.
    written = {"_TAKE_OPEN_TASK", "_TAKE_SLOT", "_MOVE_CURSOR"}
    assert written < set(STATEMENTS)
    for name, statement in STATEMENTS.items():
        named = r"'[^']*'|%\(\w+\)s|\b[a-z]+\.\w+|\b(workspace|annotation)_\w+ [a-z]+"
        bare = set(re.findall(r"\b[a-z_]+\b", re.sub(named, "", statement)))
        assert name in written or not known & bare, name
