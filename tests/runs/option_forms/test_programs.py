"""The same by the API: a run that asks what the command asks; a path of the server is no setting."""

import pytest
from django.core.management import call_command

from annotation.importing.contents.actions import import_demonstrations
from runs.models import Run
from tests.annotation.importing.conftest import write_rows  # noqa: F401
from tests.policy_training.test_forms import same

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def call(program, project, max_, write_rows):  # noqa: F811
    rows = [{"prompt": f"Question {n}?", "response": f"Answer {n}."} for n in range(9)]
    import_demonstrations(actor=max_, project=project, path=write_rows(rows, "shown.jsonl"))
    return program(max_, project)


def test_a_program_asks_what_the_command_asks_once_for_each_key(call):
    body = {
        "name": "new", "preset": "sft_secrets", "processes": 2,
        "settings": {"data.epochs": 1.5, "data.every_assistant_turn": False, "optimizer.schedule": "linear"},
    }  # fmt: skip
    answers = [
        call("POST", "projects/kitchen/policies/fine-tune", body, Idempotency_Key="one") for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [201, 201]
    run = Run.objects.get()
    assert [answer.json()["id"] for answer in answers] == [run.pk, run.pk]
    call_command(
        "fine_tune", "kitchen", "new", "--preset", "sft_secrets", "--processes", "2", "--set", "data.epochs=1.5",
        "data.every_assistant_turn=false", "optimizer.schedule=linear", verbosity=0,
    )  # fmt: skip
    assert same(run, Run.objects.latest("pk"))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"data.steps": "many"}, "config.data.steps: expected a whole number"),
        ({"data.steps": 0}, "steps must be at least 1, found 0"),
        ({"model.source.path": "/etc"}, "There is no setting model.source.path here."),
        ({"tokenizer.path": "/etc"}, "There is no setting tokenizer.path here."),
        ({"data": {"steps": 3}}, "There is no setting data here."),
    ],
)
def test_what_does_not_fit_is_refused(call, changed, said):
    answer = call("POST", "projects/kitchen/policies/fine-tune", {"name": "new", "settings": changed})
    assert answer.status_code == 400 and said in answer.content.decode()
    assert not Run.objects.exists()


def test_presets_are_told_with_the_source_of_every_value(call):
    answer = call("GET", "projects/kitchen/policies/presets").json()["presets"]
    llama = next(preset for preset in answer if preset["name"] == "sft_llama2")
    assert llama["settings"]["optimizer.learning_rate"] == {"value": 2e-5, "source": "3.1"}
    answer = call("GET", "projects/kitchen/reward-models/presets").json()["presets"]
    assert {preset["name"] for preset in answer} == {
        "instructgpt", "llama2", "n_plus", "secrets", "stiennon", "tiny",
    }  # fmt: skip
