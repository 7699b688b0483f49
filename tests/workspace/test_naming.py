import pytest
from django.core.exceptions import ValidationError

from workspace.errors import ActionError
from workspace.joining import accept_invitation
from workspace.members import invite
from workspace.models import Project
from workspace.naming import require_one_script, unique_name

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


@pytest.mark.parametrize(
    "name",
    [
        "manager",
        "Zoë.O'Neil-7",
        "мария",
        "田中さくら",
        "tanaka田中",
        "김민준",
        "محمد",
        "αλέξης",
        "ªº",
        "1234",
    ],
)
def test_a_name_in_one_script_is_accepted(name):
    require_one_script(name)


@pytest.mark.parametrize(
    ("name", "scripts"),
    [
        ("m\u0430nager", "Cyrillic and Latin"),
        ("\u03bfscar", "Greek and Latin"),
        ("мapия", "Cyrillic and Latin"),
    ],
)
def test_a_name_that_mixes_scripts_is_refused(name, scripts):
    with pytest.raises(ValidationError, match=f"this name mixes {scripts}"):
        require_one_script(name)


def test_an_invitation_is_not_accepted_under_a_name_that_looks_like_anothers(project, max_):
    _, token = invite(actor=max_, project=project, role="annotator")
    with pytest.raises(ActionError) as refused:
        accept_invitation(token=token, username="m\u0430x", password="a long enough phrase")
    assert list(refused.value.fields) == ["username"]
    assert (
        accept_invitation(token=token, username="мария", password="a long enough phrase").username == "мария"
    )
