"""The commands as a person runs them: what they say, where, and with which exit code."""

import json
import shutil
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from annotation.datasets.actions import freeze_dataset
from annotation.importing.file_forms import ACCEPTED
from annotation.models import Judgment, Prompt, PromptSet, Task
from runs.actions import register_artifact
from runs.models import Run
from tests.annotation.importing.conftest import hh_rows, write_rows  # noqa: F401
from workspace.models import AuditEvent

pytestmark = [pytest.mark.db, pytest.mark.django_db]

PAIR = {"prompt": "Why?", "chosen": "good", "rejected": "bad"}


def run(*arguments):
    out = StringIO()
    call_command(*map(str, arguments), stdout=out)
    return out.getvalue()


def refusal(*arguments):
    """The sentence of a command that ends with exit code 2, and what it printed before."""
    out = StringIO()
    with pytest.raises(CommandError) as error:
        call_command(*map(str, arguments), stdout=out)
    assert error.value.returncode == 2
    sentence = str(error.value)
    assert "\n" not in sentence
    assert sentence.endswith((".", "?"))
    return sentence, out.getvalue()


def test_import_comparisons_names_the_bad_rows_and_takes_the_others_when_asked(project, write_rows):  # noqa: F811
    path = write_rows(hh_rows(60), "hh.jsonl.gz")
    sentence, printed = refusal("import_comparisons", project.slug, path, "--format", "hh")
    assert sentence.startswith(
        "Nothing was imported: 2 of 60 rows are bad (first: hh.jsonl.gz, line 8, column rejected"
    )
    assert [line.split(":")[0] for line in printed.splitlines()] == [
        "hh.jsonl.gz, line 8, column rejected",
        "hh.jsonl.gz, line 58, column rejected",
    ]
    assert not Judgment.objects.exists()
    printed = run("import_comparisons", project.slug, path, "--format", "hh", "--skip-bad")
    assert printed.splitlines()[-1] == (
        "hh.jsonl.gz: 58 judgments, 58 tasks, 1 annotator into the batch “hh.jsonl.gz”; 2 of 60 rows left out."
    )
    assert Judgment.objects.count() == 58


def test_columns_are_mapped_also_nested_and_several_to_a_list(project, write_rows):  # noqa: F811
    rows = [{"meta": {"q": "Why?"}, "x": "a", "y": "b", "grade": "b-is-better", "who": "kim"}]
    run(
        "import_comparisons", project.slug, write_rows(rows), "--format", "ranked", "--map", "prompt=meta.q",
        "--map", "responses=x", "--map", "responses=y", "--map", "preference=grade", "--map", "annotator=who",
        "--batch-name", "mapped",
    )  # fmt: skip
    judgment = Judgment.objects.get()
    assert (judgment.strengths, judgment.annotator.pseudonym) == ([2], "kim")
    assert judgment.task.batch.name == "mapped"


@pytest.mark.parametrize(
    ("content", "options", "sentence"),
    [
        (None, [], "There is no file "),
        ("folder", [], "rows.jsonl has no data files."),
        ("", [], " is empty: nothing to import."),
        ("no json", [], "line 1, column (whole row): is not JSON"),
        (
            json.dumps({"text": "x"}),
            [],
            "line 1, column chosen: is missing (the row has: text); name another with --map",
        ),
        (json.dumps(PAIR), ["--map", "promt=x"], "the format trl has no field promt"),
        (json.dumps(PAIR), ["--map", "prompt=question"], "line 1, column question: is missing"),
        (json.dumps(PAIR), ["--map", "prompt"], "--map prompt: write FIELD=COLUMN."),
        (json.dumps(PAIR), ["--strength", "left"], "--strength left: write NAME=STRENGTH"),
        (json.dumps(PAIR), ["--grade", "left"], "--strength left: write NAME=STRENGTH"),
        (json.dumps(PAIR), ["--criterion", "moon"], "has no criterion moon"),
        (json.dumps(PAIR), ["--actor", "nobody"], "There is no active person with the user name nobody."),
        (json.dumps(PAIR | {"rejected": "good"}), [], "line 1, column rejected: is the same text as chosen"),
        (
            json.dumps(PAIR | {"chosen": True}),
            [],
            "line 1, column chosen: should be text but is a boolean (true)",
        ),
        (json.dumps(PAIR | {"chosen": "a\0"}), [], "line 1, column chosen: has a NUL character"),
        (json.dumps(PAIR | {"prompt": " "}), [], "line 1, column prompt: is empty"),
        (
            json.dumps(PAIR | {"prompt": "x" * 5_000_000}),
            [],
            "line 1, column prompt: has 5,000,000 characters",
        ),
    ],
)
def test_every_mistake_is_one_sentence_and_leaves_nothing(project, tmp_path, content, options, sentence):
    path = tmp_path / "rows.jsonl"
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_text(content)
    audit = AuditEvent.objects.count()
    said, _ = refusal("import_comparisons", project.slug, path, "--format", "trl", *options)
    assert sentence in said
    assert not Prompt.objects.exists()
    assert AuditEvent.objects.count() == audit


