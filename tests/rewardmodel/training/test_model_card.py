"""A reward model on disk scores the same through our scorer, the snippet of its card and plain apply_chat_template."""

import json
import re
import statistics

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, Qwen2Tokenizer

from learning.interface.training_options import BatchOptions, ModelArchitecture, ModelSource
from learning.models.files import save_model
from learning.models.loading import load_reward_model
from learning.models.tokenization import TRANSCRIPT_TEMPLATE, train_tokenizer
from learning.models.tokenizers import autotokenizer_difference, load_tokenizer
from policy_training.training.rollouts.model_sources import same_tokenization
from rewardmodel.training.config import ObjectiveOptions
from rewardmodel.training.model_card import (
    describe_input,
    export_tokenizer,
    objective_of,
    prompt_template,
    write_card,
)
from rewardmodel.training.scoring import RewardScorer
from tests.rewardmodel.training.conftest import comparison_rows

BATCH = BatchOptions(max_prompt_tokens=200, max_response_tokens=200)
OBJECTIVE = ObjectiveOptions(ranking_loss="best_of_k")
REPORT = {
    "by_criterion": {
        "helpful": {"n": 40, "accuracy": 0.75, "interval": [0.598, 0.858]},
        "harmless": {"n": 20, "accuracy": 0.6, "interval": [0.387, 0.781]},
    }
}
# Every turn ends with a line break after its end token, as Qwen's do.
CHATML = (
    "{%- for message in messages %}\n"
    "    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}\n"
    "{%- endfor %}\n"
    "{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistant\\n' }}\n{%- endif %}\n"
)
TEXTS = [text for row in comparison_rows(30) for text in (row["prompt"][0]["content"], *row["responses"])]


def make_tokenizer(template):
    tokenizer = train_tokenizer(TEXTS, 320)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.eos_token = "<|im_end|>"
    tokenizer.chat_template = template
    return tokenizer


@pytest.fixture
def make_folder(tmp_path):
    def make(template=CHATML, architecture="llama", exported=True, tokenizer=None):
        tokenizer = tokenizer or make_tokenizer(template)
        torch.manual_seed(3)
        shape = ModelArchitecture(
            architecture=architecture, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
            num_attention_heads=4, max_position_embeddings=400, initializer_range=0.3,
        )  # fmt: skip
        model = load_reward_model(ModelSource(from_scratch=shape), tokenizer)
        if exported:
            tokenizer = export_tokenizer(tokenizer)
        describe_input(model, tokenizer, BATCH, reward_shift=0.75, objective=OBJECTIVE)
        folder = tmp_path / f"model-{exported}"
        save_model(
            model,
            tokenizer,
            folder,
            finish=lambda folder: write_card(folder, config=model.config, tokenizer=tokenizer, report=REPORT),
        )
        return folder

    return make


CASES = [(row["prompt"], response) for row in comparison_rows(4) for response in row["responses"]]
CASES += [([{"role": "user", "content": "Why is the sky blue?"}], "Air scatters blue light more than red.")]
LONGER = [*CASES[0][0], {"role": "assistant", "content": "Yes."}, {"role": "user", "content": "And?"}]
CASES += [(LONGER, "No <|im_end|> x")]


def our_scores(folder):
    scorer = RewardScorer.load(folder, batch=BATCH)
    return [score for (score,) in scorer.score([p for p, _ in CASES], [[r] for _, r in CASES])]


