"""Processes, device, engine and ZeRO stage: asked for in commands, checked at once, kept with the run, shown."""

import pytest
from django.urls import reverse

from runs.actions import clone_run, queue_run
from runs.errors import BadRunConfig
from runs.execution import describe_execution, runtime_values
from runs.models import Run
from tests.runs.run_kinds import COUNTING

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def test_who_asks_for_zero_gets_the_engine_it_needs_and_else_nothing_changes():
    assert runtime_values({}) == {}
    assert runtime_values({"processes": 1, "device": "", "engine": "", "zero_stage": None}) == {}
    assert runtime_values({"processes": 2}) == {}
    assert runtime_values({"zero_stage": 0}) == {"zero_stage": 0}
    assert runtime_values({"zero_stage": 3, "device": "cuda"}) == {
        "device": "cuda", "backend": "deepspeed", "zero_stage": 3,
    }  # fmt: skip
    asked = {"processes": 2, "engine": "torch", "zero_stage": 1}
    assert runtime_values(asked) == {"backend": "torch", "zero_stage": 1}  # for the check to refuse


def test_it_is_said_in_words():
    assert describe_execution(1, {}) == "1 process, CPU, PyTorch"
    runtime = {"device": "cuda", "backend": "deepspeed", "zero_stage": 2}
    assert describe_execution(4, runtime) == "4 processes, GPU, DeepSpeed ZeRO 2"


@pytest.fixture
def queue(project, max_):
    def queue(processes, **runtime):
        return queue_run(
            actor=max_, project=project, kind=COUNTING, title="Count", config={"runtime": runtime}, processes=processes
        )  # fmt: skip

    return queue


@pytest.mark.parametrize(
    ("processes", "runtime", "said"),
    [
        (65, {}, "config.runtime: processes must be between 1 and 64, found 65"),
        (65, {"backend": "deepspeed"}, "config.runtime: processes must be between 1 and 64, found 65"),
        (-1, {}, "config.runtime: processes must be between 1 and 64, found -1"),
        (1, {"zero_stage": 2}, 'config.runtime: zero_stage 2 needs backend "deepspeed", found "torch"'),
    ],
)
def test_what_cannot_work_together_is_refused_when_it_is_asked_for(queue, processes, runtime, said):
    with pytest.raises(BadRunConfig) as refused:
        queue(processes, **runtime)
    assert refused.value.message == said and not Run.objects.exists()


def test_the_number_is_kept_with_the_run_and_its_clones_and_shown_on_its_page(queue, max_, client):
    run = queue(3, backend="deepspeed", zero_stage=1)
    assert run.processes == clone_run(actor=max_, run=run).processes == 3
    client.force_login(max_)
    page = client.get(reverse("runs:run", args=["kitchen", run.pk])).content.decode()
    assert "3 processes, CPU, DeepSpeed ZeRO 1" in page
