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
    for name, statement in STATEMENTS.items():
        bare = re.sub(r"'[^']*'|\b[a-z]+\.\w+|\b(workspace|annotation)_\w+ [a-z]+", "", statement)
        assert not known & set(re.findall(r"\b[a-z_]+\b", bare)), name
