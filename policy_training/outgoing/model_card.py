"""The card of a policy as it leaves the site: its line of descent, figures of its training, settings and licence.

The folder is never changed once it is recorded: downloads and pushes have this card in place of a README of its own,
which an imported model may have brought, and which then goes along as ORIGINAL_README.md.
"""

from typing import Any

from django.conf import settings
from django.utils import translation

from policy_training.models import Policy
from rewardmodel.model_card import base_name
from runs.hub.files import HubFile, files_of_folder
from runs.model_cards import README, base_precision_rows, number, settings_block
from workspace.cards import cell, header, licence_fields, percent, table

ORIGINAL = "ORIGINAL_README.md"
# Names in reports of trainings -> what they say, in the order of the card.
_FIGURES = {
    "loss_before": "held-out loss before",
    "loss_after": "held-out loss after",
    "score_before": "mean reward before",
    "score_after": "mean reward after",
    "kl": "KL to the reference, nats an answer",
    "tokens_before": "mean tokens of an answer before",
    "tokens_after": "mean tokens of an answer after",
}
_SHARES = {
    "eos_rate_before": "answers that ended, before",
    "eos_rate_after": "answers that ended, after",
    "accuracy_after": "held-out pairs that it orders as people did",
}
_COUNTS = {
    "evaluation_responses": "answers it was measured on",
    "steps": "steps",
    "episodes": "episodes",
    "train_examples": "training examples",
    "tokens": "tokens trained on",
    "parameters": "parameters",
}


def policy_files(policy: Policy) -> list[HubFile]:
    """What a download or a push has. Raises UserError where the folder is gone."""
    folder = policy.artifact.absolute_path
    replaced = {README: policy_card(policy).encode()}
    if (folder / README).is_file():
        replaced[ORIGINAL] = (folder / README).read_bytes()
    return files_of_folder(folder, replaced)


def policy_card(policy: Policy) -> str:
    base = hub_base(line_of(policy)[0])
    kind = policy.produced_by.kind.rpartition(".")[2] if policy.produced_by else ""
    head = header(
        licence_fields(policy.licence)
        | {
            "library_name": "transformers",
            "pipeline_tag": "text-generation",
            "base_model": base,
            "tags": [tag for tag in (kind, "roundtable") if tag],
        }
    )
    return f"---\n{head}---\n\n{card_text(policy)}"


def card_text(policy: Policy) -> str:
    """The card without its header, as the policy's page shows it."""
    # In one language, whatever that of the page is: others read the card.
    with translation.override(settings.LANGUAGE_CODE):
        return _write_card(policy)


def _write_card(policy: Policy) -> str:
    notes = f"{policy.notes}\n\n" if policy.notes else ""
    made = policy.produced_by.kind_label if policy.produced_by else "Imported"
    settings = settings_block(policy.produced_by)
    return f"""# {cell(policy.name)}

{notes}A policy of the project {cell(policy.project.name)}: a language model that answers conversations.
{made or "Trained here"}.
Licence: {cell(policy.licence) or "not said"}.

## Where it comes from

{table(("", ""), _origin(policy))}
{_figures(policy.report)}{f"## Settings{chr(10) * 2}{settings}{chr(10)}" if settings else ""}## How it answers

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

path = "."  # this folder
tokenizer = AutoTokenizer.from_pretrained(path)
model = AutoModelForCausalLM.from_pretrained(path).eval()

prompt = [{{"role": "user", "content": "Why is the sky blue?"}}]
asked = tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_tensors="pt", return_dict=True)
answer = model.generate(**asked, max_new_tokens=256, do_sample=True)
print(tokenizer.decode(answer[0, asked["input_ids"].shape[1] :], skip_special_tokens=True))
```
"""


def line_of(policy: Policy) -> list[Policy]:
    """Its line of descent, oldest first, itself last; a parent is made before its child, so that there is no circle."""
    line = [policy]
    while (parent := line[0].parent) is not None:
        line.insert(0, parent)
    return line


def hub_base(oldest: Policy) -> str | None:
    """The name on the Hub of the model that the line began with, where it was fetched from there."""
    fetched = oldest.report.get("imported", {}).get("hub") or {}
    for row in fetched.values():
        if isinstance(row, dict) and isinstance(row.get("model"), str):
            return str(row["model"])
    return None


def _origin(policy: Policy) -> list[tuple[str, str]]:
    line = line_of(policy)
    rows = [("descends from", " → ".join(one.name for one in line[:-1]))]
    if base := hub_base(line[0]):
        rows.append(("began as", base))
    if reward_model := policy.reward_model:
        dataset = reward_model.dataset
        rows += [
            ("reward model", reward_model.name),
            ("which learned", ", ".join(row.name for row in reward_model.criteria.order_by("name"))),
            (
                "from the judgments",
                f"{dataset.label} (SHA-256 {dataset.filters.get('content_sha256', 'not said')})",
            ),
            ("and began as", base_name(reward_model)),
        ]
    if learned := policy.dataset:
        rows.append(
            (
                "learned from the judgments",
                f"{learned.label} (SHA-256 {learned.filters.get('content_sha256', 'not said')})",
            )
        )
    rows += [
        *base_precision_rows(policy.artifact.absolute_path),
        ("trained" if policy.produced_by else "imported", f"{policy.created_at:%Y-%m-%d}"),
        ("SHA-256 of the model's folder", policy.artifact.sha256),
    ]
    return [(what, said) for what, said in rows if said]


def _figures(report: dict[str, Any]) -> str:
    rows: list[tuple[str, object]] = []
    for names, say in ((_FIGURES, number), (_SHARES, percent), (_COUNTS, lambda value: f"{value:,}")):
        rows += [(what, say(report[name])) for name, what in names.items() if report.get(name) is not None]
    return f"## Figures of its training\n\n{table(('', ''), rows)}\n" if rows else ""
