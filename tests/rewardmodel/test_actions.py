from collections import Counter

import pytest
from django.core.management import CommandError, call_command

from annotation.batches.actions import NewTask, add_tasks, create_batch
from annotation.content.actions import NewResponse, add_prompts, add_responses, get_or_create_source
from annotation.datasets.actions import freeze_dataset
from annotation.judging.bulk import NewJudgment, add_judgments
from annotation.models import PreferenceDataset, Prompt, Source
from learning.interface.options import options_to_dict
from learning.interface.training_options import ModelSource
from rewardmodel.actions import TooFewJudgments, train_reward_model
from rewardmodel.models import RewardModel
from rewardmodel.run_kinds import TRAIN
from rewardmodel.training.presets import PRESETS
from runs.models import Artifact, Run
from workspace.actions import add_criterion

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def judge(project, criterion, max_, ada, settings, tmp_path):
    """Judgments on prompts of one split each: a pair of tiers, or one for a tie."""
    settings.DATA_DIR = tmp_path
    rows = [{"messages": [{"role": "user", "content": f"Question {n}?"}]} for n in range(60)]
    add_prompts(actor=max_, project=project, rows=rows)
    source = get_or_create_source(actor=max_, project=project, kind=Source.Kind.POLICY, name="base")
    batches, used = {}, set()

    def judge(split, *, tie, on=criterion):
        if on not in batches:
            batches[on] = create_batch(actor=max_, project=project, criterion=on, name=f"pairs, {on.name}")
        batch = batches[on]
        prompt = Prompt.objects.filter(project=project, split=split).exclude(pk__in=used).first()
        used.add(prompt.pk)
        texts = [NewResponse(prompt=prompt, source=source, text=text) for text in ("a", "b")]
        a, b = add_responses(actor=max_, project=project, rows=texts)
        [task] = add_tasks(actor=max_, batch=batch, tasks=[NewTask(prompt=prompt, responses=[a, b])])
        tiers, strengths = ([[a.pk, b.pk]], []) if tie else ([[b.pk], [a.pk]], [1])
        judgment = NewJudgment(
            task=task, annotator=ada, tiers=tiers, strengths=strengths, idempotency_key=f"judgment-{task.pk}"
        )
        add_judgments(actor=max_, batch=batch, rows=[judgment])

    return judge


@pytest.fixture
def train(project, criterion, max_):
    base = Artifact.objects.create(project=project, kind="policy", path="base", sha256="0" * 64, size_bytes=1)

    def train(*others):
        criteria = [criterion, *others]
        return train_reward_model(
            actor=max_,
            project=project,
            criteria=criteria,
            dataset=freeze_dataset(actor=max_, project=project, criteria=criteria),
            base=base,
            name="taste",
            config=options_to_dict(PRESETS["tiny"].config(ModelSource(path="(filled in)"))),
        )

    return train


def test_ties_and_held_out_prompts_are_nothing_to_train_on(judge, train):
    for _ in range(6):
        judge("train", tie=True)
    with pytest.raises(TooFewJudgments, match="0 usable comparisons of 6 in the split train; ties alone"):
        train()
    judge("train", tie=False)
    judge("test", tie=False)
    judge("validation", tie=False)
    with pytest.raises(TooFewJudgments, match="1 usable comparison of 7 in the split train"):
        train()
    assert not Run.objects.exists()
    judge("train", tie=False)
    assert train() == Run.objects.get()


def test_one_model_learns_from_the_judgments_of_several_criteria(judge, train, project, criterion, max_):
    harmless = add_criterion(actor=max_, project=project, name="harmless", question="Which harms less?")
    for _ in range(3):
        judge("train", tie=False)
    with pytest.raises(TooFewJudgments, match="has no judgments on harmless"):
        train(harmless)
    judge("train", tie=False, on=harmless)
    judge("validation", tie=False, on=harmless)
    run = train(harmless)
    assert run.config["criterion"] == f"{criterion.name}, harmless"
    rows = list(TRAIN.build_inputs(run)["comparisons"][0])
    assert Counter((row["criterion"], row["split"]) for row in rows) == {
        (criterion.name, "train"): 3,
        ("harmless", "train"): 1,
        ("harmless", "validation"): 1,
    }
    dataset = PreferenceDataset.objects.get(pk=run.parameters["dataset"])
    assert dataset.criterion is None
    assert dataset.filters["criteria"] == sorted([criterion.name, "harmless"])
    Artifact.objects.create(
        project=project, kind="reward_model", path="made", sha256="0" * 64, size_bytes=1, produced_by=run
    )
    TRAIN.save_result(run, {"accuracy": 0.5})
    TRAIN.save_result(run, {"accuracy": 0.5})
    assert set(RewardModel.objects.get().criteria.all()) == {criterion, harmless}
    # A run that was queued before a reward model could have several criteria names one.
    RewardModel.objects.all().delete()
    run.parameters = {**run.parameters, "criterion": harmless.pk}
    del run.parameters["criteria"]
    TRAIN.save_result(run, {"accuracy": 0.5})
    assert list(RewardModel.objects.get().criteria.all()) == [harmless]


def test_processes_and_device_are_asked_for_on_the_command_line(judge, project, criterion, tmp_path):
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text("{}")
    for _ in range(3):
        judge("train", tie=False)
    judge("validation", tie=False)
    how = ("--start", str(base), "--processes", "2", "--device", "cuda")
    with pytest.raises(CommandError, match="processes must be between 1 and 64, found 65"):
        call_command("train_reward_model", "kitchen", "taste", *how[:3], "65", verbosity=0)
    assert not Run.objects.exists()
    call_command("train_reward_model", "kitchen", "taste", *how, verbosity=0)
    run = Run.objects.get()
    runtime = run.config["runtime"]
    assert (run.processes, runtime["device"], runtime["backend"], runtime["zero_stage"]) == (
        2, "cuda", "torch", 0,
    )  # fmt: skip
