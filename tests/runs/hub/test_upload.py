"""Files to the Hub over its HTTP interface, against one on this machine: what arrives, what is refused, what is cut."""

import pytest

from learning.interface.options import UserError
from runs.hub.files import HubFile, files_of_folder
from runs.hub.upload import Target, UploadStopped, Watcher, push_files
from tests.runs.hub.fake_hub import TOKEN, FakeHub, Repository


@pytest.fixture
def hub(monkeypatch):
    # Elsewhere in the tests the library must not speak to anybody.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with FakeHub() as hub:
        yield hub


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "folder"
    for name, content in {
        "README.md": b"---\nlicense: mit\n---\n\n# A card\n",
        "data/train-00000.parquet": b"P" * 3_000_000,
        "data/train-00001.parquet": b"Q" * 10,
        ".cache/secret": b"hidden",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return files_of_folder(folder, {"manifest.json": b"{}"})


def push(hub, files, token=TOKEN, watcher=None, **target):
    target = {"repository": "kitchen/tea", "repository_type": "dataset", "replaces": ("data/*",)} | target
    return push_files(
        files,
        Target(endpoint=hub.address, **target),
        token=token,
        message="tea: 3 rows",
        watcher=watcher or Watcher(),
    )


def test_a_push_is_one_commit_of_a_private_repository(hub, files):
    said = []
    watcher = Watcher(say=lambda stage, done, total: said.append((stage, done, total)))
    found = push(hub, files, watcher=watcher)
    there = hub.repositories["datasets/kitchen/tea"]
    assert there.visibility == "private" and there.commits == ["tea: 3 rows"]
    assert there.files == {
        "README.md": b"---\nlicense: mit\n---\n\n# A card\n",
        "data/train-00000.parquet": b"P" * 3_000_000,
        "data/train-00001.parquet": b"Q" * 10,
        "manifest.json": b"{}",
    }
    assert found == {
        "repository": "kitchen/tea",
        "url": f"{hub.address}/datasets/kitchen/tea",
        "commit": "c" * 40,
    }
    sent = [done for stage, done, total in said if stage == "sending bytes"]
    total = sum(file.size for file in files)
    assert sent == sorted(sent) and sent[-1] == total == 3_000_010 + 31 + 2 and 0 < sent[1] < total


def test_a_second_push_replaces_what_it_made_and_nothing_else(hub, files):
    push(hub, files, public=True)
    there = hub.repositories["datasets/kitchen/tea"]
    assert there.visibility == "public"
    there.files["notes.txt"] = b"by hand"
    hub.requests.clear()
    fewer = [file for file in files if file.name != "data/train-00001.parquet"]
    push(hub, [*fewer, HubFile("pictures/time.svg", b"<svg/>")], public=True)
    assert set(there.files) == {
        "README.md", "data/train-00000.parquet", "manifest.json", "notes.txt", "pictures/time.svg",
    }  # fmt: skip
    # What the Hub has already is not sent again.
    assert not [request for request in hub.requests if request.startswith("PUT")]


def test_what_is_meant_to_be_private_does_not_go_where_all_can_read(hub, files):
    hub.repositories["datasets/kitchen/tea"] = Repository("public")
    with pytest.raises(UserError, match="Everybody can read kitchen/tea"):
        push(hub, files)
    assert hub.repositories["datasets/kitchen/tea"].files == {} and hub.blobs == {}


@pytest.mark.parametrize(
    "begins, status, said",
    [
        ("POST /api/repos/create", 403, "may not write to kitchen/tea"),
        ("POST /api/datasets/kitchen/tea/commit", 400, "refused the push to kitchen/tea (400)"),
        ("PUT /blobs", 403, "may not write to kitchen/tea"),
    ],
)
def test_refusals_are_sentences(hub, files, begins, status, said):
    hub.refuse[begins] = status
    with pytest.raises(UserError) as caught:
        push(hub, files)
    assert said in str(caught.value) and TOKEN not in str(caught.value)
    assert not any(repository.files for repository in hub.repositories.values())


def test_another_token_is_refused_and_not_repeated(hub, files):
    with pytest.raises(UserError, match="does not know the token") as caught:
        push(hub, files, token="hf_another")
    assert "hf_another" not in str(caught.value)


def test_a_hub_out_of_reach_is_a_sentence(files, monkeypatch):
    hub = FakeHub(address="http://127.0.0.1:9")
    with pytest.raises(UserError, match="HF_HUB_OFFLINE is set"):
        push(hub, files)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with pytest.raises(UserError, match="cannot be reached at http://127.0.0.1:9"):
        push(hub, files)


def test_it_stops_in_the_middle_of_a_file_and_nothing_is_seen(hub, files):
    asked = []
    hub.on_upload = lambda: asked.append(True)
    with pytest.raises(UploadStopped):
        push(hub, files, watcher=Watcher(stop_requested=lambda: bool(asked)))
    assert asked and hub.repositories["datasets/kitchen/tea"].files == {}
