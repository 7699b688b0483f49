"""What other trainers' documentation says of the rows they read, as validators. Independent of our writers.

OpenRLHF 0.8: README.md, “Prepare Datasets” and “Reward Model Training” (--prompt_key, --chosen_key, --rejected_key,
--apply_chat_template, --input_template), and openrlhf/datasets/reward_dataset.py for margin,
https://github.com/OpenRLHF/OpenRLHF. NeMo RL 0.6: https://docs.nvidia.com/nemo/rl/0.6.0/guides/dpo.html and rm.html,
“Datasets”; a file has any number of completions, DPO and reward models take two, each a single response.
"""

import math

ROLES = ("system", "user", "assistant", "tool")


def check_messages(value, where):
    assert isinstance(value, list) and value, f"{where}: no messages"
    for message in value:
        assert message["role"] in ROLES, f"{where}: role {message['role']!r}"
        assert isinstance(message["content"], str), f"{where}: content {message['content']!r}"


def check_openrlhf(row, *, chat):
    """`chat`: as --apply_chat_template wants it (prompt + chosen is a conversation), else prompt + chosen is a text."""
    for key in ("prompt", "chosen", "rejected"):
        if chat:
            check_messages(row[key], key)
        else:
            assert isinstance(row[key], str), f"{key}: {row[key]!r}"
    if chat:
        for key in ("chosen", "rejected"):
            conversation = row["prompt"] + row[key]
            assert conversation[len(row["prompt"])]["role"] == "assistant", (
                f"{key} does not answer the prompt"
            )
            assert conversation[-1]["role"] == "assistant"
    assert row["chosen"] != row["rejected"], "nothing is preferred"
    # null and absent are read as 0: no margin.
    margin = row.get("margin") or 0
    assert isinstance(margin, int | float) and math.isfinite(margin) and margin >= 0, f"margin: {margin!r}"


def check_nemo(row, *, pairs):
    """`pairs`: as its DPO and reward-model trainers want it."""
    check_messages(row["context"], "context")
    assert row["context"][-1]["role"] in ("user", "tool"), "context: nobody asks"
    completions = row["completions"]
    assert len(completions) == 2 if pairs else len(completions) >= 2, f"{len(completions)} completions"
    ranks = [completion["rank"] for completion in completions]
    assert all(type(rank) is int and rank >= 0 for rank in ranks), f"ranks: {ranks}"
    assert len(set(ranks)) > 1 or not pairs, "the lowest rank is preferred, and there is only one"
    for completion in completions:
        check_messages(completion["completion"], "completion")
        assert completion["completion"][0]["role"] == "assistant", "completion: the assistant does not begin"
        assert len(completion["completion"]) == 1 or not pairs, "completion: more than a single response"
    if "task_name" in row:
        assert isinstance(row["task_name"], str) and row["task_name"]
