"""ChatGPT's rule: a random model-written turn of a dialogue, ranked with alternatives that a policy samples."""

from collections import Counter
from io import StringIO

import pytest
from django.core.management import call_command
from django.urls import reverse
from django.utils import timezone

from annotation.importing.actions import take_back_import
from annotation.importing.readers.columns import ColumnMap
from annotation.importing.readers.dialogues import DialogueTurnReader
from annotation.importing.report import ImportRefused
from annotation.importing.tasks.actions import import_dialogue_turns
from annotation.models import Batch, Prompt, Response
from learning.interface.run_directory import RunDirectory
from policy_training.models import Policy
from policy_training.run_kinds import SAMPLE
from policy_training.training.config import SampleConfig
from policy_training.training.sampling import sample
from runs.models import Artifact, Run
from tests.policy_training.test_commands import refused
from tests.policy_training.test_forms import same, shown
from tests.policy_training.training.conftest import in_process

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def dialogue(number: int, answers: int = 3) -> dict:
    turns = [{"role": "system", "content": "Be kind."}]
    for place in range(answers):
        turns += [
            {"role": "user", "content": f"Question {place} of {number}?"},
            {"role": "assistant", "content": f"Answer {place} of {number}."},
        ]
    return {"messages": [*turns, {"role": "user", "content": "Bye."}]}


def read(rows, seed=0):
    reader = DialogueTurnReader(ColumnMap(DialogueTurnReader.fields, {}, format_name="dialogues"), seed=seed)
    return [reader.read(row, 1) for row in rows]


def test_turns_are_drawn_evenly_by_the_seed_and_the_dialogue_alone():
    rows = [dialogue(number) for number in range(600)]
    taken = read(rows)
    places = Counter(len(row["messages"]) for row in taken)
    # After a system turn the three answers have 2, 4 and 6 messages before them: 200 each, standard deviation 11.5.
    assert places.keys() == {2, 4, 6} and all(abs(count - 200) < 58 for count in places.values())
    for number, row in enumerate(taken):
        place = len(row["messages"]) // 2 - 1
        assert row["answers"] == [f"Answer {place} of {number}."]
        assert row["messages"] == rows[number]["messages"][: len(row["messages"])]
    assert read(rows[::-1])[::-1] == taken, "the order of the file does not matter"
    assert read(rows, seed=1) != taken


def test_only_turns_that_answer_somebody_and_say_something_are_taken():
    row = {
        "messages": [
            {"role": "assistant", "content": "Hello!"},
            {"role": "user", "content": "Hm?"},
            {"role": "assistant", "content": " "},
            {"role": "user", "content": "Well?"},
            {"role": "assistant", "content": "Part one."},
            {"role": "assistant", "content": "Part two."},
        ]
    }
    for seed in range(10):
        [taken] = read([row], seed=seed)
        assert len(taken["messages"]) == 4 and [turn["content"] for turn in taken["answers"][0]] == [
            "Part one.",
            "Part two.",
        ]


def test_dialogues_become_prompts_with_their_own_turn_as_an_answer(project, max_, write_rows):
    rows = [dialogue(number) for number in range(5)] + [dialogue(0)]
    path = write_rows(rows, "talks.jsonl")
    report = import_dialogue_turns(actor=max_, project=project, path=path, seed=3)
    assert report.counts == {
        "turns": 5,
        "sources": 1,
        "dialogues with the prompt of an earlier one, left out": 1,
    }
    members = project.prompt_sets.get(name="dialogues")
    assert members.purpose == "reward" and members.prompts.count() == 5
    for prompt in members.prompts.all():
        [response] = prompt.responses.all()
        asked = prompt.messages[-1]["content"]
        assert response.text == asked.replace("Question", "Answer").replace("?", ".")
        assert (response.source.kind, response.source.name) == ("import", "talks.jsonl")
    with pytest.raises(
        ImportRefused, match="has no new turn: 5 of 5 prompts are in the set “dialogues” already"
    ):
        import_dialogue_turns(actor=max_, project=project, path=path, seed=3)
    take_back_import(actor=max_, imported=project.imports.get(pk=report.import_id))
    assert not Prompt.objects.exists() and not Response.objects.exists()


def execute(run: Run) -> None:
    """What a worker does, in this process."""
    directory = RunDirectory.create(
        run.path, command=SAMPLE.command, config=run.config, inputs=SAMPLE.build_inputs(run)
    )
    result = in_process(sample, SampleConfig, directory)
    for _ in range(2):  # a worker may be told twice
        SAMPLE.save_result(run, result)


