"""Scores do not depend on how rows are laid out, and are what plain transformers says (CHECKS 5, 6, 8, 8b)."""

import random

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from learning.batches.collation import Example, collate
from learning.batches.forward import compute_scores
from learning.interface.options import UserError
from learning.interface.training_options import BatchOptions, ModelArchitecture, ModelSource
from learning.models.files import save_model
from learning.models.loading import load_reward_model
from learning.models.tokenization import train_tokenizer
from learning.models.tokenizers import load_tokenizer
from rewardmodel.training.comparisons import build_targets, comparison_from_row
from rewardmodel.training.config import ObjectiveOptions
from rewardmodel.training.scoring import RewardScorer
from rewardmodel.training.tokenization import tokenize_prompt_and_responses
from rewardmodel.training.total_loss import comparison_losses
from tests.rewardmodel.training.conftest import comparison_rows

LIMITS = BatchOptions(max_prompt_tokens=48, max_response_tokens=48)
ROWS = comparison_rows(12, size=3, seed=5)
PROMPTS = [row["prompt"] for row in ROWS]
RESPONSES = [row["responses"] for row in ROWS]


@pytest.fixture(scope="module", params=["llama", "gpt2", "qwen2"])
def saved(request, make_policy, tokenizer, tmp_path_factory):
    """A reward model on disk with a shift."""
    policy = make_policy(architecture=request.param)
    model = load_reward_model(ModelSource(path=str(policy)), tokenizer)
    model.config.reward_shift = 0.37
    path = tmp_path_factory.mktemp("reward") / "model"
    save_model(model, tokenizer, path)
    return path


def scored(path, prompts=PROMPTS, responses=RESPONSES, **changes):
    options = {"max_prompt_tokens": 48, "max_response_tokens": 48, **changes}
    return RewardScorer.load(path, batch=BatchOptions(**options)).score(prompts, responses)


def flat(groups):
    return torch.tensor([value for group in groups for value in group], dtype=torch.float64)


def within(ours, theirs, share=1e-5):
    assert len(ours) == len(theirs) > 1
    assert (ours - theirs).abs().max() <= share * theirs.std()


def test_layout_budget_and_order_change_no_score(saved):
    shared = flat(scored(saved, layout="shared_prompt"))
    within(flat(scored(saved, layout="padded")), shared)
    within(
        flat(scored(saved, layout="shared_prompt", max_micro_batch_tokens=1)), shared
    )  # one example a pass
    within(flat(scored(saved, layout="padded", max_micro_batch_tokens=16 * 96)), shared)
    order = list(range(len(PROMPTS)))
    random.Random(0).shuffle(order)
    shuffled = scored(saved, [PROMPTS[i] for i in order], [RESPONSES[i] for i in order])
    restored = [shuffled[order.index(i)] for i in range(len(order))]
    within(flat(restored), shared)


def test_extra_padding_and_left_padding_change_no_score(saved):
    """Our batches pad on the right; what a caller's padding does must not matter either."""
    tokenizer = load_tokenizer(saved)
    model = load_reward_model(ModelSource(path=str(saved)), tokenizer).eval()
    plain = AutoModelForSequenceClassification.from_pretrained(saved).eval()
    rows = [
        [*example.prompt_ids, *ids]
        for example in (
            tokenize_prompt_and_responses(tokenizer, p, r, LIMITS)
            for p, r in zip(PROMPTS, RESPONSES, strict=True)
        )
        for ids in example.response_ids
    ]
    examples = [
        tokenize_prompt_and_responses(tokenizer, p, r, LIMITS)
        for p, r in zip(PROMPTS, RESPONSES, strict=True)
    ]
    with torch.no_grad():
        ours = compute_scores(model, collate(examples, layout="padded", pad_id=tokenizer.pad_token_id))
        for side, extra in (("right", 0), ("right", 13), ("left", 5)):
            width = max(map(len, rows)) + extra
            ids = torch.full((len(rows), width), tokenizer.pad_token_id)
            mask = torch.zeros_like(ids)
            for index, row in enumerate(rows):
                place = slice(0, len(row)) if side == "right" else slice(width - len(row), width)
                ids[index, place], mask[index, place] = torch.tensor(row), 1
            positions = (mask.cumsum(1) - 1).clamp(min=0)
            theirs = plain(input_ids=ids, attention_mask=mask, position_ids=positions).logits.squeeze(-1)
            within(theirs, ours)


def test_a_tokenizer_that_pads_with_its_end_token_scores_the_same(saved, tmp_path):
    within_before = flat(scored(saved))
    tokenizer = AutoTokenizer.from_pretrained(saved)
    model = AutoModelForSequenceClassification.from_pretrained(saved)
    tokenizer.pad_token = tokenizer.eos_token
    model.config.pad_token_id = tokenizer.eos_token_id
    model.save_pretrained(tmp_path / "same")
    tokenizer.save_pretrained(tmp_path / "same")
    repaired = load_tokenizer(tmp_path / "same")
    assert repaired.pad_token_id != repaired.eos_token_id
    within(flat(scored(tmp_path / "same")), within_before)


