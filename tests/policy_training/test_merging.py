"""Merging from the page, the command and the API, and a policy that says what it was made of."""

import pytest
from django.core.management import call_command
from django.urls import reverse

from policy_training.models import Policy
from policy_training.run_kinds import MERGE
from runs.models import Artifact, Run
from tests.policy_training.test_commands import refused
from tests.policy_training.test_forms import same, shown, started

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def other(project):
    artifact = Artifact.objects.create(
        project=project, kind="policy", path="models/other", sha256="1" * 64, size_bytes=1
    )
    source = project.sources.create(kind="policy", name="other")
    return Policy.objects.create(project=project, name="other", artifact=artifact, source=source)


@pytest.fixture
def address(project):
    return reverse("policies:merge", args=[project.slug])


def test_the_pages_merge_is_the_commands_and_its_policy_says_what_it_was_made_of(
    client, policy, other, project, max_, address
):
    client.force_login(max_)
    # The list has the newest first, and so have the weights.
    sent = {"name": "both", "policies": [policy.pk, other.pk], "weights": "1 3"}
    run = started(client.post(address, shown(client, address) | sent))
    call_command("merge_policies", "kitchen", "both", "other=1", "tiny=3", verbosity=0)
    assert same(run, Run.objects.latest("pk"))
    assert run.parameters == {
        "name": "both",
        "parent": policy.pk,
        "merged": [[other.pk, 1.0], [policy.pk, 3.0]],
    }
    again = client.get(address, {"run": run.pk}).context["form"]
    assert (again["weights"].value(), again["policies"].value()) == ("1 3", [other.pk, policy.pk])
    assert (
        "75.0 %" in client.get(address, shown(client, address) | sent | {"part": "preview"}).content.decode()
    )
    Artifact.objects.create(
        project=project, kind="policy", path="runs/1/model", sha256="2" * 64, size_bytes=1, produced_by=run
    )
    for _ in range(2):
        MERGE.save_result(run, {"shares": [0.25, 0.75]})
    made = Policy.objects.get(name="both")
    assert made.parent == policy
    page = client.get(reverse("policies:policy", args=["kitchen", made.pk])).content.decode()
    assert "Mean of the weights of" in page and page.index("75.0 %") < page.index("25.0 %")


def test_one_policy_is_forked(client, policy, max_, address):
    client.force_login(max_)
    run = started(client.post(address, shown(client, address) | {"name": "fork", "policies": [policy.pk]}))
    assert run.title == "Fork tiny as fork" and run.parameters["parent"] == policy.pk


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["both", "tiny", "tiny"], "each once"),
        (["both", "tiny=0", "other"], "Weights are numbers above 0"),
        (["both", "tiny=much", "other"], "is not a number"),
        (["both", "nobody"], "no policy “nobody”"),
        (["tiny", "other"], "There is a policy named “tiny”"),
    ],
)
def test_what_does_not_fit_is_refused(policy, other, arguments, said):
    assert said in refused("merge_policies", "kitchen", *arguments)
    assert not Run.objects.exists()


def test_weights_that_do_not_fit_stay_on_the_page(client, policy, other, max_, address):
    client.force_login(max_)
    sent = {"name": "both", "policies": [policy.pk, other.pk], "weights": "1"}
    answer = client.post(address, shown(client, address) | sent)
    assert answer.status_code == 422 and b"There are 2 policies and 1 weights" in answer.content
