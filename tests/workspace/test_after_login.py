"""Where somebody comes to by logging in: who judges on one project to that, everybody else to their projects."""

import pytest

from workspace.actions import create_project
from workspace.members import set_role

pytestmark = [pytest.mark.django_db, pytest.mark.db]


@pytest.fixture
def log_in(client):
    def post(person, address="/login/"):
        person.set_password("correct horse battery")
        person.save(update_fields=["password"])
        answer = client.post(address, {"username": person.username, "password": "correct horse battery"})
        assert answer.status_code == 302
        return answer["Location"]

    return post


def test_who_judges_on_one_project_comes_to_it(client, log_in, project, ada):
    assert log_in(ada) == f"/projects/{project.slug}/"
    # And on to what they came for; who is logged in already is sent there, too.
    assert client.get(f"/projects/{project.slug}/")["Location"] == f"/projects/{project.slug}/annotate/"
    assert client.get("/login/")["Location"] == f"/projects/{project.slug}/"


@pytest.mark.parametrize("who", ["ruth", "max_", "olga"])
def test_who_reads_manages_or_is_on_no_project_of_theirs_sees_the_list(log_in, project, request, who):
    assert log_in(request.getfixturevalue(who)) == "/"


def test_on_two_projects_and_for_operators_the_list_comes_first(log_in, project, ada, max_, make_user):
    operator = make_user("opal", is_staff=True)
    set_role(actor=max_, project=project, user=operator, role="annotator")
    assert log_in(operator) == "/"
    max_.is_staff = True
    max_.save()
    other = create_project(actor=max_, name="Cellar", criterion_name="helpful")
    set_role(actor=max_, project=other, user=ada, role="annotator")
    assert log_in(ada) == "/"


def test_an_address_that_was_asked_for_comes_before_all_and_one_of_elsewhere_does_not(log_in, project, ada):
    asked = f"/projects/{project.slug}/annotate/history/"
    assert log_in(ada, f"/login/?next={asked}") == asked
    assert log_in(ada, "/login/?next=https://example.org/") == f"/projects/{project.slug}/"
