"""Cards of reward models and policies as they leave the site, their downloads, and the links from one to the next."""

import io
import json
import re
import zipfile

import pytest
import yaml
from django.urls import reverse

from annotation.datasets.actions import freeze_dataset
from policy_training.models import Policy
from policy_training.outgoing.model_card import policy_card
from rewardmodel.model_card import reward_model_card
from rewardmodel.models import RewardModel
from runs.models import Artifact, Run
from tests.annotation.exporting.conftest import bring, ranked_rows, write_rows  # noqa: F401

pytestmark = [pytest.mark.db, pytest.mark.django_db]
REPORT = {
    "accuracy": 0.75, "interval": [0.5, 0.875], "n": 40, "longer_wins_accuracy": 0.5, "calibration_error": 0.0625,
    "by_grade": {"3": {"accuracy": 1.0, "interval": [0.8, 1.0], "n": 10}, "0": {"accuracy": None, "n": 0}},
    "calibration": [{"low": 0.5, "high": 0.55, "n": 4, "confidence": 0.525, "accuracy": 0.25}],
    "by_criterion": {"helpful": {"accuracy": 0.75, "interval": [0.5, 0.875], "n": 40}},
}  # fmt: skip


@pytest.fixture
def models(project, max_, bring, criterion, settings, tmp_path):  # noqa: F811
    """base (from the Hub) -> a reward model on a dataset -> a policy trained with it."""
    settings.DATA_DIR = tmp_path / "data"
    bring(list(ranked_rows(12)), "ranked")
    dataset = freeze_dataset(actor=max_, project=project, name="tea", licence="cc-by-4.0")

    def artifact(kind, name):
        folder = settings.DATA_DIR / "models" / name
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_bytes(name.encode() * 10)
        (folder / ".hidden").write_text("not this")
        return Artifact.objects.create(
            project=project, kind=kind, path=f"models/{name}", sha256="a" * 64, size_bytes=10
        )

    def run(kind, label, **config):
        return Run.objects.create(
            project=project, kind=kind, kind_label=label, title="A run", config=config, requested_by=max_
        )

    def policy(name, **fields):
        source = project.sources.create(kind="policy", name=name)
        return Policy.objects.create(
            project=project, name=name, artifact=artifact("policy", name), source=source, **fields
        )

    hub = {"policy": {"model": "owner/small", "commit": "b" * 40, "revision": None}}
    base = policy("base", report={"imported": {"hub": hub, "path": "/srv/models/base"}})
    (base.artifact.absolute_path / "README.md").write_text("As it came.")
    reward_model = RewardModel.objects.create(
        project=project, name="judge | 1", artifact=artifact("reward_model", "judge"), dataset=dataset, report=REPORT,
        produced_by=run("rewardmodel.train", "Reward model training", model={"source": {"path": "/srv/base"}},
                        objective={"ranking_loss": "pairwise"}, runtime={"device": "cpu"}),
        base_artifact=base.artifact, licence="Apache-2.0", notes="For *tea* alone.",
    )  # fmt: skip
    reward_model.criteria.add(criterion)
    (reward_model.artifact.absolute_path / "README.md").write_text(
        "---\ntags:\n- x\n---\n\n# A reward model\n\nRead it so.\n\n| a | b |\n|---|---|\n\n```python\nscore\n```\n"
    )
    trained = policy(
        "next", parent=base, reward_model=reward_model, produced_by=run("policy.ppo", "PPO", steps=20),
        report={"score_before": 0.125, "score_after": 0.5, "kl": 1.25, "eos_rate_after": 0.975, "steps": 20},
    )  # fmt: skip
    return dataset, base, reward_model, trained


def read(card):
    _, head, body = card.split("---\n", 2)
    return yaml.safe_load(head), body


def test_the_card_of_a_reward_model(models):
    head, body = read(reward_model_card(models[2]))
    assert head == {
        "license": "apache-2.0", "library_name": "transformers", "pipeline_tag": "text-classification",
        "tags": ["reward-model", "roundtable"],
    }  # fmt: skip
    assert "For *tea* alone." in body and r"# judge \| 1" in body
    for line in (
        "| data | tea: 12 judgments on 12 tasks |",
        "| licence of the data | cc-by-4.0 |",
        "| base | the policy base |",
        "| all | 40 | 75.0 % | 50.0 % to 87.5 % |",
        "| grade 3 | 10 | 100.0 % | 80.0 % to 100.0 % |",
        "| 50 to 55 % | 4 | 52.5 % | 25.0 % |",
        "- Expected calibration error: 0.0625.",
        "## How it scores\n\nRead it so.\n\n```python",
    ):
        assert line in body, line
    assert '"ranking_loss": "pairwise"' in body
    # Nothing of this machine.
    assert "/srv" not in body and "device" not in body and "| a | b |" not in body