def plain_scores(folder, cases):
    """As anybody would: the whole conversation through apply_chat_template, the classifier's own last token."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    scores = []
    for prompt, response in cases:
        ids = tokenizer.apply_chat_template(
            [*prompt, {"role": "assistant", "content": response}], return_tensors="pt", return_dict=True
        )
        with torch.no_grad():
            scores.append(model(**ids).logits[0, 0].item() - model.config.reward_shift)
    return scores


def snippet_of(folder):
    (snippet,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.S)
    return snippet


def snippet_scores(folder, monkeypatch):
    monkeypatch.chdir(folder)
    snippet = snippet_of(folder)
    scores = []
    for prompt, response in CASES:
        known = {"prompt": prompt, "response": response}
        exec(re.sub(r"(?m)^(prompt|response) = .*$", "", snippet), known)
        scores.append(known["score"])
    return scores


@pytest.mark.parametrize("template", [CHATML, TRANSCRIPT_TEMPLATE, None])
def test_snippet_and_plain_template_score_as_we_do(make_folder, monkeypatch, template):
    folder = make_folder(template) if template else make_folder(tokenizer=train_tokenizer(TEXTS, 320))
    ours = our_scores(folder)
    spread = statistics.stdev(ours)
    assert spread > 0.1
    # A text that looks like a special token becomes one in plain apply_chat_template: the last case is the snippet's.
    for theirs in (plain_scores(folder, CASES[:-1]), snippet_scores(folder, monkeypatch)):
        assert max(abs(a - b) for a, b in zip(ours, theirs, strict=False)) < 1e-5 * spread
    assert len(ours) == len(CASES) == len(plain_scores(folder, CASES[:-1])) + 1


def test_the_template_as_it_was_scores_at_the_line_break_after_the_end(make_folder):
    """What the saved template mends: the same weights read at another token."""
    folder = make_folder(exported=False)
    differences = [
        abs(a - b) for a, b in zip(our_scores(folder), plain_scores(folder, CASES[:-1]), strict=False)
    ]
    assert statistics.median(differences) > 0.1 * statistics.stdev(our_scores(folder))


def test_the_snippet_runs_as_it_is_written(make_folder, monkeypatch):
    folder = make_folder()
    monkeypatch.chdir(folder)
    known = {}
    exec(snippet_of(folder), known)
    assert known["score"] == pytest.approx(our_scores(folder)[-2], abs=1e-5)
    assert known["model"].config.reward_input["end"] == "<|im_end|>"
    assert known["model"].config.reward_shift == 0.75


def test_a_saved_template_writes_prompts_as_before_and_is_wrapped_once():
    tokenizer = make_tokenizer(CHATML)
    exported = export_tokenizer(tokenizer)
    assert exported.chat_template != CHATML and tokenizer.chat_template == CHATML
    assert export_tokenizer(exported) is exported
    turns = [*CASES[-1][0]]
    for asks in (True, False):
        written = [
            each.apply_chat_template(turns, tokenize=False, add_generation_prompt=asks)
            for each in (tokenizer, exported)
        ]
        assert written[0] == written[1]
    plain = train_tokenizer(TEXTS, 320)
    assert export_tokenizer(plain) is plain  # ours ends an answer as we do


def test_a_qwen2_model_with_a_foreign_tokenizer_says_which_class_reads_it(make_folder, monkeypatch):
    """AutoTokenizer builds Qwen2's own splitting rules for it: other tokens, other scores."""
    folder = make_folder(architecture="qwen2")
    assert "from transformers import PreTrainedTokenizerFast" in snippet_of(folder)
    assert autotokenizer_difference(folder, make_tokenizer(CHATML)) is not None
    ours = our_scores(folder)
    theirs = snippet_scores(folder, monkeypatch)
    assert max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) < 1e-5 * statistics.stdev(ours)


def test_a_qwen2_model_with_qwen2s_rules_is_read_alike(tmp_path, make_folder):
    plain = train_tokenizer(TEXTS, 320)
    parts = json.loads(plain.backend_tokenizer.to_str())["model"]
    merges = [tuple(merge) for merge in parts["merges"]]
    own = Qwen2Tokenizer(
        vocab=parts["vocab"], merges=merges, unk_token=None, eos_token="<|eos|>", pad_token="<|pad|>"
    )
    own.save_pretrained(tmp_path / "own")
    folder = make_folder(architecture="qwen2", tokenizer=load_tokenizer(tmp_path / "own"))
    assert autotokenizer_difference(folder, load_tokenizer(folder)) is None
    assert "AutoTokenizer.from_pretrained" in snippet_of(folder)


def test_the_card_has_the_figures_of_each_criterion_and_the_model_its_loss(make_folder):
    folder = make_folder()
    card = (folder / "README.md").read_text()
    assert "| helpful | 40 | 75.0% | 59.8% to 85.8% |\n| harmless | 20 | 60.0% | 38.7% to 78.1% |" in card
    config = AutoModelForSequenceClassification.from_pretrained(folder).config
    assert objective_of(config) == OBJECTIVE
    del config.reward_objective
    assert objective_of(config) is None


def test_a_wrapped_template_still_writes_prompts_as_the_policys_own(make_folder):
    """Else PPO would take the reward model of a ChatML policy for one of another tokenizer."""
    own, wrapped = make_tokenizer(CHATML), load_tokenizer(make_folder())
    assert wrapped.chat_template != own.chat_template
    assert prompt_template(wrapped) == prompt_template(own) == CHATML.removesuffix("\n")
    assert same_tokenization(wrapped, own)
    other = make_tokenizer(TRANSCRIPT_TEMPLATE)
    assert not same_tokenization(wrapped, other) and not same_tokenization(own, other)
