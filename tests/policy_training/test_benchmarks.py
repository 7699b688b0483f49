"""Measuring policies on tasks: files are checked line by line, page, command and API ask for the same, and the figures
of two policies stand side by side.
"""

import json
from io import StringIO

import pytest
from django.core.management import call_command
from django.urls import reverse

from policy_training.benchmark_files import BadTasksFile, parse_tasks
from policy_training.benchmarks.actions import add_benchmark_file
from policy_training.models import BenchmarkFile, PolicyBenchmark
from policy_training.run_kinds import BENCHMARK
from runs.models import Run
from tests.policy_training.test_commands import refused
from tests.policy_training.test_forms import same, shown, started
from tests.policy_training.test_merging import other  # noqa: F401
from workspace.models import AuditEvent

pytestmark = [pytest.mark.db, pytest.mark.django_db]

CHOICE = {
    "task": "capitals",
    "kind": "choice",
    "prompt": "Of France?",
    "choices": ["Paris", "Rome"],
    "answer": "Paris",
}
LINES = [
    {"task": "news", "kind": "perplexity", "text": "It rained."},
    CHOICE,
    {"task": "sums", "kind": "generation", "prompt": "2 + 2?", "answers": ["4", "four"]},
    {
        "task": "sums",
        "kind": "generation",
        "prompt": [{"role": "system", "content": "Reckon."}, {"role": "user", "content": "1 + 1?"}],
        "answer": "2",
        "example": True,
    },
]


def content(*rows) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def file(project, max_):
    return add_benchmark_file(actor=max_, project=project, name="mixed", content=content(*LINES))


