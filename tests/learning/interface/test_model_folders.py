"""Nothing outside a model's folder and nothing but safetensors is loaded, whatever the files of the folder name."""

import json
import os

import pytest

from learning.interface.model_folders import require_own_files
from learning.interface.options import UserError


@pytest.fixture
def folder(tmp_path):
    """Two shards with their index, as transformers writes them; no tensor is looked at here."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama"}')
    for number in (1, 2):
        (folder / f"model-0000{number}-of-00002.safetensors").write_bytes(b"weights")
    write_index(folder, "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    return folder


def write_index(folder, *names):
    weight_map = {f"layer.{number}": name for number, name in enumerate(names)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def refusal(folder):
    with pytest.raises(UserError) as refused:
        require_own_files(folder)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_folder_of_shards_is_taken(folder):
    require_own_files(folder)


@pytest.mark.parametrize(
    "name",
    [
        "../outside.safetensors",
        "/etc/outside.safetensors",
        "plain.bin",
        "sub/model.safetensors",
        ".safetensors",
        7,
    ],
)
def test_an_index_names_safetensors_files_of_the_folder_and_nothing_else(folder, tmp_path, name):
    for there in (tmp_path / "outside.safetensors", folder / "plain.bin"):
        there.write_bytes(b"weights")
    (folder / "sub").mkdir()
    (folder / "sub" / "model.safetensors").write_bytes(b"weights")
    write_index(folder, "model-00001-of-00002.safetensors", name)
    assert "as weights; only .safetensors files of the same folder are loaded" in refusal(folder)


def test_a_shard_that_is_not_there_is_named(folder):
    (folder / "model-00002-of-00002.safetensors").unlink()
    assert "'model-00002-of-00002.safetensors', which is not there" in refusal(folder)


@pytest.mark.parametrize("content", ["[]", "{", "{}", '{"weight_map": []}', "[" * 100_000])
def test_an_index_that_is_none_is_refused(folder, content):
    (folder / "model.safetensors.index.json").write_text(content)
    assert "model.safetensors.index.json" in refusal(folder)


@pytest.mark.parametrize("name", ["../outside.safetensors", "pytorch_model.bin", "adapter_model.bin"])
def test_the_weights_that_config_json_names_are_held_to_the_same(folder, name):
    (folder / "config.json").write_text(json.dumps({"transformers_weights": name}))
    assert "as weights" in refusal(folder)


def test_a_model_with_an_adapter_in_its_folder_is_refused(folder):
    """transformers would load both, the adapter's .bin included."""
    (folder / "adapter_config.json").write_text("{}")
    assert "keep each in a folder of its own" in refusal(folder)


def test_links_lead_nowhere_else(folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "model.safetensors").write_bytes(b"weights")
    link = folder / "model.safetensors"
    for target in (other / "model.safetensors", other, tmp_path / "nothing", link):
        link.symlink_to(target)
        assert str(link) in refusal(folder)
        link.unlink()
    link.symlink_to("model-00001-of-00002.safetensors")
    require_own_files(folder)


def test_what_is_no_file_is_refused(folder):
    os.mkfifo(folder / "model.safetensors")
    assert "neither a file nor a folder" in refusal(folder)


def test_a_snapshot_of_the_hubs_cache_links_to_its_own_blobs(tmp_path):
    """The layout of huggingface_hub: models--owner--name/ has blobs/ and snapshots/ with links to them."""
    cache = tmp_path / "models--owner--name"
    snapshot = cache / "snapshots" / "0123abcd"
    snapshot.mkdir(parents=True)
    (cache / "blobs").mkdir()
    (cache / "blobs" / "feed").write_bytes(b"weights")
    (snapshot / "model.safetensors").symlink_to("../../blobs/feed")
    require_own_files(snapshot)
    (tmp_path / "elsewhere").write_bytes(b"weights")
    (snapshot / "model-2.safetensors").symlink_to("../../../elsewhere")
    assert "leads out of the model's folder" in refusal(snapshot)
