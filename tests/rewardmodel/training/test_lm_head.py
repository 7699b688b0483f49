"""The language-model term: what it may see, what it may touch, and that nought means nought (CHECKS 4)."""

import pytest
import torch

from learning.batches.collation import collate
from learning.batches.forward import compute_scores, compute_token_logprobs
from learning.interface.options import UserError
from learning.interface.training_options import BatchOptions, ModelSource
from learning.models.files import save_model
from learning.models.loading import load_policy, load_reward_model
from rewardmodel.training.comparisons import build_targets, comparison_from_row
from rewardmodel.training.config import ObjectiveOptions
from rewardmodel.training.lm_head import attach_language_head, detach_language_head, scores_and_logprobs
from rewardmodel.training.losses import lm_losses
from rewardmodel.training.tokenization import tokenize_prompt_and_responses
from rewardmodel.training.total_loss import comparison_losses
from tests.rewardmodel.training.conftest import comparison_rows

LIMITS = BatchOptions(max_prompt_tokens=48, max_response_tokens=48)


@pytest.fixture(params=[True, False], ids=["tied", "untied"])
def source(request, make_policy):
    return ModelSource(path=str(make_policy(tie_word_embeddings=request.param)))


def usable(n, size=3):
    rows = [comparison_from_row(row) for row in comparison_rows(4 * n, size=size)]
    return [item for item in rows if item.untied_pairs][:n]


def prepared(source, tokenizer, comparisons, layout="shared_prompt"):
    model = load_reward_model(source, tokenizer)
    attach_language_head(model, source, tokenizer)
    examples = [
        tokenize_prompt_and_responses(tokenizer, item.prompt, item.responses, LIMITS) for item in comparisons
    ]
    batch = collate(examples, layout=layout, pad_id=tokenizer.pad_token_id)
    return model, batch, build_targets(comparisons)


def flat_gradient(loss, parameters):
    found = torch.autograd.grad(loss, parameters, allow_unused=True, retain_graph=True)
    return torch.cat(
        [torch.zeros(p.numel()) if g is None else g.flatten() for p, g in zip(parameters, found, strict=True)]
    )


@pytest.mark.parametrize("layout", ["shared_prompt", "padded"])
def test_one_pass_gives_the_scores_and_the_language_models_own_log_probabilities(source, tokenizer, layout):
    model, batch, targets = prepared(source, tokenizer, usable(4), layout)
    values, logprobs = scores_and_logprobs(model, batch, targets.is_top_tier_N)
    assert torch.allclose(values, compute_scores(model, batch), atol=1e-6)
    policy = load_policy(source, tokenizer)
    expected = compute_token_logprobs(policy, batch)
    assert torch.allclose(logprobs[targets.is_top_tier_N], expected[targets.is_top_tier_N], atol=1e-5)
    assert logprobs[~targets.is_top_tier_N].abs().max() == 0


def test_changing_a_rejected_response_leaves_the_lm_loss_alone(source, tokenizer):
    item = usable(1)[0]
    model, batch, targets = prepared(source, tokenizer, [item])
    before = lm_losses(
        scores_and_logprobs(model, batch, targets.is_top_tier_N)[1], batch.is_response_NR, targets
    )
    rejected = int((~targets.is_top_tier_N).nonzero()[0])
    changed = batch.input_ids_BT.clone()
    places = batch.token_index_NR[rejected][batch.is_response_NR[rejected]]
    changed[batch.row_N[rejected], places] = (changed[batch.row_N[rejected], places] + 7) % 300
    batch.input_ids_BT.copy_(changed)
    batch.response_ids_NR[rejected] = (batch.response_ids_NR[rejected] + 7) % 300
    after = lm_losses(
        scores_and_logprobs(model, batch, targets.is_top_tier_N)[1], batch.is_response_NR, targets
    )
    assert torch.equal(before, after)


def test_prompts_are_context_and_never_labels(source, tokenizer):
    """The loss is that of plain transformers with every label but the top-tier response's set to -100."""
    comparisons = usable(3)
    model, batch, targets = prepared(source, tokenizer, comparisons)
    ours = lm_losses(
        scores_and_logprobs(model, batch, targets.is_top_tier_N)[1], batch.is_response_NR, targets
    )
    policy = load_policy(source, tokenizer)
    for item, loss in zip(comparisons, ours, strict=True):
        example = tokenize_prompt_and_responses(tokenizer, item.prompt, item.responses, LIMITS)
        total, tokens = 0.0, 0
        for ids, top in zip(example.response_ids, item.is_top_tier, strict=True):
            if top:
                row = torch.tensor([[*example.prompt_ids, *ids]])
                labels = torch.tensor([[*[-100] * len(example.prompt_ids), *ids]])
                total += policy(input_ids=row, labels=labels).loss.item() * len(ids)
                tokens += len(ids)
        assert abs(total / tokens - loss.item()) <= 1e-5


def test_the_gradient_of_the_total_is_the_sum_of_the_two(source, tokenizer):
    model, batch, targets = prepared(source, tokenizer, usable(4))
    trunk = [p for name, p in model.named_parameters() if not name.startswith(("score", "language_head"))]

    def gradient(**options):
        losses = comparison_losses(model, batch, targets, ObjectiveOptions(**options))
        return flat_gradient(losses.total_B.sum(), trunk)

    ranking, both = gradient(), gradient(lm_coefficient=0.7)
    losses = comparison_losses(model, batch, targets, ObjectiveOptions(lm_coefficient=1.0))
    lm = flat_gradient(losses.lm_B.sum(), trunk)
    assert lm.norm() > 0 and ranking.norm() > 0
    assert (both - ranking - 0.7 * lm).norm() <= 1e-5 * both.norm()
    weighted = gradient(lm_coefficient=0.7, ranking_coefficient=0.25)
    assert (weighted - 0.25 * ranking - 0.7 * lm).norm() <= 1e-5 * weighted.norm()


def test_a_coefficient_of_nought_is_bit_identical_to_the_path_without_the_term(source, tokenizer):
    comparisons = usable(4)
    with_head, batch, targets = prepared(source, tokenizer, comparisons)
    plain = load_reward_model(source, tokenizer)
    plain.score.load_state_dict(with_head.score.state_dict())
    found = []
    for model in (with_head, plain):
        losses = comparison_losses(model, batch, targets, ObjectiveOptions(lm_coefficient=0.0))
        assert losses.lm_B is None
        found.append(
            (
                losses.total_B,
                flat_gradient(
                    losses.total_B.sum(),
                    list(
                        plain.parameters()
                        if model is plain
                        else [
                            p for name, p in model.named_parameters() if not name.startswith("language_head")
                        ]
                    ),
                ),
            )
        )
    assert torch.equal(found[0][0], found[1][0]) and torch.equal(found[0][1], found[1][1])


def test_the_language_head_does_not_reach_the_saved_model(source, tokenizer):
    model = load_reward_model(source, tokenizer)
    names = set(model.state_dict())
    attach_language_head(model, source, tokenizer)
    detach_language_head(model)
    assert set(model.state_dict()) == names


def test_an_earlier_reward_model_without_a_language_head_is_refused(make_policy, tokenizer, tmp_path):
    source = ModelSource(path=str(make_policy(tie_word_embeddings=False)))
    model = load_reward_model(source, tokenizer)
    attach_language_head(model, source, tokenizer)  # from a policy it works
    detach_language_head(model)
    save_model(model, tokenizer, tmp_path / "reward")
    with pytest.raises(UserError, match="is a reward model without one; start from a policy"):
        attach_language_head(model, ModelSource(path=str(tmp_path / "reward")), tokenizer)
