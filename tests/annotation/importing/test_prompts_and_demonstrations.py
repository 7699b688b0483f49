"""Imports of prompts and of demonstrations."""

import pytest

from annotation.importing.contents.actions import import_demonstrations, import_prompts
from annotation.importing.report import ImportRefused
from annotation.models import Demonstration, Prompt, PromptSet
from tests.annotation.importing.conftest import everything
from workspace.errors import ActionError

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def test_an_id_that_means_something_else_in_the_project_is_a_bad_row(project, max_, write_rows):
    def rows(text):
        return [{"prompt_id": "p1", "prompt": text}, {"prompt_id": "p2", "prompt": "Other?"}]

    import_prompts(actor=max_, project=project, path=write_rows(rows("Why?")))
    with pytest.raises(
        ImportRefused, match="2 of 2 prompts are in the prompt set “prompts” already: nothing"
    ):
        import_prompts(actor=max_, project=project, path=write_rows(rows("Why?")))
    import_prompts(actor=max_, project=project, path=write_rows(rows("Why?")), again=True)
    assert Prompt.objects.count() == 2
    with pytest.raises(
        ImportRefused, match="line 1, column prompt_id: p1 belongs to another content in this project"
    ):
        import_prompts(actor=max_, project=project, path=write_rows(rows("How?")))
    report = import_prompts(
        actor=max_, project=project, path=write_rows(rows("How?")), skip_bad=True, prompt_set="more"
    )
    assert (report.bad, report.counts) == (1, {"new prompts": 0})
    assert Prompt.objects.count() == 2


def test_prompts_are_refused_with_the_column_to_blame(project, max_, write_rows):
    rows = [{"id": "a", "prompt": "Why?"}, {"id": "a", "prompt": "Why?"}]
    with pytest.raises(ImportRefused, match="line 2, column id: a is a duplicate of line 1"):
        import_prompts(actor=max_, project=project, path=write_rows(rows), mapping={"prompt_id": ["id"]})
    rows = [{"prompt_id": "a", "prompt": "Why?"}, {"prompt_id": "a", "prompt": "Why?"}]
    with pytest.raises(ImportRefused, match="line 2, column prompt_id: a is a duplicate of line 1"):
        import_prompts(actor=max_, project=project, path=write_rows(rows))
    with pytest.raises(ActionError, match="A prompt set needs a name of at most 120 characters."):
        import_prompts(actor=max_, project=project, path=write_rows(rows[:1]), prompt_set="x" * 121)
    assert not Prompt.objects.exists()


def test_prompts_go_into_their_set_and_keep_their_split(project, max_, write_rows):
    path = write_rows(
        [{"prompt": f"Q {n}?", "author": "kim", "tags": ["t"]} for n in range(30)], "prompts.jsonl.gz"
    )
    report = import_prompts(
        actor=max_, project=project, path=path, prompt_set="cooking", purpose="evaluation"
    )
    assert report.counts == {"new prompts": 30}
    made = PromptSet.objects.get()
    assert (made.name, made.purpose, made.prompts.count()) == ("cooking", "evaluation", 30)
    assert {prompt.author.pseudonym for prompt in Prompt.objects.all()} == {"kim"}
    assert len(set(Prompt.objects.values_list("split", flat=True))) > 1


def test_demonstrations_are_stored_once_however_often_they_come(project, max_, write_rows):
    rows = [{"prompt": f"Q {n % 5}?", "response": f"A {n}."} for n in range(10)]
    path = write_rows([*rows, rows[0]])
    report = import_demonstrations(actor=max_, project=project, path=path)
    assert report.counts == {"new demonstrations": 10}
    assert report.notes == ["1 row repeats a demonstration of the file."]
    before = everything()
    with pytest.raises(
        ImportRefused, match="10 of 10 demonstrations are in the project already: nothing .* --again imports"
    ):
        import_demonstrations(actor=max_, project=project, path=path)
    assert everything() == before
    more = write_rows([rows[0], {"prompt": "Q 0?", "response": "New."}], "more.jsonl")
    report = import_demonstrations(actor=max_, project=project, path=more)
    assert (report.counts["new demonstrations"], report.notes) == (
        1, ["1 of 2 demonstrations is in the project already and left out; --again imports them once more."],
    )  # fmt: skip
    assert (Demonstration.objects.count(), Prompt.objects.count()) == (11, 5)
    import_demonstrations(actor=max_, project=project, path=path, again=True)
    assert Demonstration.objects.count() == 21
    assert PromptSet.objects.get().purpose == "sft"
