import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from rounds.models import Round, RoundRun
from rounds.stages.machine import advance_round
from runs.models import Run

pytestmark = [pytest.mark.db, pytest.mark.django_db]


def test_the_database_itself_refuses_a_second_open_round(begin):
    first = begin()
    with pytest.raises(IntegrityError), transaction.atomic():
        Round.objects.create(
            project=first.project,
            number=2,
            criterion=first.criterion,
            prompt_set=first.prompt_set,
            plan={},
            start_policy=first.start_policy,
            started_by=first.started_by,
        )


@pytest.mark.parametrize(
    "fields",
    [
        {"stage": "nonsense"},
        {"stage": "annotating"},
        {"stage": "policy"},
        {"stage": "failed"},
        {"error": "Something."},
        {"stage": "cancelled"},
        {"finished_at": timezone.now()},
    ],
)
def test_the_database_itself_refuses_a_stage_that_cannot_be(begin, fields):
    round_ = begin()
    with pytest.raises(IntegrityError), transaction.atomic():
        Round.objects.filter(pk=round_.pk).update(**fields)


def test_the_database_itself_takes_one_sampling_run_a_policy_and_purpose(begin, max_):
    round_ = begin()
    advance_round(round_.pk)
    link = round_.round_runs.get()

    def another(**fields):
        run = Run.objects.create(
            project=round_.project, kind="policy.sample", title="s", config={}, requested_by=max_
        )
        return RoundRun.objects.create(round=round_, run=run, stage="sampling", policy=link.policy, **fields)

    with pytest.raises(IntegrityError), transaction.atomic():
        another()
    another(purpose="head_to_head")
    for purpose in ("head_to_head", "nonsense"):
        with pytest.raises(IntegrityError), transaction.atomic():
            another(purpose=purpose)
