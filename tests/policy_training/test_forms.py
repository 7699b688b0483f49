"""The forms that train store what the commands store, and refuse what these refuse, in the same words."""

import re

import pytest
from django.core.management import call_command
from django.forms.models import model_to_dict
from django.urls import reverse

from annotation.importing.contents.actions import import_demonstrations, import_texts
from policy_training.models import Policy
from policy_training.previews import steps_asked
from runs.models import Run
from tests.policy_training.test_commands import refused

pytestmark = [pytest.mark.db, pytest.mark.sqlite_only, pytest.mark.django_db]


@pytest.fixture
def taught(project, max_, write_rows):
    """Twenty demonstrations and a text."""
    rows = [{"prompt": f"Question {n}?", "response": f"Answer {n}."} for n in range(20)]
    import_demonstrations(actor=max_, project=project, path=write_rows(rows, "shown.jsonl"))
    texts = write_rows([{"text": "Salt is salt.", "split": "train"}], "texts.jsonl")
    import_texts(actor=max_, project=project, path=texts, licence="CC0")


@pytest.fixture
def at(project):
    return lambda name: reverse(f"policies:{name}", args=[project.slug])


def shown(client, address, **asked):
    """What a browser would send if nothing was changed: every field as the page shows it."""
    form = client.get(address, asked).context["form"]
    values = {field.html_name: field.value() for field in form}
    return {name: getattr(value, "pk", value) for name, value in values.items() if value is not None}


def same(one: Run, other: Run) -> bool:
    """Rows that ask the same, whenever and whoever asked."""
    left, right = (
        {
            name: value
            for name, value in model_to_dict(run).items()
            if name not in ("id", "directory", "run_after")
        }
        for run in (one, other)
    )
    assert left == right
    return True


def started(answer) -> Run:
    assert answer.status_code == 302, answer.context["form"].errors
    run = Run.objects.latest("pk")
    assert answer.url == reverse("runs:run", args=[run.project.slug, run.pk])
    return run


@pytest.mark.parametrize("preset", ["tiny", "sft_secrets", "sft_llama2", "sft_instructgpt"])
def test_every_preset_unchanged_is_what_the_command_stores(client, taught, max_, at, preset):
    client.force_login(max_)
    run = started(
        client.post(at("fine_tune"), shown(client, at("fine_tune"), preset=preset) | {"name": "new"})
    )
    call_command("fine_tune", "kitchen", "new", "--preset", preset, verbosity=0)
    assert same(run, Run.objects.latest("pk"))


def test_changed_values_a_start_and_processes_are_what_the_command_stores(client, taught, policy, max_, at):
    client.force_login(max_)
    changed = {
        "name": "new", "start": policy.pk, "processes": 2, "data.steps": "7", "data.packing": "true",
        "optimizer.learning_rate": "3e-5", "data.every_assistant_turn": "true", "batch.max_micro_batch_tokens": "512",
        "optimizer.schedule": "linear", "data.max_demonstration_tokens": "90", "runtime.device": "cuda",
    }  # fmt: skip
    run = started(client.post(at("fine_tune"), shown(client, at("fine_tune")) | changed))
    call_command(
        "fine_tune", "kitchen", "new", "--start", "tiny", "--processes", "2", "--device", "cuda",
        "--every-assistant-turn", "--max-tokens", "90", "--set", "data.steps=7", "data.packing=true",
        "optimizer.learning_rate=3e-5", "batch.max_micro_batch_tokens=512", "optimizer.schedule=linear", verbosity=0,
    )  # fmt: skip
    assert same(run, Run.objects.latest("pk"))
    assert (run.config["data"]["steps"], run.parameters["parent"]) == (7, policy.pk)


@pytest.mark.parametrize("data", ["texts", "demonstrations"])
def test_pretraining_too(client, taught, max_, at, data):
    client.force_login(max_)
    sent = {"name": "new", "learn_from": data, "model.source.from_scratch.hidden_size": "32"}
    run = started(client.post(at("pretrain"), shown(client, at("pretrain")) | sent))
    call_command(
        "pretrain", "kitchen", "new", "--data", data, "--set", "model.source.from_scratch.hidden_size=32",
        verbosity=0,
    )  # fmt: skip
    assert same(run, Run.objects.latest("pk"))