def test_shared_prompt_and_separate_rows_have_the_same_gradient(saved):
    tokenizer = load_tokenizer(saved)
    comparisons = [comparison_from_row(row) for row in ROWS]
    examples = [
        tokenize_prompt_and_responses(tokenizer, p, r, LIMITS)
        for p, r in zip(PROMPTS, RESPONSES, strict=True)
    ]
    gradients = []
    for layout in ("shared_prompt", "padded"):
        model = load_reward_model(ModelSource(path=str(saved)), tokenizer).eval()
        batch = collate(examples, layout=layout, pad_id=tokenizer.pad_token_id)
        losses = comparison_losses(model, batch, build_targets(comparisons), ObjectiveOptions(margin="small"))
        losses.total_B.sum().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    assert (gradients[0] - gradients[1]).norm() <= 1e-5 * gradients[1].norm()


def test_editing_one_response_in_place_changes_no_other_score_by_a_bit(saved):
    tokenizer = load_tokenizer(saved)
    model = load_reward_model(ModelSource(path=str(saved)), tokenizer).eval()
    examples = [
        tokenize_prompt_and_responses(tokenizer, p, r, LIMITS)
        for p, r in zip(PROMPTS, RESPONSES, strict=True)
    ]
    edited = [[(token + 5) % 300 for token in ids[:-1]] + [ids[-1]] for ids in examples[0].response_ids[1:2]]
    first = Example(
        prompt_ids=examples[0].prompt_ids,
        response_ids=[examples[0].response_ids[0], *edited, *examples[0].response_ids[2:]],
    )
    with torch.no_grad():
        before = compute_scores(
            model, collate(examples, layout="shared_prompt", pad_id=tokenizer.pad_token_id)
        )
        after = compute_scores(
            model, collate([first, *examples[1:]], layout="shared_prompt", pad_id=tokenizer.pad_token_id)
        )
    same = before == after
    assert not same[1] and same[[0, *range(2, len(before))]].all()


def test_plain_transformers_minus_the_shift_is_our_reward(saved):
    tokenizer = AutoTokenizer.from_pretrained(saved)
    model = AutoModelForSequenceClassification.from_pretrained(saved).eval()
    theirs = []
    for prompt, responses in zip(PROMPTS, RESPONSES, strict=True):
        head = tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
        for text in responses:
            ids = tokenizer(head + text + tokenizer.eos_token, add_special_tokens=False, return_tensors="pt")
            theirs.append(model(ids["input_ids"]).logits[0, 0].item() - model.config.reward_shift)
    within(flat(scored(saved)), torch.tensor(theirs, dtype=torch.float64))


def test_a_reward_model_of_another_base_and_tokenizer_scores_a_policys_text_like_a_direct_call(
    saved, make_policy, tmp_path
):
    other_tokenizer = train_tokenizer([text for group in RESPONSES for text in group], 290)
    source = ModelSource(
        from_scratch=ModelArchitecture(
            architecture="opt", hidden_size=24, num_attention_heads=2, max_position_embeddings=128
        )
    )
    other = load_reward_model(source, other_tokenizer)
    save_model(other, other_tokenizer, tmp_path / "other")
    policy_tokenizer = load_tokenizer(saved)  # what a policy of the first base would write with
    texts = [
        [
            policy_tokenizer.decode(policy_tokenizer(text, add_special_tokens=False)["input_ids"])
            for text in group
        ]
        for group in RESPONSES
    ]
    assert texts == RESPONSES
    direct = []
    for prompt, group in zip(PROMPTS, texts, strict=True):
        example = tokenize_prompt_and_responses(other_tokenizer, prompt, group, LIMITS)
        for ids in example.response_ids:
            direct.append(other.eval()(torch.tensor([[*example.prompt_ids, *ids]])).logits[0, 0].item())
    within(flat(scored(tmp_path / "other", responses=texts)), torch.tensor(direct, dtype=torch.float64))


def test_an_unfinished_response_is_scored_at_its_last_token(saved):
    scorer = RewardScorer.load(saved, batch=LIMITS)
    done = scorer.score(PROMPTS[:1], [["Here is", "Here is"]], ended=[[True, False]])[0]
    assert done[0] != done[1]
    example = tokenize_prompt_and_responses(scorer.tokenizer, PROMPTS[0], ["Here is"], LIMITS, ended=[False])
    assert example.response_ids[0][-1] != scorer.tokenizer.eos_token_id
    within(torch.tensor(done), flat([scorer.score(PROMPTS[:1], [["Here is"]])[0] + [done[1]]]))


def test_cut_responses_are_counted(saved):
    scorer = RewardScorer.load(saved, batch=BatchOptions(max_prompt_tokens=48, max_response_tokens=4))
    scorer.score(PROMPTS[:2], [["Here is the red ball.", "x"], ["y"]])
    assert (scorer.cuts.responses, scorer.cuts.cut_responses) == (3, 1)


def test_nothing_to_score_gives_nothing(saved):
    assert RewardScorer.load(saved, batch=LIMITS).score([], []) == []


def test_a_folder_that_is_no_reward_model_is_refused(policy_path, saved):
    RewardScorer.load(saved, batch=LIMITS)
    with pytest.raises(UserError, match="is not a reward model"):
        RewardScorer.load(policy_path, batch=LIMITS)
