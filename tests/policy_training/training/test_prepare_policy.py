"""What would fail later in a run is refused when a policy is imported; what is changed then is written down."""

import json

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from learning.interface.options import UserError
from learning.interface.training_options import ModelArchitecture, ModelSource
from learning.models.files import save_model
from learning.models.loading import load_policy, load_reward_model
from learning.models.tokenization import CHAT_TEMPLATE, encode_answer, encode_prompt
from learning.models.tokenizers import load_tokenizer
from policy_training.training.weights import prepare_policy as preparing
from policy_training.training.weights.prepare_policy import main, prepare

USER = [{"role": "user", "content": "What is a fox?"}]


def shape(architecture):
    return ModelSource(
        from_scratch=ModelArchitecture(
            architecture=architecture, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
            num_attention_heads=4, max_position_embeddings=128, initializer_range=0.2,
        )
    )  # fmt: skip


@pytest.fixture
def make_folder(tmp_path, tokenizer):
    def make(name="policy", architecture="llama", template=CHAT_TEMPLATE, load=load_policy):
        torch.manual_seed(1)
        folder = tmp_path / name
        save_model(load(shape(architecture), tokenizer), tokenizer, folder)
        (folder / "chat_template.jinja").write_text(template)
        return folder

    return make


def asked(folder, tmp_path, base=None, date="2031-02-03", own_tokenizer=False, **values):
    return prepare(
        {
            "folder": str(folder),
            "out": str(tmp_path / "out"),
            "base": str(base) if base else None,
            "date": date,
            "chat_template_kwargs": values,
            "own_tokenizer": own_tokenizer,
        }
    )


def refusal(folder, tmp_path, **options):
    with pytest.raises(UserError) as refused:
        asked(folder, tmp_path, **options)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()
    return str(refused.value)


def change_config(folder, **values):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def change_weights(folder, change):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def test_a_good_folder_is_taken_as_it_is(make_folder, tmp_path):
    folder = make_folder()
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    found = asked(folder, tmp_path)
    stored = sum(tensor.numel() for tensor in load_file(folder / "model.safetensors").values())
    assert found == {"folder": str(folder), "architecture": "llama", "stored_parameters": stored}
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert not (tmp_path / "out").exists()


def test_weights_that_are_not_finite_or_not_whole_are_named(make_folder, tmp_path):
    folder = make_folder()
    name = "model.layers.1.mlp.up_proj.weight"
    change_weights(folder, lambda tensors: tensors[name].view(-1)[[3, 5]].copy_(torch.zeros(2)))
    change_weights(folder, lambda tensors: tensors[name].view(-1).__setitem__(7, float("nan")))
    assert f"the tensor {name} has 1 of 2,048 numbers that are not finite" in refusal(folder, tmp_path)
    change_weights(folder, lambda tensors: tensors.pop(name))
    assert f"the weights lack 1 tensors, {name} among them" in refusal(folder, tmp_path)
    (folder / "model.safetensors").write_bytes(b"weights")
    assert "model.safetensors: the file cannot be read" in refusal(folder, tmp_path)


def test_a_tokenizer_larger_than_the_embedding_is_refused(make_folder, tmp_path, tokenizer):
    folder = make_folder()
    larger = AutoTokenizer.from_pretrained(folder)
    larger.add_tokens(["<|extra|>"])
    larger.save_pretrained(folder)
    assert f"ids up to {len(tokenizer)}, and its embedding {len(tokenizer)} rows" in refusal(folder, tmp_path)


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        ("{{ messages[1].content }}", "fails on a single question"),
        ("{{ raise_exception('only for two') }}", r"fails on a single question .*only for two"),
        ("{% if %}", "is not valid|fails on a single question"),
        ("Hello!", "leaves the question out"),
        (
            "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}"
            "{% endfor %}{% endfor %}{% endfor %}",
            "does not end within 1 seconds",
        ),
    ],
)
def test_a_chat_template_that_fails_on_one_turn_is_refused(
    make_folder, tmp_path, monkeypatch, template, problem
):
    monkeypatch.setattr(preparing, "TEMPLATE_SECONDS", 1)
    folder = make_folder(template=template)
    with pytest.raises(UserError, match=problem):
        asked(folder, tmp_path)


def test_what_is_no_language_model_of_a_known_kind_is_refused(make_folder, tmp_path):
    folder = make_folder()
    change_config(folder, model_type="brontosaurus")
    assert "its architecture 'brontosaurus' is not known here" in refusal(folder, tmp_path)
    change_config(folder, model_type="vit")
    assert "vit is no language model that writes text" in refusal(folder, tmp_path)
    change_config(folder, model_type="llama", auto_map={"AutoModelForCausalLM": "own.Model"})
    assert "brings code of its own" in refusal(folder, tmp_path)
    assert "this is a reward model" in refusal(make_folder("rm", load=load_reward_model), tmp_path)


def test_a_tokenizer_that_autotokenizer_reads_otherwise_is_refused(make_folder, tmp_path):
    folder = make_folder(architecture="qwen2")
    assert "AutoTokenizer reads this tokenizer by the rules of its architecture" in refusal(folder, tmp_path)
    assert "tokens for" in asked(folder, tmp_path, own_tokenizer=True)["autotokenizer_differs"]


