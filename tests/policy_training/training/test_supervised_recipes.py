"""SFT and pretraining on tiny models: what they count, and that they learn."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from policy_training.training.config import LanguageModelConfig, LanguageModelDataOptions
from policy_training.training.supervised import pretrain, sft
from tests.policy_training.training.conftest import BATCH, create_run, in_process, launch, sft_config
from tests.policy_training.training.recipe_runs import LONG_SFT, SFT_ROWS, tensors


def test_sft_learns_and_counts_its_demonstrations_and_texts(tmp_path):
    whole = create_run(tmp_path / "whole", "sft", sft_config(**LONG_SFT), **SFT_ROWS)
    launch(whole)
    result = whole.result()
    assert result["loss_after"] < 0.7 * result["loss_before"]
    assert result["steps"] == 120 == len(whole.metrics()[0])
    assert (result["train_examples"], result["heldout_examples"]) == (56, 4)
    # 120 steps of 14 demonstrations each, and for 85 of them 15 texts: 1680 x 15 / 85 = 296.5.
    assert result["text_rows"] == 296
    assert whole.status().outcome == "done"
    assert (
        AutoModelForCausalLM.from_pretrained(whole.path / "model").config.vocab_size
        == result["vocabulary_size"]
    )


def test_packed_and_separate_conversations_learn_the_same_from_a_whole_epoch(tmp_path):
    """One step over all the data: the loss and gradient are the same however the rows are laid out."""
    runs = []
    for packing in (False, True):
        data = LanguageModelDataOptions(packing=packing, examples_per_step=1000, max_length=96, steps=1)
        run = create_run(tmp_path / str(packing), "sft", sft_config(data=data), **SFT_ROWS)
        in_process(sft, LanguageModelConfig, run)
        runs.append(run)
    one, two = (run.metrics()[0][0] for run in runs)
    assert one["tokens"] == two["tokens"]
    assert one["loss"] == pytest.approx(two["loss"], abs=1e-5)
    assert one["gradient_norm"] == pytest.approx(two["gradient_norm"], rel=1e-4)
    left, right = tensors(runs[0]), tensors(runs[1])
    assert all(torch.allclose(left[key], right[key], atol=1e-5) for key in left)
    assert [run.result()["layout"] for run in runs] == ["padded", "shared_prompt"]


def test_sft_counts_response_tokens_only(tmp_path):
    """The held-out loss of the untrained model equals a plain computation over the response tokens, EOS included."""
    run = create_run(
        tmp_path / "run",
        "sft",
        sft_config(data=LanguageModelDataOptions(steps=1, examples_per_step=4)),
        **SFT_ROWS,
    )
    result = in_process(sft, LanguageModelConfig, run)
    from learning.models.tokenization import encode_prompt, encode_response
    from learning.models.tokenizers import load_tokenizer

    tokenizer = load_tokenizer(run.path / "model")
    model = AutoModelForCausalLM.from_pretrained(run.path / "model")
    total, count = 0.0, 0
    for row in [r for r in SFT_ROWS["demonstrations"] if r["split"] != "train"]:
        prompt = encode_prompt(tokenizer, row["prompt"], BATCH.max_prompt_tokens)
        response = encode_response(tokenizer, row["response"], BATCH.max_response_tokens)
        with torch.no_grad():
            logits = model(torch.tensor([prompt + response])).logits[0].double().numpy()
        logits -= logits.max(axis=1, keepdims=True)
        logprobs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        for place, token in enumerate(response):
            total -= logprobs[len(prompt) - 1 + place, token]
            count += 1
        assert response[-1] == tokenizer.eos_token_id
    assert result["loss_after"] == pytest.approx(total / count, abs=1e-5)


@pytest.mark.parametrize("source", ["texts", "demonstrations"])
def test_pretraining_counts_every_token(tmp_path, source):
    from learning.interface.record_schemas import TEXTS
    from learning.interface.run_directory import RunDirectory

    if source == "texts":
        rows = [
            {"text": f"{row['prompt'][0]['content']} {row['response']} " * 3, "split": row["split"]}
            for row in SFT_ROWS["demonstrations"]
        ]
        run = RunDirectory.create(
            tmp_path / "run",
            command="policy_training.training.supervised.pretrain",
            config=sft_config(
                data=LanguageModelDataOptions(packing=True, max_length=64, examples_per_step=4, steps=20)
            ),
            inputs={"texts": (rows, TEXTS)},
        )
    else:
        run = create_run(
            tmp_path / "run", "pretrain", sft_config(), demonstrations=SFT_ROWS["demonstrations"]
        )
    result = in_process(pretrain, LanguageModelConfig, run)
    assert result["loss_after"] < 0.8 * result["loss_before"]
    if source == "texts":
        # A text longer than 40 tokens becomes several pieces, and every token but the very first is counted once.
        assert result["train_examples"] > sum(r["split"] == "train" for r in rows)
