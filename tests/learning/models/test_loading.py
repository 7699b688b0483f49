import json
import math

import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

from learning.batches.collation import collate
from learning.batches.forward import compute_scores, compute_token_logprobs
from learning.batches.layout import choose_layout
from learning.interface.options import UserError
from learning.interface.training_options import ModelSource
from learning.models.architectures import SHARED_PROMPT_ARCHITECTURES
from learning.models.files import model_sha256s, save_model
from learning.models.loading import is_reward_model, load_policy, load_reward_model
from learning.models.tokenization import CHAT_TEMPLATE, encode_prompt, encode_response, train_tokenizer
from learning.models.tokenizers import load_tokenizer
from tests.learning.conftest import TEXTS, random_examples, scratch_source

EXAMPLES = random_examples(3, 2)


@pytest.mark.parametrize("architecture", SHARED_PROMPT_ARCHITECTURES)
def test_a_policy_saved_and_loaded_is_the_same_also_through_plain_transformers(
    tmp_path, make_policy, tokenizer, architecture
):
    model = make_policy(architecture).eval()
    sums = save_model(model, tokenizer, tmp_path / "policy")
    assert sums == model_sha256s(tmp_path / "policy")
    assert {"config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja"} <= set(sums)
    assert [path.name for path in tmp_path.iterdir()] == ["policy"]
    source = ModelSource(path=str(tmp_path / "policy"))
    loaded_tokenizer = load_tokenizer(source)
    batch = collate(EXAMPLES, layout="shared_prompt", pad_id=0)
    with torch.no_grad():
        expected = compute_token_logprobs(model, batch)
        assert torch.equal(
            compute_token_logprobs(load_policy(source, loaded_tokenizer).eval(), batch), expected
        )
        plain = AutoModelForCausalLM.from_pretrained(tmp_path / "policy").eval()
        assert torch.equal(compute_token_logprobs(plain, batch), expected)
    assert plain.config.pad_token_id == plain.generation_config.pad_token_id == 0
    assert plain.generation_config.eos_token_id == 2
    messages = [{"role": "user", "content": "The cat?"}]
    assert encode_prompt(loaded_tokenizer, messages, 99) == encode_prompt(tokenizer, messages, 99)
    assert encode_response(loaded_tokenizer, "<|eos|> mat", 99) == encode_response(
        tokenizer, "<|eos|> mat", 99
    )
    assert loaded_tokenizer.chat_template == CHAT_TEMPLATE
    if architecture != "qwen2":  # transformers replaces any tokenizer beside a qwen2 model by its own class
        auto = AutoTokenizer.from_pretrained(tmp_path / "policy")
        assert auto.padding_side == "right"
        assert auto.get_vocab() == tokenizer.get_vocab()


@pytest.mark.parametrize("architecture", SHARED_PROMPT_ARCHITECTURES)
def test_a_reward_model_starts_from_a_policy_with_a_new_head(tmp_path, make_policy, tokenizer, architecture):
    policy = make_policy(architecture)
    save_model(policy, tokenizer, tmp_path / "policy")
    torch.manual_seed(4)
    model = load_reward_model(ModelSource(path=str(tmp_path / "policy")), tokenizer)
    trunk, own = dict(policy.base_model.named_parameters()), dict(model.base_model.named_parameters())
    assert all(torch.equal(own[name], trunk[name]) for name in trunk)
    assert model.config.num_labels == 1
    assert model.config.reward_shift == 0.0
    weight = model.score.weight
    assert weight.shape == (1, 32)
    assert weight.std().item() == pytest.approx(1 / math.sqrt(33), rel=0.5)
    assert getattr(model.score, "bias", None) is None


def test_an_earlier_reward_model_keeps_its_head_and_shift(tmp_path, make_reward_model, tokenizer):
    model = make_reward_model().eval()
    model.config.reward_shift = 0.625
    save_model(model, tokenizer, tmp_path / "rm")
    assert is_reward_model(tmp_path / "rm")
    loaded = load_reward_model(ModelSource(path=str(tmp_path / "rm")), tokenizer).eval()
    assert loaded.config.reward_shift == 0.625
    batch = collate(EXAMPLES, layout="shared_prompt", pad_id=0)
    assert torch.equal(compute_scores(loaded, batch), compute_scores(model, batch))
    with pytest.raises(UserError, match="this is a reward model, and a policy is needed"):
        load_policy(ModelSource(path=str(tmp_path / "rm")), tokenizer)
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "rm").eval()
    ours = compute_scores(model, batch)
    for n, (prompt, response) in enumerate((e.prompt_ids, r) for e in EXAMPLES for r in e.response_ids):
        logit = plain(input_ids=torch.tensor([[*prompt, *response]])).logits[0, 0]
        assert (logit - ours[n]).abs().item() <= 1e-5 * ours.std().item()


