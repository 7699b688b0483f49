"""Demonstrations of a length: counted in a policy's tokens, left out and said (Stiennon kept 24 to 48)."""

from io import StringIO

import pytest
from django.core.management import call_command

from annotation.models import Demonstration, Prompt
from policy_training.training.config import LanguageModelDataOptions
from policy_training.training.supervised.sft import keep_lengths
from tests.policy_training.test_commands import refused

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def test_responses_outside_the_limits_are_left_out_with_their_prompts(
    project,
    policy,
    tokenizer,
    write_rows,
):
    # A special token's text counts as the letters it is.
    texts = ["The fox is small. " * n for n in range(1, 9)] + ["<|eos|>" * 3]
    path = write_rows([{"prompt": f"Q{n}?", "response": text} for n, text in enumerate(texts)])
    lengths = [
        len(tokenizer(t, add_special_tokens=False, split_special_tokens=True)["input_ids"]) for t in texts
    ]
    least, most = sorted(lengths)[2], sorted(lengths)[6]
    inside = [least <= length <= most for length in lengths]
    assert 0 < sum(inside) < 9
    out = StringIO()
    call_command(
        "import_demonstrations", "kitchen", path, "--min-tokens", str(least), "--max-tokens", str(most),
        "--tokenizer", "tiny", stdout=out,
    )  # fmt: skip
    kept = [text for text, keep in zip(texts, inside, strict=True) if keep]
    assert list(Demonstration.objects.order_by("pk").values_list("response_text", flat=True)) == kept
    assert Prompt.objects.count() == len(kept)
    sentence = f"{9 - len(kept)} left out: responses without {least} to {most} tokens of the policy “tiny”"
    assert sentence in out.getvalue()
    # Fine-tuning counts alike.
    options = LanguageModelDataOptions(min_demonstration_tokens=least, max_demonstration_tokens=most)
    rows = [{"prompt": [{"role": "user", "content": "Q?"}], "response": text} for text in texts]
    again, left_out = keep_lengths(rows, tokenizer, options)
    assert ([row["response"] for row in again], left_out) == (kept, 9 - len(kept))


def test_limits_need_a_tokenizer_and_something_left(project, policy, write_rows):
    path = str(write_rows([{"prompt": "Q?", "response": "Yes."}]))
    common = ("import_demonstrations", "kitchen", path)
    assert "need --tokenizer POLICY" in refused(*common, "--min-tokens", "24")
    assert "read only with" in refused(*common, "--tokenizer", "tiny")
    assert "no policy “other”" in refused(*common, "--max-tokens", "4", "--tokenizer", "other")
    assert "at most --max-tokens" in refused(
        *common, "--min-tokens", "9", "--max-tokens", "8", "--tokenizer", "tiny"
    )
    assert "None of the 1 responses has at least 24 tokens of the policy “tiny”" in refused(
        *common, "--min-tokens", "24", "--tokenizer", "tiny"
    )
    assert not Prompt.objects.exists()