@pytest.mark.parametrize(
    "command", ["import_prompts", "import_demonstrations", "import_comparisons", "export_preferences"]
)
def test_an_unknown_project_is_named_with_those_there_are(project, command, tmp_path):
    said, _ = refusal(command, "moon", tmp_path / "x")
    assert said == "There is no project moon; there is: kitchen."


def test_prompts_and_demonstrations_come_in(project, write_rows):  # noqa: F811
    rows = [{"question": f"Q {n}?", "answer": f"A {n}."} for n in range(4)]
    path = write_rows(rows)
    said = run("import_prompts", project.slug, path, "--map", "prompt=question", "--prompt-set", "all")
    assert said.splitlines()[-1] == "rows.jsonl: 4 new prompts into the prompt set “all”."
    said = run(
        "import_demonstrations", project.slug, path, "--map", "prompt=question", "--map", "response=answer"
    )
    assert said.splitlines()[-1] == ("rows.jsonl: 4 new demonstrations into the prompt set “demonstrations”.")
    assert Prompt.objects.count() == 4
    assert PromptSet.objects.count() == 2


def test_export_preferences_writes_a_folder_and_twice_the_same(project, write_rows, tmp_path):  # noqa: F811
    run("import_comparisons", project.slug, write_rows(hh_rows(40)), "--format", "hh", "--skip-bad")
    said = run("export_preferences", project.slug, tmp_path / "one", "--format", "trl")
    # What the format leaves out is said first.
    assert said.splitlines()[-1].startswith(f"{tmp_path / 'one'}: 39 rows, ")
    run("export_preferences", project.slug, tmp_path / "two", "--format", "trl")
    one, two = (
        {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}
        for out in (tmp_path / "one", tmp_path / "two")
    )
    assert one == two
    assert {path.name for path in one} >= {"README.md", "manifest.json"}
    run("export_preferences", project.slug, tmp_path / "three", "--dataset", "dataset 1", "--split", "train")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--batch", "moon"], "has no batch named “moon”."),
        (["--dataset", "moon"], "has no dataset moon."),
        (["--criterion", "moon"], "has no criterion moon: name one with --criterion (helpful)."),
        (
            ["--annotator-kinds", "ai"],
            "has no judgments of this selection; there are some of kind person",
        ),
        (["--purposes", "gold"], "has no judgments of this selection"),
    ],
)
def test_an_export_of_nothing_is_one_sentence(project, write_rows, tmp_path, options, sentence):  # noqa: F811
    run("import_comparisons", project.slug, write_rows([PAIR]), "--format", "trl")
    said, _ = refusal("export_preferences", project.slug, tmp_path / "out", *options)
    assert sentence in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "options",
    [
        ["--batch", "rows.jsonl"],
        ["--annotator-kinds", "person"],
        ["--criterion", "helpful"],
        ["--purposes", "normal"],
    ],
)
def test_a_dataset_is_not_selected_from_once_more(project, write_rows, tmp_path, options):  # noqa: F811
    run("import_comparisons", project.slug, write_rows([PAIR]), "--format", "trl")
    run("export_preferences", project.slug, tmp_path / "one")
    said, _ = refusal(
        "export_preferences", project.slug, tmp_path / "two", "--dataset", "dataset 1", *options
    )
    assert said.startswith(f"--dataset dataset 1 is selected already: leave {options[0]} out, ")
    run("export_preferences", project.slug, tmp_path / "two", "--dataset", "dataset 1", "--format", "trl")


def test_an_export_writes_over_nothing(project, write_rows, tmp_path):  # noqa: F811
    run("import_comparisons", project.slug, write_rows([PAIR]), "--format", "trl")
    (tmp_path / "mine.txt").write_text("keep")
    said, _ = refusal("export_preferences", project.slug, tmp_path)
    assert said == f"{tmp_path} is there already: name a new folder."
    assert (tmp_path / "mine.txt").read_text() == "keep"


