import pytest
from transformers import (
    AutoTokenizer,
    PreTrainedTokenizerFast,
)

from learning.interface.options import UserError
from learning.interface.training_options import ModelSource
from learning.models.architectures import SHARED_PROMPT_ARCHITECTURES
from learning.models.files import save_model
from learning.models.loading import load_policy
from learning.models.tokenization import train_tokenizer
from learning.models.tokenizers import load_tokenizer, require_autotokenizer_agrees
from tests.learning.conftest import TEXTS, scratch_source


@pytest.mark.parametrize(("pad", "repaired"), [("<|eos|>", "<|pad|>"), (None, "<|pad|>")])
def test_a_padding_token_that_is_scored_is_repaired_and_the_model_gets_room(
    tmp_path, make_policy, pad, repaired
):
    raw = train_tokenizer(TEXTS, vocab_size=300).backend_tokenizer
    text = raw.to_str().replace("<|pad|>", "<|unused|>")
    foreign = PreTrainedTokenizerFast(
        tokenizer_object=type(raw).from_str(text), eos_token="<|eos|>", bos_token="<|bos|>", pad_token=pad
    )
    foreign.save_pretrained(tmp_path)
    make_policy().save_pretrained(tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.pad_token == repaired
    assert tokenizer.pad_token_id == 300 != tokenizer.eos_token_id
    model = load_policy(ModelSource(path=str(tmp_path)), tokenizer)
    assert model.get_input_embeddings().num_embeddings == 301
    assert model.config.pad_token_id == 300
    assert tokenizer.chat_template  # a transcript, where there was none


def test_special_tokens_that_only_the_familys_class_knows_are_found(tmp_path, make_policy):
    raw = train_tokenizer([*TEXTS, "<|endoftext|>"], vocab_size=300).backend_tokenizer
    text = raw.to_str().replace("<|eos|>", "<|endoftext|>")
    PreTrainedTokenizerFast(tokenizer_object=type(raw).from_str(text)).save_pretrained(tmp_path)
    make_policy("gpt2").save_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"model_max_length": 1024}')
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.eos_token == "<|endoftext|>"
    assert tokenizer.pad_token_id not in (None, tokenizer.eos_token_id)
    tokenizer.save_pretrained(tmp_path)
    assert load_tokenizer(tmp_path).eos_token == "<|endoftext|>"


@pytest.mark.parametrize("architecture", SHARED_PROMPT_ARCHITECTURES)
def test_a_tokenizer_that_others_would_read_otherwise_is_refused_for_a_model_from_scratch(
    tmp_path, architecture
):
    own = train_tokenizer(["the year 1234, 1234 o'clock"] * 20, vocab_size=300)
    shape = scratch_source(architecture).from_scratch
    if architecture == "qwen2":
        with pytest.raises(UserError, match="choose llama"):
            require_autotokenizer_agrees(own, shape)
        return
    require_autotokenizer_agrees(own, shape)
    save_model(load_policy(scratch_source(architecture), own), own, tmp_path / "policy")
    auto = AutoTokenizer.from_pretrained(tmp_path / "policy")
    assert auto("the year 1234")["input_ids"] == own("the year 1234")["input_ids"]


def test_a_folder_without_tokenizer_is_refused(tmp_path, make_policy):
    make_policy().save_pretrained(tmp_path / "policy")
    with pytest.raises(UserError, match="policy: no tokenizer in this folder"):
        load_tokenizer(tmp_path / "policy")


def test_a_source_from_scratch_brings_no_tokenizer():
    with pytest.raises(UserError, match="brings no tokenizer"):
        load_tokenizer(scratch_source())