def test_dropout_is_what_the_options_say(make_policy):
    assert make_policy("gpt2").config.resid_pdrop == 0.0
    model = make_policy("gpt2", dropout=0.25)
    rates = {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)}
    assert rates == {0.25}


@pytest.mark.parametrize("architecture", ["gpt2", "gpt_neox"])
def test_room_for_padding_changes_no_probability_of_a_model_whose_logits_are_far_below_0(
    tmp_path, make_policy, architecture
):
    """GPT-2's logits average about -30; a row of small numbers would be the likeliest token of all."""
    tokenizer = train_tokenizer(TEXTS, vocab_size=300)
    model = make_policy(architecture).eval()
    embedding = model.get_output_embeddings().weight
    with torch.no_grad():
        hidden = model(input_ids=torch.tensor([EXAMPLES[0].prompt_ids]), output_hidden_states=True)
        direction = hidden.hidden_states[-1][0].mean(0)
        embedding -= 40 * direction / direction.dot(direction)
    batch = collate(EXAMPLES, layout="padded", pad_id=0)
    with torch.no_grad():
        before = compute_token_logprobs(model, batch)
    save_model(model, tokenizer, tmp_path / "policy")
    tokenizer.add_special_tokens({"pad_token": "<|another pad|>"})
    loaded = load_policy(ModelSource(path=str(tmp_path / "policy")), tokenizer).eval()
    assert loaded.get_input_embeddings().num_embeddings == 301
    with torch.no_grad():
        after = compute_token_logprobs(loaded, batch)
    # One more token of about average probability.
    assert (before - after).abs().max().item() < 0.05


def test_a_family_without_sdpa_is_loaded_all_the_same_and_gets_padded_rows(tmp_path, tokenizer):
    config = AutoConfig.for_model(
        "gptj", vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=4, n_positions=64, rotary_dim=8
    )
    save_model(AutoModelForCausalLM.from_config(config), tokenizer, tmp_path / "gptj")
    model = load_policy(ModelSource(path=str(tmp_path / "gptj")), tokenizer)
    layout, reason = choose_layout(model, EXAMPLES)
    assert layout == "padded" and "gptj" in reason


def test_folders_that_are_no_models_are_refused_with_their_name(tmp_path, make_policy, tokenizer):
    source = ModelSource(path=str(tmp_path / "x"))
    with pytest.raises(UserError, match="x: no such model folder"):
        load_policy(source, tokenizer)
    (tmp_path / "x").mkdir()
    with pytest.raises(UserError, match=r"x: no config\.json"):
        load_policy(source, tokenizer)
    save_model(make_policy(), tokenizer, tmp_path / "x")
    load_policy(source, tokenizer)
    weights = (tmp_path / "x" / "model.safetensors").read_bytes()
    (tmp_path / "x" / "model.safetensors").write_bytes(weights[:1000])
    with pytest.raises(UserError, match="x: the model weights could not be read"):
        load_policy(source, tokenizer)
    (tmp_path / "x" / "model.safetensors").unlink()
    torch.save(make_policy().state_dict(), tmp_path / "x" / "pytorch_model.bin")
    with pytest.raises(UserError, match="x: the model weights could not be read"):  # pickles are never read
        load_policy(source, tokenizer)
    (tmp_path / "x" / "config.json").write_text("{")
    with pytest.raises(UserError, match="x: the model configuration could not be read"):
        load_policy(source, tokenizer)


def test_weights_that_lack_tensors_are_refused_instead_of_filled_with_noise(tmp_path, make_policy, tokenizer):
    from safetensors.torch import save_file

    save_model(make_policy(), tokenizer, tmp_path / "x")
    tensors = load_file(tmp_path / "x" / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, tmp_path / "x" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"lack 1 tensors .* model\.layers\.1\.mlp\.up_proj\.weight"):
        load_policy(ModelSource(path=str(tmp_path / "x")), tokenizer)