def test_from_dialogues_to_rankings_of_the_turn_and_its_alternatives(
    project,
    criterion,
    policy,
    write_rows,
    settings,
    tmp_path,
):
    settings.DATA_DIR = tmp_path
    path = write_rows([dialogue(number) for number in range(4)], "talks.jsonl")
    call_command(
        "import_prompts", "kitchen", path, "--from-dialogues", "--prompt-set", "talks", "--seed", "5"
    )
    out = StringIO()
    call_command(
        "sample_tasks", "kitchen", "tiny", "--prompt-set", "talks", "--samples", "3", "--overlap", "2",
        "--set", "sampling.max_prompt_tokens=48", "sampling.max_response_tokens=12", stdout=out,
    )  # fmt: skip
    run = Run.objects.get()
    assert "its answers are the draft batch “talks, tiny”" in out.getvalue()
    assert (run.processes, run.config.get("runtime")) == (1, None)
    execute(run)
    [batch] = Batch.objects.all()
    assert (batch.name, batch.kind, batch.overlap, batch.state) == ("talks, tiny", "ranking", 2, "draft")
    assert batch.tasks.count() == 4
    for task in batch.tasks.all():
        shown = [place.response for place in task.task_responses.all()]
        asked = task.prompt.messages[-1]["content"]
        assert shown[0].text == asked.replace("Question", "Answer").replace("?", ".")
        assert {response.source.name for response in shown[1:]} == {"tiny"}
        assert len({response.text for response in shown}) == len(shown) <= 4
    counts = Run.objects.get().parameters["task_counts"]
    assert counts == {"tasks": 4, "prompts without two different answers": 0}


def test_every_answer_is_a_task_of_its_own_where_they_are_to_be_rated(
    project, criterion, policy, write_rows, settings, tmp_path
):
    settings.DATA_DIR = tmp_path
    path = write_rows([dialogue(number) for number in range(2)], "talks.jsonl")
    call_command(
        "import_prompts", "kitchen", path, "--from-dialogues", "--prompt-set", "talks", "--seed", "5"
    )
    call_command(
        "sample_tasks", "kitchen", "tiny", "--prompt-set", "talks", "--responses", "1", "--open",
        "--set", "sampling.max_prompt_tokens=48", "sampling.max_response_tokens=12",
    )  # fmt: skip
    execute(Run.objects.get())
    [batch] = Batch.objects.all()
    # Nothing is asked of an answer alone yet: it waits.
    assert (batch.kind, batch.state) == ("rating", "draft")
    shown = [
        [place.response.source.name for place in task.task_responses.all()] for task in batch.tasks.all()
    ]
    assert sorted(shown) == [["talks.jsonl"], ["talks.jsonl"], ["tiny"], ["tiny"]]
    assert Run.objects.get().parameters["task_counts"] == {"tasks": 4}


def test_what_cannot_become_tasks_is_refused_before_a_run_is_queued(project, criterion, policy, write_rows):
    assert "no policy “nobody”" in refused("sample_tasks", "kitchen", "nobody", "--prompt-set", "talks")
    assert "no prompt set “talks”" in refused("sample_tasks", "kitchen", "tiny", "--prompt-set", "talks")
    path = write_rows([dialogue(0)], "talks.jsonl")
    call_command("import_prompts", "kitchen", path, "--from-dialogues", "--prompt-set", "talks", verbosity=0)
    common = ("sample_tasks", "kitchen", "tiny", "--prompt-set", "talks")
    divided = ("--samples", "2", "--set", "runtime.zero_stage=1")
    assert "because nothing is trained" in refused(*common, *divided)
    assert "make 1; a task shows 2 to 9" in refused(*common, "--samples-only")
    assert "make 10; a task shows 2 to 9" in refused(*common, "--samples", "9")
    assert "overlap" in refused(*common, "--overlap", "0")
    assert not Run.objects.exists()


