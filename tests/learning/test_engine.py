import copy
import json
import math
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file
from torch.nn import functional as F

from learning.batches.collation import collate
from learning.batches.forward import compute_scores, compute_token_logprobs
from learning.batches.micro_batching import MicroBatch
from learning.distributed import DistributedContext, sum_gradients
from learning.engine import Engine, TrainingDiverged
from learning.interface.options import UserError
from learning.interface.training_options import ModelSource, OptimizerOptions, RuntimeOptions
from learning.models.loading import load_policy
from learning.models.tokenizers import load_tokenizer
from tests.learning.conftest import random_examples
from tests.learning.parallel_steps import OBJECTIVES

EXAMPLES = random_examples(8, [2, 4, 3, 2, 2, 5, 2, 3], seed=4)
CPU = DistributedContext(rank=0, world_size=1, device=torch.device("cpu"))


def engine_of(model, *, steps=10, dtype="fp32", **optimizer):
    return Engine(
        model,
        optimizer=OptimizerOptions(**{"learning_rate": 1e-3, "schedule": "constant", **optimizer}),
        steps_total=steps,
        runtime=RuntimeOptions(dtype=dtype),
        distributed=CPU,
    )


def language_loss(engine, examples):
    return -engine.forward(compute_token_logprobs, collate(examples, layout="shared_prompt", pad_id=0)).sum()


def reward_loss(engine, examples):
    batch = collate(examples, layout="shared_prompt", pad_id=0)
    scores = engine.forward(compute_scores, batch)
    groups = [scores[batch.example_N == index] for index in range(len(examples))]
    return torch.stack([-F.logsigmoid(own[:1] - own[1:]).mean() for own in groups]).sum()


def tokens(examples):
    return sum(len(ids) for example in examples for ids in example.response_ids)


def trained(model, loss, loss_denominator, size, steps=3):
    engine = engine_of(model, epsilon=1e-5)  # Llama 2's; with 1e-8 Adam amplifies rounding of tiny gradients
    for _ in range(steps):
        pieces = [EXAMPLES[start : start + size] for start in range(0, len(EXAMPLES), size)]
        update = engine.accumulate_and_step(pieces, lambda piece: loss(engine, piece), loss_denominator)
    return update, torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("objective", ["language", "reward"])
def test_micro_batches_of_any_size_give_the_same_update(make_policy, make_reward_model, objective):
    make, loss, loss_denominator = {
        "language": (make_policy, language_loss, tokens(EXAMPLES)),
        "reward": (make_reward_model, reward_loss, len(EXAMPLES)),
    }[objective]
    # In float64: rows of one length attend without a mask, and that is rounded otherwise than with one.
    start = torch.cat([p.detach().flatten() for p in make().parameters()])
    whole, expected = trained(make().double(), loss, loss_denominator, 8)
    assert (expected - start).abs().max() > 1e-3
    for size in (1, 2, 4):
        update, weights = trained(make().double(), loss, loss_denominator, size)
        assert (weights - expected).abs().max().item() <= 1e-12
        assert update.loss == pytest.approx(whole.loss, abs=1e-6)
        assert update.gradient_norm == pytest.approx(whole.gradient_norm, rel=1e-5)


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_accumulated_gradients_are_those_of_the_whole_step(make_policy, size):
    model = make_policy()
    engine = engine_of(model)
    reference = -compute_token_logprobs(model, collate(EXAMPLES, layout="padded", pad_id=0)).sum()
    (reference / tokens(EXAMPLES)).backward()
    expected = torch.cat([p.grad.flatten() for p in model.parameters()])
    model.zero_grad()
    for start in range(0, 8, size):
        engine.backward(language_loss(engine, EXAMPLES[start : start + size]) / tokens(EXAMPLES))
    found = torch.cat([p.grad.flatten() for p in model.parameters()])
    assert (found - expected).abs().max().item() <= 1e-6


def test_one_step_is_adamw_with_clipping_decay_and_schedule(make_policy):
    model, reference = make_policy(), make_policy()
    engine = engine_of(
        model,
        schedule="linear",
        min_lr_ratio=0.0,
        weight_decay=0.1,
        max_grad_norm=0.5,
        epsilon=1e-5,
        beta2=0.9,
    )
    matrices = [p for p in reference.parameters() if p.ndim >= 2]
    vectors = [p for p in reference.parameters() if p.ndim < 2]
    assert matrices and vectors
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
        lr=1e-3,
        betas=(0.9, 0.9),
        eps=1e-5,
    )
    for step in range(3):
        update = engine.accumulate_and_step([EXAMPLES], lambda piece: language_loss(engine, piece), 10.0)
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * (1 - step / 10)
        (
            -compute_token_logprobs(reference, collate(EXAMPLES, layout="shared_prompt", pad_id=0)).sum()
            / 10.0
        ).backward()
        norm = torch.nn.utils.clip_grad_norm_(reference.parameters(), 0.5)
        optimizer.step()
        optimizer.zero_grad()
        assert update.gradient_norm == pytest.approx(norm.item(), rel=1e-6)
        assert update.learning_rate == pytest.approx(1e-3 * (1 - step / 10))
    for own, other in zip(model.parameters(), reference.parameters(), strict=True):
        assert torch.allclose(own, other, atol=1e-7)


