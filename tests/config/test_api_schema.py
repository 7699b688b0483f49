"""The schema of the API is whole: nothing in it was guessed or left out with a warning."""

import pytest
from django.core.management import call_command

pytestmark = [pytest.mark.db, pytest.mark.sqlite_only, pytest.mark.django_db]


def test_the_schema_is_made_without_a_warning(tmp_path):
    call_command("spectacular", "--fail-on-warn", "--file", str(tmp_path / "schema.yml"))
