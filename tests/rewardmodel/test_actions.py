import pytest

from annotation.batches.actions import NewTask, add_tasks, create_batch
from annotation.content.actions import NewResponse, add_prompts, add_responses, get_or_create_source
from annotation.datasets.actions import freeze_dataset
from annotation.judging.bulk import NewJudgment, add_judgments
from annotation.models import Prompt, Source
from learning.interface.options import options_to_dict
from learning.interface.training_options import ModelSource
from rewardmodel.actions import TooFewJudgments, train_reward_model
from rewardmodel.training.presets import PRESETS
from runs.models import Artifact, Run

pytestmark = [pytest.mark.db, pytest.mark.django_db]


@pytest.fixture
def judge(project, criterion, max_, ada, settings, tmp_path):
    """Judgments on prompts of one split each: a pair of tiers, or one for a tie."""
    settings.DATA_DIR = tmp_path
    rows = [{"messages": [{"role": "user", "content": f"Question {n}?"}]} for n in range(60)]
    add_prompts(actor=max_, project=project, rows=rows)
    source = get_or_create_source(actor=max_, project=project, kind=Source.Kind.POLICY, name="base")
    batch = create_batch(actor=max_, project=project, criterion=criterion, name="pairs")
    used = set()

    def judge(split, *, tie):
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

    def train():
        return train_reward_model(
            actor=max_,
            project=project,
            criterion=criterion,
            dataset=freeze_dataset(actor=max_, project=project, criterion=criterion),
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