def test_a_filler_is_computed_and_counts_nothing(make_policy):
    model, other = make_policy(), make_policy()
    engine, plain = engine_of(model), engine_of(other)
    calls = []

    def loss_sum(one):
        calls.append(one)
        return language_loss(engine, [EXAMPLES[index] for index in one.indices])

    real = MicroBatch((0, 1))
    update = engine.accumulate_and_step([real, MicroBatch((2,), is_dummy=True)], loss_sum, 7.0)
    expected = plain.accumulate_and_step(
        [real], lambda one: language_loss(plain, [EXAMPLES[index] for index in one.indices]), 7.0
    )
    assert len(calls) == 2
    assert update == expected
    for own, reference in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(own, reference)


def test_divergence_stops_before_the_weights_are_touched(make_policy):
    model = make_policy()
    engine = engine_of(model)
    engine.accumulate_and_step([EXAMPLES], lambda piece: language_loss(engine, piece), 1.0)
    before = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(TrainingDiverged, match="became nan at optimizer step 2; lower the learning rate"):
        engine.accumulate_and_step([EXAMPLES], lambda piece: language_loss(engine, piece) * math.nan, 1.0)
    assert all(torch.equal(p, old) for p, old in zip(model.parameters(), before, strict=True))


def test_a_first_loss_that_is_not_finite_is_the_models_fault_and_names_it(make_policy):
    model = make_policy()
    model.name_or_path = "models/base"
    engine = engine_of(model)
    with pytest.raises(
        UserError, match="models/base: the loss of its first forward pass is nan.*start from another"
    ):
        engine.accumulate_and_step([EXAMPLES], lambda piece: language_loss(engine, piece) * math.nan, 1.0)
    assert engine.steps_done == 0


def test_infer_has_no_dropout_and_no_gradient_and_training_goes_on_after_it(make_policy):
    model = make_policy("gpt2", dropout=0.5)
    engine = engine_of(model)
    batch = collate(EXAMPLES, layout="shared_prompt", pad_id=0)
    one, two = engine.infer(compute_token_logprobs, batch), engine.infer(compute_token_logprobs, batch)
    assert torch.equal(one, two) and not one.requires_grad
    assert model.training
    three, four = engine.forward(compute_token_logprobs, batch), engine.forward(compute_token_logprobs, batch)
    assert not torch.equal(three, four) and three.requires_grad


def test_bf16_runs_autocast_over_fp32_weights(make_policy):
    model = make_policy()
    engine = engine_of(model, dtype="bf16")
    batch = collate(EXAMPLES, layout="shared_prompt", pad_id=0)
    exact = engine_of(make_policy()).infer(compute_token_logprobs, batch)
    rough = engine.infer(compute_token_logprobs, batch)
    assert 0 < (rough - exact).abs().max() < 0.2
    engine.accumulate_and_step([EXAMPLES], lambda piece: language_loss(engine, piece), 10.0)
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_frozen_weights_stay_and_a_model_without_trained_weights_is_refused(make_policy):
    model = make_policy()
    for parameter in model.model.parameters():
        parameter.requires_grad_(False)
    model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
    frozen = [p.detach().clone() for p in model.model.parameters()]
    head = model.lm_head.weight.detach().clone()
    engine = engine_of(model)
    engine.accumulate_and_step([EXAMPLES], lambda piece: language_loss(engine, piece), 10.0)
    assert all(torch.equal(p, old) for p, old in zip(model.model.parameters(), frozen, strict=True))
    assert not torch.equal(model.lm_head.weight, head)
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="no parameter that requires a gradient"):
        engine_of(model)


def test_a_saved_engine_goes_on_bit_for_bit(make_policy, tokenizer, tmp_path):
    one, two = make_policy(), make_policy(seed=8)
    first, second = engine_of(one), engine_of(two)
    first.accumulate_and_step([EXAMPLES], lambda piece: language_loss(first, piece), 10.0)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    for engine in (first, second):
        engine.accumulate_and_step([EXAMPLES], lambda piece, e=engine: language_loss(e, piece), 10.0)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert second.steps_done == 2
    assert first.save_model(tokenizer, tmp_path / "m") == second.save_model(tokenizer, tmp_path / "n")


def test_steps_without_work_or_loss_denominator_are_refused(make_policy):
    engine = engine_of(make_policy())
    for pieces, loss_denominator in (([], 1.0), ([EXAMPLES], 0.0), ([EXAMPLES], math.nan)):
        with pytest.raises(ValueError, match="a step needs"):
            engine.accumulate_and_step(pieces, lambda piece: language_loss(engine, piece), loss_denominator)


