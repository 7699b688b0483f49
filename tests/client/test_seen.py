"""What a program says it has seen: sent as If-Match, and somebody else's change since is an error of its own."""

import copy

import httpx
import pytest

from roundtable.client import Client, Conflict, StaleVersion
from workspace.project_settings import set_splits
from workspace.tokens.actions import create_token

READ = '"0123-abcd"'


def answers(tag):
    """A site that answers everything with this ETag, and the requests that came."""
    sent = []

    def answer(request):
        sent.append(request)
        return httpx.Response(200, json={"id": 3, "licence": ""}, headers={"ETag": tag} if tag else {})

    return answer, sent


@pytest.mark.parametrize("tag", [READ, f"W/{READ}"])
def test_a_change_sends_the_etag_of_what_was_seen_and_none_unasked(make_client, tag):
    answer, sent = answers(tag)
    datasets = make_client(answer).project("kitchen").datasets
    seen = datasets.get(3)
    assert seen == {"id": 3, "licence": ""}
    datasets.update(3, licence="mit")
    datasets.update(3, seen=seen, licence="mit")
    # A proxy that compresses makes it weak, which no If-Match matches.
    assert [request.headers.get("If-Match") for request in sent] == [None, None, READ]


def test_what_has_no_version_is_refused_before_anything_is_sent(make_client):
    answer, sent = answers(None)
    datasets = make_client(answer).project("kitchen").datasets
    for seen in ({"id": 3}, datasets.get(3)):
        with pytest.raises(ValueError, match="a copy, or a row of a list"):
            datasets.update(3, seen=seen, licence="mit")
    answer, tagged = answers(READ)
    client = make_client(answer)
    seen = client.project("kitchen").datasets.get(3)
    with pytest.raises(ValueError, match="a copy"):
        client.project("kitchen").datasets.update(3, seen=dict(seen), licence="mit")
    client.project("kitchen").datasets.update(3, seen=copy.deepcopy(seen), licence="mit")
    assert tagged[-1].headers["If-Match"] == READ
    assert (len(sent), len(tagged)) == (1, 2)


@pytest.mark.db
@pytest.mark.django_db
def test_a_change_since_is_stale_and_changes_nothing(client, project, max_):
    """The real site, called in this process."""

    def answer(request):
        told = client.generic(
            request.method, request.url.path, request.content, headers=dict(request.headers),
            content_type=request.headers.get("content-type", ""),
        )  # fmt: skip
        return httpx.Response(told.status_code, content=told.content, headers=dict(told.headers))

    _, token = create_token(actor=max_, project=project, name="p", scope="write", role="manager", days=1)
    with Client("http://testserver", token, http=httpx.MockTransport(answer)) as desk:
        seen = desk.projects.get(project.slug)
        changed = desk.projects.update(project.slug, seen=seen, description="Ours")
        with pytest.raises(StaleVersion) as refused:
            desk.projects.update(project.slug, seen=seen, description="Mine")
        assert (refused.value.status, refused.value.code) == (412, "changed_meanwhile")
        # By the number of its version too.
        with pytest.raises(Conflict) as conflict:
            desk.projects.update(project.slug, expected_version=changed["version"] - 1, name="Mine")
        assert isinstance(conflict.value, StaleVersion)
        assert (conflict.value.status, conflict.value.code) == (409, "stale_version")
        # What a change answers is the next `seen`, until somebody else changes it.
        changed = desk.projects.update(project.slug, seen=changed, description="Ours again")
        set_splits(actor=max_, project=project, train_share=0.5)
        with pytest.raises(StaleVersion):
            desk.projects.update(project.slug, seen=changed, description="Mine")
        assert desk.projects.get(project.slug)["description"] == "Ours again"
