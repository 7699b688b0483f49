"""What an existing database gets: every version keeps the question it asked, and says who made it."""

import pytest

pytestmark = [pytest.mark.db, pytest.mark.django_db(transaction=True)]


def test_versions_of_before_keep_their_question_and_their_author(schema_at, migrate_to):
    apps = schema_at(("workspace", "0008_near_duplicates_together"))

    def create(model, /, **values):
        return apps.get_model("workspace", model).objects.create(**values)

    max_, mia = (create("User", username=name, pseudonym=f"annotator-{name}") for name in ("max", "mia"))

    def create_project(actor, name, question):
        project = create("Project", name=name, slug=name.lower(), split_salt="salt")
        create("Criterion", project=project, name="helpful", question=question)
        create("QuestionSettings", project=project, version=1)
        create("Guideline", project=project, version=1, text="")
        create(
            "AuditEvent", project=project, actor=actor, action="project.create",
            target_type="workspace.project", target_id=str(project.pk),
        )  # fmt: skip
        return project

    kitchen = create_project(max_, "Kitchen", "Which is tastier?")
    garden = create_project(mia, "Garden", "Which is greener?")
    second = create("Guideline", project=kitchen, version=2, text="Salt helps.")
    create(
        "AuditEvent", project=kitchen, actor=mia, action="guideline.publish",
        target_type="workspace.guideline", target_id=str(second.pk),
    )  # fmt: skip
    get_model = migrate_to(("workspace", "0010_earlier_versions")).get_model
    settings = get_model("workspace", "QuestionSettings").objects
    assert dict(settings.values_list("project_id", "questions")) == {
        kitchen.pk: {"helpful": "Which is tastier?"},
        garden.pk: {"helpful": "Which is greener?"},
    }
    made = get_model("workspace", "Guideline").objects.order_by("pk")
    assert list(made.values_list("project__name", "version", "created_by__username")) == [
        ("Kitchen", 1, "max"),
        ("Garden", 1, "mia"),
        ("Kitchen", 2, "mia"),
    ]
    assert set(settings.values_list("created_by__username", flat=True)) == {"max", "mia"}
    assert get_model("workspace", "AuditEvent").objects.count() == 3