def test_one_process_talks_to_itself():
    assert CPU.sum(2.5) == 2.5
    assert CPU.any(True) and not CPU.any(False)
    assert CPU.broadcast_object("x") == "x" and CPU.gather_objects(3) == [3]
    total = torch.ones(2)
    assert CPU.all_reduce_sum(total) is not total


@pytest.mark.slow
@pytest.mark.parametrize("processes", [pytest.param(1, marks=pytest.mark.full_size), 2])
def test_several_processes_and_deepspeed_stages_0_to_3_train_like_one_of_plain_torch(
    fork_server, tmp_path, processes
):
    """Reward-model and language-model losses over 10 steps, the latter by LoRA as well; 1 and 2 processes over gloo;
    and on from shards. Without a compiler.
    """
    module = "tests.learning.parallel_steps"
    (tmp_path / "parallel").mkdir()
    for folder, ranks, engine, stages in (
        (tmp_path, 1, "torch", "0"),
        (tmp_path / "parallel", processes, "torch", "0"),
        (tmp_path, processes, "deepspeed", "0,1,2,3"),
    ):
        fork_server.call(module, str(folder), engine, stages, errors=tmp_path / "stderr", processes=ranks)
    for objective, stages in OBJECTIVES.items():
        plain = json.loads((tmp_path / f"{objective}-torch-0.json").read_text())
        weights = load_file(tmp_path / f"{objective}-torch-0-model" / "model.safetensors")
        for stage in stages:
            name = f"{objective}-deepspeed-{stage}"
            report = json.loads((tmp_path / f"{name}.json").read_text())
            for (loss, norm), (expected_loss, expected_norm) in zip(
                report["losses"], plain["losses"], strict=True
            ):
                assert loss == pytest.approx(expected_loss, abs=1e-5), name
                assert norm == pytest.approx(expected_norm, rel=1e-5), name
            own = load_file(tmp_path / f"{name}-model" / "model.safetensors")
            assert own.keys() == weights.keys()
            assert max((own[key] - weights[key]).abs().max().item() for key in own) <= 1e-5
            if objective in ("adapter", "int8"):
                adapters = [tmp_path / f"{run}-model" / "adapter" / "adapter_model.safetensors"
                            for run in (name, f"{objective}-torch-0")]  # fmt: skip
                one, other = map(load_file, adapters)
                assert max((one[key] - other[key]).abs().max().item() for key in one) <= 1e-5
            for (loss, _), (expected, _) in zip(report["resumed"], report["losses"][5:], strict=True):
                assert loss == pytest.approx(expected, abs=1e-6), name
            assert torch.allclose(torch.tensor(report["scores"]), torch.tensor(plain["scores"]), atol=1e-5)
        if processes > 1:
            parallel = json.loads((tmp_path / "parallel" / f"{objective}-torch-0.json").read_text())
            for step, expected in zip(parallel["losses"], plain["losses"], strict=True):
                assert step == pytest.approx(expected, rel=1e-5)
            own = load_file(tmp_path / "parallel" / f"{objective}-torch-0-model" / "model.safetensors")
            assert max((own[key] - weights[key]).abs().max().item() for key in weights) <= 1e-5
        if objective in (
            "adapter",
            "int8",
        ):  # at their rate each has moved by far more than the ranks may differ
            assert plain["losses"][0][0] - plain["losses"][-1][0] > 0.1
        if objective == "language":
            source = ModelSource(path=str(tmp_path / f"{objective}-deepspeed-3-model"))
            load_policy(source, load_tokenizer(source))


def gradients_of_two_ranks(rank, folder):
    """Three parameters in buckets of at most four numbers; the second has no gradient on rank 1, the third on none."""
    store = dist.FileStore(f"{folder}/store", 2)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=2)
    parameters = [torch.nn.Parameter(torch.zeros(shape)) for shape in ((3, 2), (2,), (2,))]
    parameters[0].grad = torch.arange(6.0).view(3, 2) * (1 if rank == 0 else 10)
    if rank == 0:
        parameters[1].grad = torch.tensor([5.0, 7.0])
    sum_gradients(parameters, bucket_elements=4)
    found = [None if parameter.grad is None else parameter.grad.tolist() for parameter in parameters]
    Path(f"{folder}/rank{rank}.json").write_text(json.dumps(found))
    dist.destroy_process_group()


def test_gradients_become_their_sum_over_ranks(tmp_path):
    torch.multiprocessing.spawn(gradients_of_two_ranks, args=(str(tmp_path),), nprocs=2)
    for rank in (0, 1):
        assert json.loads((tmp_path / f"rank{rank}.json").read_text()) == [
            [[0, 11], [22, 33], [44, 55]], [5, 7], None,
        ]  # fmt: skip
