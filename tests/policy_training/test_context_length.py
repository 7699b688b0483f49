import pytest
from transformers import AutoConfig

from policy_training.context_length import max_positions


@pytest.mark.parametrize("architecture", ["llama", "qwen2", "qwen3", "gpt2", "gpt_neox", "opt"])
def test_the_folder_says_what_the_loaded_model_would(tmp_path, architecture):
    config = AutoConfig.for_model(architecture, max_position_embeddings=77)
    config.save_pretrained(tmp_path)
    assert max_positions(tmp_path) == config.max_position_embeddings == 77


@pytest.mark.parametrize("text", ["", "[]", "{", '{"max_position_embeddings": null}', "{}"])
def test_a_folder_that_says_nothing_sets_no_limit(tmp_path, text):
    assert max_positions(tmp_path) is None
    (tmp_path / "config.json").write_text(text)
    assert max_positions(tmp_path) is None