@pytest.mark.parametrize(
    ("path", "value", "sentence"),
    [
        ("data.steps", "many", "config.data.steps: expected a whole number, found 'many' (str)"),
        (
            "data.epochs",
            "0",
            "config.data.epochs: 0 would change nothing, because data.steps says how long it trains",
        ),
        ("optimizer.learning_rate", "", "config.optimizer.learning_rate: expected a number, found '' (str)"),
        ("runtime.zero_stage", "2", 'config.runtime: zero_stage 2 needs backend "deepspeed", found "torch"'),
        ("data.texts_share", "1", "config.data: texts_share must be at least 0 and below 1, found 1"),
    ],
)
def test_a_wrong_value_is_refused_in_the_commands_words_at_its_field(
    client, taught, max_, at, path, value, sentence
):
    client.force_login(max_)
    answer = client.post(at("fine_tune"), shown(client, at("fine_tune")) | {"name": "new", path: value})
    assert answer.status_code == 422 and not Run.objects.exists()
    form = answer.context["form"]
    assert form.non_field_errors()[0].startswith(sentence)
    assert form.errors[path]
    assert refused("fine_tune", "kitchen", "new", "--set", f"{path}={value}").startswith(sentence)
    # What was typed stands there still.
    assert (
        re.search(rf'name="{re.escape(path)}" value="{value}"', answer.content.decode())
        or not value
        or (path == "runtime.zero_stage")
    )


def test_a_preset_that_was_chosen_without_its_values_being_shown_counts_with_its_own(
    client, taught, max_, at
):
    client.force_login(max_)
    sent = shown(client, at("fine_tune"), preset="tiny") | {
        "name": "new",
        "preset": "sft_secrets",
        "data.steps": "9",
    }
    run = started(client.post(at("fine_tune"), sent))
    call_command(
        "fine_tune", "kitchen", "new", "--preset", "sft_secrets", "--set", "data.steps=9", verbosity=0
    )
    assert same(run, Run.objects.latest("pk"))


def test_the_page_shows_every_constant_with_its_source_and_what_is_read(client, taught, max_, at):
    client.force_login(max_)
    page = client.get(at("fine_tune"), {"preset": "sft_llama2"})
    text = page.content.decode()
    assert "Llama 2 (Touvron et al. 2023), 3.1" in text
    assert re.search(r'name="optimizer.learning_rate" value="2e-05"', text)
    part = client.get(at("fine_tune"), {"part": "options", "preset": "sft_secrets"}).content.decode()
    assert "<html" not in part and 'value="9.5e-06"' in part
    preview = client.get(at("fine_tune"), shown(client, at("fine_tune")) | {"part": "preview", "name": "x"})
    facts = dict(preview.context["preview"]["facts"])
    demonstrations = {"train": 0, "validation": 0, "test": 0}
    for split in max_.memberships.get().project.demonstrations.values_list("prompt__split", flat=True):
        demonstrations[split] += 1
    assert facts["Demonstrations to learn from"] == demonstrations["train"]
    assert facts["Held out, to watch the loss"] == demonstrations["validation"]
    assert facts["Optimizer steps"] == 400  # of the preset tiny


def test_steps_are_counted_as_the_trainer_does():
    def steps(examples, **data):
        return steps_asked({"data": {"examples_per_step": 8, "epochs": 2, "steps": None} | data}, examples)

    # 20 rows are steps of 8, 8 and 4.
    assert steps(20) == 6 and steps(20, epochs=1.5) == 5 and steps(20, steps=3) == 3 and steps(1) == 2
    assert steps(20, packing=True) is None and steps(20, texts_share=0.1) is None


def test_an_earlier_run_is_an_example(client, taught, policy, max_, at, olga):
    call_command("fine_tune", "kitchen", "new", "--start", "tiny", "--set", "data.steps=11", verbosity=0)
    run = Run.objects.get()
    client.force_login(max_)
    sent = shown(client, at("fine_tune"), run=run.pk)
    assert (sent["data.steps"], sent["name"], sent["start"]) == ("11", "new", policy.pk)
    again = started(client.post(at("fine_tune"), sent))
    assert same(run, again)
    assert f"?run={run.pk}" in client.get(reverse("runs:run", args=["kitchen", run.pk])).content.decode()
    # Another project's is none.
    client.force_login(olga)
    garden = reverse("policies:fine_tune", args=["garden"])
    assert shown(client, garden, run=run.pk)["data.steps"] == "400"


def test_a_taken_name_another_projects_start_and_nothing_to_learn_from_are_refused(
    client, policy, project, max_, olga, at
):
    client.force_login(max_)
    answer = client.post(at("fine_tune"), shown(client, at("fine_tune")) | {"name": "tiny"})
    assert answer.status_code == 422 and "already" in answer.context["form"].non_field_errors()[0]
    answer = client.post(at("pretrain"), shown(client, at("pretrain")) | {"name": "new"})
    assert "no texts to train on" in answer.context["form"].non_field_errors()[0]
    client.force_login(olga)
    garden = reverse("policies:fine_tune", args=["garden"])
    answer = client.post(garden, shown(client, garden) | {"name": "new", "start": policy.pk})
    assert "start" in answer.context["form"].errors and not Run.objects.exists()
    assert Policy.objects.count() == 1
