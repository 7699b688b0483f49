"""The pages of quality: what they show, to whom, and that they compute nothing."""

import pytest
from django.urls import reverse

from annotation.batches.exclusion import exclude_batch
from annotation.quality.actions import measure_project
from tests.annotation.quality.reports import make_report

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def address(project, name, **kwargs):
    return reverse(f"annotation:{name}", kwargs={"slug": project.slug, **kwargs})


def test_the_pages_of_a_measured_project(client, project, max_, ruth, judged):
    _, tasks, one, other = judged
    report = measure_project(actor=max_, project=project)
    client.force_login(ruth)
    page = client.get(address(project, "quality")).content.decode()
    assert "Krippendorff" in page and "66.7 %" in page and "People: 2 annotators" in page
    page = client.get(address(project, "quality_annotators")).content.decode()
    pair = report.annotator_pairs.get()
    assert one.username in page and address(project, "quality_pair", pk=pair.pk) in page
    page = client.get(address(project, "quality_pair", pk=pair.pk)).content.decode()
    links = [address(project, "batch_task", pk=task.batch_id, task_pk=task.pk) for task in tasks]
    assert page.index(links[5]) < page.index(links[4]) and links[0] not in page
    page = client.get(address(project, "quality_annotator", pseudonym=other.pseudonym)).content.decode()
    assert "Agrees with each other annotator" in page and "67 %" in page
    page = client.get(address(project, "uncertain_tasks")).content.decode()
    assert all(link in page for link in links)


def test_a_page_reads_what_is_stored_whatever_the_number_of_judgments(
    client,
    project,
    max_,
    judged,
    django_assert_max_num_queries,
):
    measure_project(actor=max_, project=project)
    client.force_login(max_)
    for name in ("quality", "quality_annotators", "uncertain_tasks", "leaderboard"):
        with django_assert_max_num_queries(20):
            assert client.get(address(project, name)).status_code == 200


def test_before_anything_is_measured_it_says_so(client, project, max_, ada):
    client.force_login(max_)
    assert "Nothing was measured yet" in client.get(address(project, "quality")).content.decode()
    for name, kwargs in (("quality_annotator", {"pseudonym": ada.pseudonym}), ("quality_pair", {"pk": 1})):
        assert client.get(address(project, name, **kwargs)).status_code == 404


def test_reports_of_other_projects_are_not_there(client, project, max_, ada, ruth, olga):
    from workspace.models import Project

    garden = Project.objects.get(name="Garden")
    report = make_report(garden, olga, [ada, ruth])
    client.force_login(max_)
    assert client.get(address(project, "quality_pair", pk=report.annotator_pairs.get().pk)).status_code == 404
    assert client.get(address(project, "quality_annotator", pseudonym=ada.pseudonym)).status_code == 404


def test_the_button_queues_one_run_and_says_what_is_wrong(client, project, max_, judged):
    client.force_login(max_)
    for _ in range(2):
        page = client.post(address(project, "measure_again"), follow=True).content.decode()
    assert project.runs.count() == 1 and "waits for a worker" in page


def test_a_report_says_when_it_is_older_than_an_exclusion(client, project, max_, ruth, ada, make_batch):
    batch = make_batch(tasks=1)
    make_report(project, max_, [ada, ruth])
    client.force_login(ruth)
    told = "These figures are older than a change of what counts"
    assert told not in client.get(address(project, "quality")).content.decode()
    exclude_batch(actor=max_, batch=batch)
    assert told in client.get(address(project, "quality")).content.decode()
    make_report(project, max_, [ada, ruth])
    assert told not in client.get(address(project, "quality")).content.decode()
