"""What fine-tuning mixes in and leaves out: counts against the data itself."""

import math

import pytest

from learning.interface.options import UserError
from learning.models.tokenizers import load_tokenizer
from policy_training.training.config import LanguageModelConfig, LanguageModelDataOptions
from policy_training.training.supervised import pretrain, sft
from tests.policy_training.training.conftest import (
    create_run,
    demonstration_rows,
    in_process,
    sft_config,
    text_rows,
)


def run_sft(path, data, **rows):
    run = create_run(path, "sft", sft_config(data=data), **rows)
    return run, in_process(sft, LanguageModelConfig, run)


@pytest.mark.parametrize("packing", [False, True])
def test_texts_have_their_share_of_the_rows_and_every_token_of_them_counts(tmp_path, packing):
    """A tenth: after d rows of demonstrations d / 9 of texts, to half a row, over a run of several epochs."""
    data = LanguageModelDataOptions(
        examples_per_step=10, steps=12, texts_share=0.1, packing=packing, max_length=60
    )
    run, result = run_sft(
        tmp_path / "run",
        data,
        demonstrations=demonstration_rows(64),
        texts=text_rows(7) + text_rows(3, heldout=3),
    )
    if not packing:
        # 60 demonstrations, 9 a step: seven steps an epoch, the last of them 6; in twelve steps 60 + 45.
        assert result["text_rows"] == math.floor(105 / 9 + 0.5) == 12
        tokenizer = load_tokenizer(run.path / "model")
        lengths = [len(tokenizer.encode(row["text"], add_special_tokens=False)) + 1 for row in text_rows(7)]
        # Of seven texts twelve draws: each once, five of them again.
        assert sum(lengths) < result["text_tokens"] < 2 * sum(lengths)
    rows = run.metrics()[0]
    assert sum(row["text_tokens"] for row in rows) == result["text_tokens"] > 0
    assert {row["text_tokens"] > 0 for row in rows} == {True} or packing
    assert result["tokens"] == sum(row["tokens"] for row in rows)


def test_without_a_share_texts_change_nothing(tmp_path):
    data = LanguageModelDataOptions(examples_per_step=16, steps=3)
    plain, _ = run_sft(tmp_path / "plain", data, demonstrations=demonstration_rows(30))
    given, result = run_sft(
        tmp_path / "given", data, demonstrations=demonstration_rows(30), texts=text_rows(5)
    )
    assert "text_rows" not in result
    assert [row["loss"] for row in plain.metrics()[0]] == [row["loss"] for row in given.metrics()[0]]


def test_demonstrations_outside_the_limits_are_left_out_and_said(tmp_path):
    """The limits count the response's tokens in the policy's tokenizer, without the end."""
    rows = [
        row | {"response": "so " * (n % 7) + row["response"]}
        for n, row in enumerate(demonstration_rows(40, heldout=8))
    ]
    data = LanguageModelDataOptions(examples_per_step=1000, steps=1)
    first, _ = run_sft(tmp_path / "first", data, demonstrations=rows)
    tokenizer = load_tokenizer(first.path / "model")
    lengths = [len(tokenizer.encode(row["response"], add_special_tokens=False)) for row in rows]
    least, most = min(lengths) + 1, max(lengths) - 1
    inside = [least <= length <= most for length in lengths]
    assert 0 < sum(inside) < 40
    data = LanguageModelDataOptions(
        examples_per_step=1000, steps=1, min_demonstration_tokens=least, max_demonstration_tokens=most
    )
    run, result = run_sft(tmp_path / "second", data, demonstrations=rows)
    heldout_out, train_out = 8 - sum(inside[:8]), 32 - sum(inside[8:])
    assert result["left_out_by_length"] == {"train": train_out, "heldout": heldout_out}
    assert (result["train_examples"], result["heldout_examples"]) == (32 - train_out, 8 - heldout_out)
    assert result["tokens"] == sum(
        length + 1 for length, kept in zip(lengths[8:], inside[8:], strict=True) if kept
    )
    assert run.status().notes == [
        f"{train_out} of 32 training and {heldout_out} of 8 held-out demonstrations are left out: their responses do "
        f"not have {least} to {most} tokens."
    ]


@pytest.mark.parametrize(
    ("options", "rows", "sentence"),
    [
        ({"texts_share": 0.1}, {}, "texts_share: 0.1 needs inputs/texts"),
        ({"texts_share": 0.1}, {"texts": text_rows(2, heldout=2)}, "inputs/texts: no row has split 'train'"),
        (
            {"min_demonstration_tokens": 500},
            {},
            "none of the 6 training demonstrations has at least 500 tokens",
        ),
    ],
)
def test_what_cannot_be_mixed_in_or_kept_is_one_sentence(tmp_path, options, rows, sentence):
    data = LanguageModelDataOptions(steps=1, **options)
    with pytest.raises(UserError, match=sentence):
        run_sft(tmp_path / "run", data, demonstrations=demonstration_rows(10), **rows)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"texts_share": 1.0}, "texts_share must be at least 0 and below 1, found 1.0"),
        ({"min_demonstration_tokens": 24, "max_demonstration_tokens": 23}, "must be at least 24, found 23"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        LanguageModelDataOptions(**options)


def test_pretraining_refuses_options_that_only_fine_tuning_reads(tmp_path):
    data = LanguageModelDataOptions(steps=1, texts_share=0.1)
    run = create_run(tmp_path / "run", "pretrain", sft_config(data=data), texts=text_rows(4))
    with pytest.raises(UserError, match="config.data.texts_share: is of fine-tuning only"):
        in_process(pretrain, LanguageModelConfig, run)
