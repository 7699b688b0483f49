"""What an existing database gets: every version keeps the question it asked, and says who made it."""

import pytest

from workspace.actions import create_project, publish_guideline
from workspace.models import AuditEvent, Guideline, QuestionSettings

pytestmark = [pytest.mark.db, pytest.mark.django_db(transaction=True)]


def test_versions_of_before_keep_their_question_and_their_author(migrate_to, make_user):
    max_, mia = make_user("max"), make_user("mia")
    kitchen = create_project(actor=max_, name="Kitchen", question="Which is tastier?")
    garden = create_project(actor=mia, name="Garden", question="Which is greener?")
    publish_guideline(actor=mia, project=kitchen, text="Salt helps.")
    events = AuditEvent.objects.count()
    migrate_to(("workspace", "0008_near_duplicates_together"))
    migrate_to(("workspace", "0010_earlier_versions"))
    # Columns that came later are not there.
    asked = dict(QuestionSettings.objects.values_list("project_id", "questions"))
    assert asked == {
        kitchen.pk: {"helpful": "Which is tastier?"},
        garden.pk: {"helpful": "Which is greener?"},
    }
    made = Guideline.objects.order_by("pk").values_list("project__name", "version", "created_by__username")
    assert list(made) == [("Kitchen", 1, "max"), ("Garden", 1, "mia"), ("Kitchen", 2, "mia")]
    assert set(QuestionSettings.objects.values_list("created_by__username", flat=True)) == {"max", "mia"}
    assert AuditEvent.objects.count() == events