def test_several_policies_answer_every_prompt_and_the_last_to_end_makes_the_batch(
    project, criterion, policy, write_rows, settings, tmp_path, max_, client
):
    settings.DATA_DIR = tmp_path
    artifact = Artifact.objects.create(
        project=project, kind="policy", path=policy.artifact.path + "/.", sha256="0" * 64, size_bytes=1
    )
    source = project.sources.create(kind="policy", name="twin")
    twin = Policy.objects.create(project=project, name="twin", artifact=artifact, source=source)
    path = write_rows([{"prompt": f"Question {n}?"} for n in range(3)], "asked.jsonl")
    call_command("import_prompts", "kitchen", path, "--prompt-set", "asked", verbosity=0)
    one_model = ("--set", "sampling.server.name=toy", "sampling.server.model=m")
    assert "2 policies answer" in refused(
        "sample_tasks", "kitchen", "tiny", "twin", "--prompt-set", "asked", *one_model
    )
    call_command(
        "sample_tasks", "kitchen", "tiny", "twin", "--prompt-set", "asked", "--temperatures", "0.7", "1.3",
        "--preset", "secrets", "--batch-name", "both", "--set", "sampling.max_prompt_tokens=48",
        "sampling.max_response_tokens=12", verbosity=0,
    )  # fmt: skip
    by_command = list(Run.objects.order_by("pk"))
    client.force_login(max_)
    address = reverse("policies:sample", args=["kitchen"])
    sent = shown(client, address, preset="secrets") | {
        "prompt_set": project.prompt_sets.get(name="asked").pk, "policies": [policy.pk, twin.pk],
        "batch_name": "both", "sampling.temperatures": "0.7, 1.3", "sampling.max_prompt_tokens": "48",
        "sampling.max_response_tokens": "12", "overlap": "",
    }  # fmt: skip
    answer = client.post(address, sent)
    assert answer.status_code == 302 and answer.url == reverse("runs:list", args=["kitchen"])
    settings_of_api = {
        "sampling.temperatures": [0.7, 1.3], "sampling.max_prompt_tokens": 48, "sampling.max_response_tokens": 12,
    }  # fmt: skip
    body = {
        "prompt_set": project.prompt_sets.get(name="asked").pk, "policies": [policy.pk, twin.pk],
        "batch_name": "both", "preset": "secrets", "settings": settings_of_api,
    }  # fmt: skip
    answer = client.post("/api/v1/projects/kitchen/policies/sample", body, content_type="application/json")
    assert answer.status_code == 201, answer.content
    by_form, by_api = list(Run.objects.order_by("pk"))[2:4], list(Run.objects.order_by("pk"))[4:]
    for one, *others in zip(by_command, by_form, by_api, strict=True):
        assert one.config["sampling"]["top_p"] == 0.9
        for run in (one, *others):  # a number of their own
            run.config["id_prefix"] = run.config["id_prefix"].split("-")[2]
            run.parameters["tasks"].pop("together")
        assert all(same(one, other) for other in others)
    first, second = Run.objects.order_by("pk")[2:4]
    execute(first)
    assert not Batch.objects.exists()
    Run.objects.filter(pk=first.pk).update(state="done", finished_at=timezone.now())
    second.config["runtime"] = {"seed": 5}  # the twin would say the same
    execute(second)
    [batch] = Batch.objects.all()
    assert (batch.name, batch.state, batch.tasks.count()) == ("both", "draft", 3)
    answers = Response.objects.filter(task_responses__task__batch=batch)
    assert {response.source.name for response in answers} == {"tiny", "twin"}
    for task in batch.tasks.all():
        texts = {answer.response.text for answer in task.task_responses.all()}
        sampled = set(task.prompt.responses.values_list("text", flat=True))
        assert texts == sampled and task.task_responses.count() == len(texts)


@pytest.mark.parametrize(
    "value", ["samples_per_prompt=many", "sampling.temperatures=warm", "sampling.temperatures=[0]"]
)
def test_values_that_are_no_numbers_are_refused_in_one_sentence(project, policy, write_rows, value):
    path = write_rows([{"prompt": "Tea?"}], "asked.jsonl")
    call_command("import_prompts", "kitchen", path, "--prompt-set", "asked", verbosity=0)
    said = refused("sample_tasks", "kitchen", "tiny", "--prompt-set", "asked", "--set", value)
    assert said.startswith("config.")


def test_the_critic_of_a_policys_own_run_may_lead_and_nothing_else(
    project, policy, write_rows, max_, tmp_path
):
    path = write_rows([{"prompt": "Tea?"}], "asked.jsonl")
    call_command("import_prompts", "kitchen", path, "--prompt-set", "asked", verbosity=0)
    asked = ("sample_tasks", "kitchen", "tiny", "--prompt-set", "asked", "--samples", "2", "--set")
    assert "no policy “other”" in refused(*asked, "sampling.guidance.policy=other")
    assert "has no critic" in refused(*asked, "sampling.guidance.policy=tiny")
    ppo = Run.objects.create(project=project, kind="policy.ppo", title="PPO", config={}, requested_by=max_)
    critic = tmp_path / "critic"
    critic.mkdir()
    (critic / "config.json").write_text("{}")
    Artifact.objects.create(
        project=project, kind="critic", path=str(critic), sha256="0" * 64, size_bytes=1, produced_by=ppo
    )
    Artifact.objects.filter(pk=policy.artifact_id).update(produced_by=ppo)
    call_command(*asked, "sampling.guidance.policy=tiny", "sampling.guidance.path=/etc", verbosity=0)
    run = Run.objects.exclude(pk=ppo.pk).get()
    guidance = run.config["sampling"]["guidance"]
    assert (guidance["policy"], guidance["path"]) == ("tiny", str(critic))
    # A path alone names nothing.
    call_command(*asked, "sampling.guidance.path=/etc", "sampling.guidance.coefficient=2", verbosity=0)
    assert Run.objects.order_by("-pk")[0].config["sampling"]["guidance"]["path"] == ""


def test_a_server_that_the_settings_name_may_sample_and_no_other(project, policy, write_rows, settings):
    path = write_rows([{"prompt": "Tea?"}], "asked.jsonl")
    call_command("import_prompts", "kitchen", path, "--prompt-set", "asked", verbosity=0)
    asked = ("sample_tasks", "kitchen", "tiny", "--prompt-set", "asked", "--samples", "2")
    server = ("--set", "sampling.server.name=vllm", "sampling.server.model=served")
    assert "ROUNDTABLE_MODEL_SERVERS" in refused(*asked, *server)
    assert not Run.objects.exists()
    settings.MODEL_SERVERS = {"vllm": "https://models.example.org/v1"}
    call_command(*asked, *server, verbosity=0)
    run = Run.objects.get()
    assert run.config["sampling"]["server"] == {"name": "vllm", "model": "served"}
    assert "models.example.org" not in str(run.config)