DATED = (
    "{%- if not date is defined %}{% set date = strftime_now('%d %b %Y') %}{% endif %}"
    "{{ 'Today is ' + date + '. ' + strftime_now(\"%Y\") }}"
)


def test_a_template_that_asks_for_the_date_keeps_the_day_of_the_import(make_folder, tmp_path):
    folder = make_folder(template=DATED + CHAT_TEMPLATE)
    found = asked(folder, tmp_path)
    assert (found["folder"], found["template_date"]) == (str(tmp_path / "out"), "2031-02-03")
    prompt = load_tokenizer(found["folder"]).apply_chat_template(USER, tokenize=False)
    assert prompt.startswith("Today is 03 Feb 2031. 2031<|bos|>")
    assert "strftime_now" in (folder / "chat_template.jinja").read_text()
    again = asked(found["folder"], tmp_path, date="2032-01-01")
    assert "template_date" not in again and again["folder"] == found["folder"]
    by_variable = make_folder("other", template="{% set f = '%d' %}{{ strftime_now(f) }}" + CHAT_TEMPLATE)
    with pytest.raises(UserError, match="asks for today's date in a way that cannot be frozen"):
        asked(by_variable, tmp_path)


THINKING = CHAT_TEMPLATE.replace(
    "{{ '<|assistant|>' }}",
    "{{ '<|assistant|>' }}{% if enable_thinking is defined and not enable_thinking %}"
    "{{ '<think>\\n\\n</think>\\n\\n' }}{% else %}{{ '<think>\\n' }}{% endif %}",
)


def test_values_for_the_template_are_a_part_of_it_from_then_on(make_folder, tmp_path):
    """What a policy reads when it samples is what it reads in training, and what others read of its folder."""
    folder = make_folder(template=THINKING)
    found = asked(folder, tmp_path, enable_thinking=False)
    assert found["chat_template_kwargs"] == {"enable_thinking": False}
    plain, frozen = load_tokenizer(folder), load_tokenizer(found["folder"])
    wanted = plain.apply_chat_template(
        USER, tokenize=False, add_generation_prompt=True, enable_thinking=False
    )
    assert frozen.apply_chat_template(USER, tokenize=False, add_generation_prompt=True) == wanted
    assert frozen.decode(encode_prompt(frozen, USER, 99)) == wanted
    # Without it the template opens the answer itself, and a demonstration that opens it too is not opened twice.
    assert plain.decode(encode_prompt(plain, USER, 99)).endswith("<|assistant|><think>\n")
    answer = encode_answer(plain, USER, "<think>\nA fox\n</think>\nYes", 99)
    assert plain.decode(answer) == "A fox\n</think>\nYes<|eos|>"
    with pytest.raises(UserError, match="has no variable 'thinking'; it has .*enable_thinking"):
        asked(folder, tmp_path, thinking=False)


@pytest.fixture
def adapter(make_folder, tmp_path):
    base = make_folder("base")
    torch.manual_seed(2)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base),
        LoraConfig(r=4, target_modules=["q_proj", "up_proj"], task_type="CAUSAL_LM"),
    )
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.2)
    folder = tmp_path / "adapter"
    model.save_pretrained(folder)
    return base, folder, model.eval()


def test_an_adapter_becomes_a_model_with_its_logits(adapter, tmp_path):
    base, folder, model = adapter
    found = asked(folder, tmp_path, base=base)
    assert (found["base"], found["adapter"]) == (str(base), str(folder))
    merged = AutoModelForCausalLM.from_pretrained(found["folder"]).eval()
    ids = torch.tensor([encode_prompt(load_tokenizer(found["folder"]), USER, 99)])
    with torch.no_grad():
        wanted, got = model(ids).logits, merged(ids).logits
        plain = AutoModelForCausalLM.from_pretrained(base)(ids).logits
    assert (wanted - plain).abs().max() > 0.01
    torch.testing.assert_close(got, wanted, rtol=0, atol=1e-5)


def test_an_adapter_that_does_not_fit_is_refused(adapter, make_folder, tmp_path):
    base, folder, _ = adapter
    assert "an adapter needs its base model" in refusal(folder, tmp_path)
    assert "does not fit the base" in refusal(folder, tmp_path, base=make_folder("gpt", architecture="gpt2"))
    tensors = load_file(folder / "adapter_model.safetensors")
    name = sorted(tensors)[0]
    tensors[name].view(-1)[0] = float("inf")
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    assert f"the tensor {name} has 1 of" in refusal(folder, tmp_path, base=base)
    (folder / "adapter_model.safetensors").unlink()
    assert "no adapter_model.safetensors" in refusal(folder, tmp_path, base=base)


def test_the_command_says_one_sentence_and_exits_2(make_folder, tmp_path, capsys):
    folder = make_folder()
    request, answer = tmp_path / "request.json", tmp_path / "answer.json"
    asking = {"folder": str(folder), "out": str(tmp_path / "out"), "base": None, "date": "2031-02-03"}
    asking["own_tokenizer"] = False
    request.write_text(json.dumps(asking | {"chat_template_kwargs": {}}))
    assert main(request, answer) == 0
    assert json.loads(answer.read_text())["architecture"] == "llama"
    request.write_text(json.dumps(asking | {"chat_template_kwargs": {"x": 1}}))
    capsys.readouterr()
    assert main(request, answer) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == f"{folder}: the chat template has no variable 'x'; it has none of its own"