@pytest.mark.django_db(transaction=True)
def test_reconcile_says_that_all_is_well_or_what_drifted(project, write_rows):  # noqa: F811
    run("import_comparisons", project.slug, write_rows([PAIR]), "--format", "trl")
    assert run("reconcile", project.slug) == "Every counter agrees with its rows.\n"
    Task.objects.update(counted_judgments=0, open_slots=1)
    out = StringIO()
    with pytest.raises(CommandError, match="2 of the counters and pointers drifted") as error:
        call_command("reconcile", stdout=out)
    assert error.value.returncode == 1
    assert "counted_judgments is 0, but 1 judgments count" in out.getvalue()
    assert Task.objects.get().counted_judgments == 0
    refusal("reconcile", "moon")


@pytest.mark.django_db(transaction=True)
def test_reconcile_compares_the_files_that_the_database_names(project, write_rows, max_, settings, tmp_path):  # noqa: F811
    settings.DATA_DIR = tmp_path
    run("import_comparisons", project.slug, write_rows([PAIR]), "--format", "trl")
    dataset = freeze_dataset(actor=max_, project=project)
    done = Run.objects.create(
        project=project,
        kind="k",
        title="Train base",
        config={},
        requested_by=max_,
        state="done",
        finished_at=timezone.now(),
    )
    model = done.path / "model"
    model.mkdir(parents=True)
    (done.path / "result.json").write_text("{}")
    (model / "model.safetensors").write_bytes(b"weights")
    artifact = register_artifact(actor=max_, project=project, kind="policy", path=model)
    assert run("reconcile") == (
        "Every counter agrees with its rows.\n"
        "Every file that the database names is there: 1 artifact, 1 result and 1 dataset read and compared.\n"
    )

    def differs(*arguments):
        out = StringIO()
        with pytest.raises(CommandError) as error:
            call_command("reconcile", *arguments, stdout=out)
        assert error.value.returncode == 1
        return f"{out.getvalue()}{error.value}"

    (model / "model.safetensors").write_bytes(b"Weights")  # as long as before
    said = differs()
    assert (
        f"artifact {artifact.pk} (Policy runs/" in said
        and "its content is not the one recorded (sha256)" in said
    )
    assert "1 of the files are missing or were changed; nothing was changed." in said
    assert "looked for, not read" in run("reconcile", "--quick")
    [shard] = (tmp_path / dataset.directory).glob("*.parquet")
    content = shard.read_bytes()
    shard.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    (done.path / "result.json").unlink()
    (model / "model.safetensors").write_bytes(b"")
    said = differs()
    assert "has 0 bytes, 7 were recorded" in said and "result.json is gone" in said
    assert "A file of the dataset" in said and "3 of the files" in said
    shutil.rmtree(tmp_path / "runs")
    shutil.rmtree(tmp_path / "datasets")
    said = differs("--quick")
    assert "nothing is there" in said and "its folder runs/" in said and "has lost its manifest" in said


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pairs.parquet", "no parquet at all"),
        ("pairs.json", json.dumps({"data": [PAIR]}, indent=1)),
        ("pairs.jsonl.zst", ""),
    ],
)
def test_a_file_of_another_kind_is_named_once_with_what_is_accepted(project, tmp_path, name, content):
    (tmp_path / name).write_bytes(b"\x28\xb5\x2f\xfd" if name.endswith(".zst") else content.encode())
    sentence, printed = refusal("import_comparisons", project.slug, tmp_path / name, "--format", "trl")
    assert name in sentence and ("one object a line" in sentence or ACCEPTED in sentence)
    assert printed == ""


def test_a_prompt_set_without_a_name_is_refused(project, write_rows):  # noqa: F811
    path = write_rows([{"prompt": "Why?"}])
    refusal("import_prompts", project.slug, path, "--map", "messages=prompt", "--prompt-set", " ")
    assert not PromptSet.objects.exists()


def test_nobody_is_named_as_the_actor_who_may_not(project, ada, write_rows):  # noqa: F811
    sentence, _ = refusal(
        "import_comparisons", project.slug, write_rows([PAIR]), "--format", "trl", "--actor", ada.username
    )
    assert sentence == f"{ada.username} is not a manager of {project.slug}: name one who is."
