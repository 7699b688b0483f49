import pytest

from workspace.models import Project
from workspace.naming import unique_name

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def test_a_namesake_gets_a_number_and_long_names_stay_within_their_column(project):
    rows = Project.objects.all()
    assert unique_name(rows, "Garden") == "Garden"
    assert unique_name(rows, project.name) == "Kitchen (2)"
    Project.objects.create(name="Kitchen (2)", slug="k2")
    assert unique_name(rows, project.name) == "Kitchen (3)"
    Project.objects.create(name="x" * 120, slug="x")
    assert len(unique_name(rows, "x" * 200)) <= 120
    assert unique_name(rows, "x" * 200) != "x" * 120