def test_the_card_of_a_policy(models):
    head, body = read(policy_card(models[3]))
    assert (
        head["base_model"] == "owner/small"
        and head["tags"] == ["ppo", "roundtable"]
        and "license" not in head
    )
    for line in (
        "| descends from | base |",
        "| began as | owner/small |",
        r"| reward model | judge \| 1 |",
        "| mean reward after | 0.5 |",
        "| answers that ended, after | 97.5 % |",
        "Licence: not said.",
    ):
        assert line in body, line
    head, body = read(policy_card(models[1]))
    assert head["base_model"] == "owner/small" and "Imported." in body and "/srv" not in body


def test_a_card_says_that_its_model_was_trained_on_a_base_in_8_bit(models):
    for model, card in ((models[2], reward_model_card), (models[3], policy_card)):
        assert "8 bit" not in card(model)
        folder = model.artifact.absolute_path / "adapter"
        folder.mkdir()
        for precision in ("full", "int8"):
            described = {"options": {"rank": 4, "base_precision": precision}, "base": {}}
            (folder / "base.json").write_text(json.dumps(described))
            assert ("| its base under LoRA was | in 8 bit (int8): " in card(model)) == (precision == "int8")


def test_downloads_are_the_folder_with_the_card(client, project, max_, models):
    client.force_login(max_)
    _, base, reward_model, _ = models
    for model, app, card in (
        (reward_model, "reward_models", reward_model_card),
        (base, "policies", policy_card),
    ):
        answers = [
            client.get(reverse(f"{app}:archive", args=[project.slug, model.pk])),
            client.get(f"/api/v1/projects/{project.slug}/{app.replace('_', '-')}/{model.pk}/archive"),
        ]
        contents = [answer.getvalue() for answer in answers]
        assert contents[0] == contents[1]
        with zipfile.ZipFile(io.BytesIO(contents[0])) as archive:
            found = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
        name = model.artifact.path.rpartition("/")[2]
        expected = {"README.md": card(model).encode(), "model.safetensors": name.encode() * 10}
        if model == base:
            expected["ORIGINAL_README.md"] = b"As it came."
        assert found == expected


def test_what_others_are_told_is_stored_and_shown(client, project, max_, models):
    client.force_login(max_)
    for model, app, name in ((models[2], "reward_models", "reward_model"), (models[3], "policies", "policy")):
        page = reverse(f"{app}:{name}", args=[project.slug, model.pk])
        shown = client.get(page).context["form"]["shown"].value()
        sent = {"licence": " MIT ", "notes": "Not for medicine.", "shown": shown}
        describe = reverse(f"{app}:describe", args=[project.slug, model.pk])
        answer = client.post(describe, sent, follow=True)
        text = answer.content.decode()
        model.refresh_from_db()
        assert (model.licence, model.notes) == ("MIT", "Not for medicine.")
        assert "Model card" in text and "Not for medicine." in text, name
        address = f"/api/v1/projects/{project.slug}/{app.replace('_', '-')}/{model.pk}"
        answer = client.patch(address, {"licence": "apache-2.0"}, content_type="application/json")
        assert (answer.json()["licence"], answer.json()["notes"]) == ("apache-2.0", "Not for medicine.")
        # Of two who describe it the slower sees both versions, and overwrites knowingly or not at all.
        both = client.post(describe, sent | {"notes": "For all."})
        assert both.status_code == 409 and both.context["differences"] == [
            ("Licence", "apache-2.0", " MIT "), ("Notes", "Not for medicine.", "For all."),
        ]  # fmt: skip
        model.refresh_from_db()
        assert model.licence == "apache-2.0"
        knowingly = {"notes": "For all.", "shown": both.context["form"]["shown"].value()}
        assert client.post(describe, sent | knowingly).status_code == 302
        model.refresh_from_db()
        assert (model.licence, model.notes) == ("MIT", "For all.")
        etag = client.get(address)["ETag"]
        change = {"data": {"notes": "X"}, "content_type": "application/json", "headers": {"If-Match": etag}}
        assert [client.patch(address, **change).status_code for _ in range(2)] == [200, 412]


def test_every_page_leads_to_what_came_before_and_after(client, project, max_, models):
    client.force_login(max_)
    dataset, base, reward_model, trained = models
    slug = project.slug
    pages = {
        "dataset": reverse("data:dataset", args=[slug, dataset.pk]),
        "base": reverse("policies:policy", args=[slug, base.pk]),
        "reward model": reverse("reward_models:reward_model", args=[slug, reward_model.pk]),
        "policy": reverse("policies:policy", args=[slug, trained.pk]),
    }
    leads = {
        name: {
            other
            for other, address in pages.items()
            if other != name and re.search(f'href="{address}"', client.get(pages[name]).content.decode())
        }
        for name in pages
    }
    assert leads == {
        "dataset": {"reward model", "policy"},
        "base": {"reward model", "policy"},
        "reward model": {"dataset", "base", "policy"},
        "policy": {"dataset", "base", "reward model"},
    }