def test_a_file_becomes_rows_of_the_record(project, max_, file):
    rows = parse_tasks("\ufeff\n" + content(*LINES))
    assert [row["kind"] for row in rows] == ["perplexity", "choice", "generation", "generation"]
    assert rows[1]["prompt"] == [{"role": "user", "content": "Of France?"}]
    assert rows[2]["answers"] == ["4", "four"] and rows[3]["answers"] == ["2"]
    assert [row["is_example"] for row in rows] == [False, False, False, True]
    assert file.summary == {
        "news": {"kind": "perplexity", "items": 1, "examples": 0},
        "capitals": {"kind": "choice", "items": 1, "examples": 0},
        "sums": {"kind": "generation", "items": 1, "examples": 1},
    }
    patterned = parse_tasks(content(LINES[2] | {"answer_pattern": "= (.*)"}, LINES[3], LINES[0]))
    assert [row["answer_pattern"] for row in patterned] == ["= (.*)", "= (.*)", None]
    # The same again is the same; other tasks under its name are refused.
    again = add_benchmark_file(actor=max_, project=project, name=" mixed", content=content(*LINES))
    assert again == file and AuditEvent.objects.filter(action="benchmark_file.add").count() == 1


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ("", "The file has no lines"),
        ("{", "Line 1: no JSON object"),
        ("\n[1]\n", "Line 2: no JSON object"),
        ("[" * 100_000, "Line 1: no JSON object"),
        (content(CHOICE | {"kind": "essay"}), "“kind” is one of perplexity, choice, generation"),
        (content(CHOICE | {"task": ""}), "“task” is a text that is not empty"),
        (content(CHOICE | {"task": "t" * 81}), "at most 80 characters"),
        (content(CHOICE | {"asnwer": "x"}), "“asnwer” is unknown; of this kind are task, kind, answer"),
        (content(CHOICE | {"answer": "Berlin"}), "the answer is none of the choices"),
        (content(CHOICE | {"choices": ["Paris"]}), "“choices” is a list of 2 to 50 texts"),
        (content(CHOICE | {"choices": ["Paris", "Paris"]}), "two choices are the same"),
        (content(CHOICE | {"prompt": [{"role": "assistant", "content": "hm"}]}), "the last message"),
        (content(CHOICE | {"prompt": [{"role": "judge", "content": "hm"}]}), "a message has a “role”"),
        (content(CHOICE | {"example": 1}), "“example” is true or false"),
        (content(CHOICE | {"example": True}), "“capitals” has examples alone"),
        (content(LINES[0] | {"text": "a\x00b"}), "has a NUL character"),
        (content(LINES[2] | {"answer": "4"}), "either “answer” or “answers”"),
        (content(CHOICE, LINES[2] | {"task": "capitals"}), "lines of several kinds"),
        (content(LINES[2] | {"answer_pattern": "a("}), "Line 1: “answer_pattern” is a regular expression"),
        (content(LINES[2] | {"answer_pattern": "a"}), "with one group"),
        (content(LINES[2] | {"answer_pattern": "(a)" + "a" * 200}), "of at most 200 characters"),
        (content(LINES[2] | {"answer_pattern": "(a)"}, LINES[3] | {"answer_pattern": "(b)"}), "two answer patterns"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_one_sentence_that_names_the_line(sent, said):
    with pytest.raises(BadTasksFile, match=said):
        parse_tasks(sent)


def test_page_command_and_api_ask_for_the_same_measurement(client, policy, other, project, max_, tmp_path):  # noqa: F811
    client.force_login(max_)
    files = reverse("policies:benchmark_files", args=["kitchen"])
    # A browser sends the lines of a field with its own line ends.
    sent = {"name": "mixed", "content": content(*LINES).replace("\n", "\r\n")}
    assert client.post(files, sent).url == files
    bad = client.post(files, {"name": "mixed", "content": content(CHOICE)})
    assert bad.status_code == 422 and "other tasks named “mixed”" in bad.content.decode()
    page = client.get(files).content.decode()
    assert "(generation: 1 + 1 example)" in page
    file = BenchmarkFile.objects.get()

    address = reverse("policies:benchmark", args=["kitchen"])
    asked = shown(client, address) | {"policies": [policy.pk], "file": file.pk, "few_shot": "1"}
    assert "1 + 1" in client.get(address, asked | {"part": "preview"}).content.decode()
    run = started(client.post(address, asked))
    assert run.config["few_shot"] == 1 and run.parameters == {"policy": policy.pk, "file": file.pk}
    path = tmp_path / "mixed.jsonl"
    path.write_text(content(*LINES))
    arguments = ["kitchen", "tiny", "--tasks", str(path), "--set", "few_shot=1"]
    call_command("benchmark_policy", *arguments, stdout=StringIO())
    assert same(run, Run.objects.latest("pk"))
    answer = client.post(
        f"/api/v1/projects/kitchen/policies/{policy.pk}/benchmarks",
        {"file": file.pk, "settings": {"few_shot": 1}},
        content_type="application/json",
    )
    assert answer.status_code == 201, answer.content
    assert same(run, Run.objects.latest("pk"))
    inputs = BENCHMARK.build_inputs(run)
    assert len(inputs["items"][0]) == 4
    two = client.post(address, asked | {"policies": [policy.pk, other.pk]})
    assert two.url == reverse("runs:list", args=["kitchen"]) and Run.objects.count() == 5
    assert client.get(address, {"run": run.pk}).context["form"]["file"].value() == file.pk


def test_what_the_command_cannot_measure_is_refused(policy, tmp_path):
    assert "no tasks named “sums”" in refused("benchmark_policy", "kitchen", "tiny", "--name", "sums")
    assert "cannot be read" in refused("benchmark_policy", "kitchen", "tiny", "--tasks", str(tmp_path / "no"))
    bad = tmp_path / "bad.jsonl"
    bad.write_text("{}")
    assert "Line 1" in refused("benchmark_policy", "kitchen", "tiny", "--tasks", str(bad))
    assert not Run.objects.exists()


def figure(value, low, high):
    return {"value": value, "low": low, "high": high}


def test_two_policies_stand_side_by_side_and_only_clear_differences_are_told(
    client, policy, other, file, project, ruth, max_  # noqa: F811
):  # fmt: skip
    def measured(of, accuracy, perplexity):
        run = Run.objects.create(
            project=project, kind="policy.benchmark", title="Measure", config={}, requested_by=max_,
            parameters={"policy": of.pk, "file": file.pk},
        )  # fmt: skip
        tasks = {
            "capitals": {"kind": "choice", "items": 50, "figures": {"accuracy": accuracy}},
            "news": {"kind": "perplexity", "items": 9, "figures": {"perplexity": perplexity}},
        }
        for _ in range(2):  # a worker may be told twice
            BENCHMARK.save_result(run, {"tasks": tasks})

    measured(policy, figure(0.8, 0.7, 0.9), figure(9.0, 8.0, 10.0))
    measured(other, figure(0.6, 0.5, 0.75), figure(20.0, 15.0, 25.0))
    assert PolicyBenchmark.objects.count() == 2
    client.force_login(ruth)
    address = reverse("policies:measured", args=["kitchen", policy.pk])
    page = client.get(address).content.decode()
    assert "80.0 %" in page and "70.0 % to 90.0 %" in page and "60.0 %" not in page
    found = client.get(address, {"beside": other.pk})
    [measurement] = found.context["measurements"]
    assert [(row.task, row.verdict) for row in measurement["figures"]] == [
        ("capitals", "cannot be told apart"), ("news", "better"),
    ]  # fmt: skip
    assert "60.0 %" in found.content.decode()
    for strange in ("x", "-1", "9" * 30):
        assert client.get(address, {"beside": strange}).status_code == 200
    assert client.get(address, {"beside": 999_999}).status_code == 404
    page = client.get(reverse("policies:policy", args=["kitchen", policy.pk])).content.decode()
    assert address in page
    rows = client.get(f"/api/v1/projects/kitchen/policies/{policy.pk}/benchmarks").json()["results"]
    assert rows[0]["report"]["tasks"]["capitals"]["figures"]["accuracy"]["value"] == 0.8