def test_a_classifier_with_several_labels_is_no_reward_model(tmp_path, make_reward_model, tokenizer):
    save_model(make_reward_model(), tokenizer, tmp_path / "x")
    config = json.loads((tmp_path / "x" / "config.json").read_text())
    config["id2label"] = {"0": "a", "1": "b"}
    config.pop("num_labels", None)
    config["label2id"] = {"a": 0, "b": 1}
    (tmp_path / "x" / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="classifier with 2 labels"):
        load_reward_model(ModelSource(path=str(tmp_path / "x")), tokenizer)


def test_a_reward_model_with_another_base_and_tokenizer_scores_text_like_a_direct_call(
    tmp_path, make_reward_model, tokenizer
):
    """Text from a policy is encoded anew with the reward model's own tokenizer and template."""
    from learning.batches.collation import Example
    from learning.models.tokenization import TRANSCRIPT_TEMPLATE, train_tokenizer
    from tests.learning.conftest import TEXTS

    own = train_tokenizer(TEXTS[::-1], vocab_size=280)
    own.chat_template = TRANSCRIPT_TEMPLATE
    torch.manual_seed(0)
    save_model(load_reward_model(scratch_source("gpt2"), own), own, tmp_path / "rm")
    loaded_tokenizer = load_tokenizer(tmp_path / "rm")
    model = load_reward_model(ModelSource(path=str(tmp_path / "rm")), loaded_tokenizer).eval()
    messages = [{"role": "user", "content": "What did the cat do?"}]
    texts = ["It sat.", "Wo ist der Schlüssel?"]
    example = Example(
        encode_prompt(loaded_tokenizer, messages, 99),
        [encode_response(loaded_tokenizer, text, 99) for text in texts],
    )
    ours = compute_scores(
        model, collate([example], layout="shared_prompt", pad_id=loaded_tokenizer.pad_token_id)
    )
    plain_tokenizer = AutoTokenizer.from_pretrained(tmp_path / "rm")
    plain = AutoModelForSequenceClassification.from_pretrained(tmp_path / "rm").eval()
    for text, score in zip(texts, ours, strict=True):
        whole = plain_tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        ids = plain_tokenizer(whole + text + "<|eos|>", add_special_tokens=False, return_tensors="pt")
        direct = plain(**{key: ids[key] for key in ("input_ids", "attention_mask")}).logits[0, 0]
        assert (score - direct).abs().item() <= 1e-5 * ours.std().item()
    assert len(own) != len(tokenizer)


def test_weights_that_are_not_finite_are_refused_by_name(tmp_path, make_policy, tokenizer):
    policy = make_policy()
    source = ModelSource(path=str(tmp_path / "policy"))
    save_model(policy, tokenizer, tmp_path / "policy")
    assert load_policy(source, tokenizer) is not None
    with torch.no_grad():
        policy.model.layers[1].mlp.down_proj.weight[3, 4] = math.inf
    save_model(policy, tokenizer, tmp_path / "damaged")
    source = ModelSource(path=str(tmp_path / "damaged"))
    for load in (load_policy, load_reward_model):
        with pytest.raises(UserError, match=r"damaged: the weights hold .*layers\.1\.mlp\.down_proj\.weight"):
            load(source, tokenizer)


def test_weights_outside_the_folder_or_in_a_pickle_are_not_loaded_whatever_the_index_names(
    tmp_path, make_policy, tokenizer
):
    folder = tmp_path / "x"
    save_model(make_policy(), tokenizer, folder)
    names = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").rename(tmp_path / "outside.safetensors")
    torch.save(dict(names), folder / "plain.bin")
    for weights in ("../outside.safetensors", "plain.bin"):
        index = {"metadata": {}, "weight_map": dict.fromkeys(names, weights)}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        for load in (load_policy, load_reward_model):
            with pytest.raises(UserError, match="as weights; only .safetensors files of the same folder"):
                load(ModelSource(path=str(folder)), tokenizer)
    (tmp_path / "outside.safetensors").rename(folder / "model.safetensors")
    (folder / "model.safetensors.index.json").unlink()
    load_policy(ModelSource(path=str(folder)), tokenizer)
