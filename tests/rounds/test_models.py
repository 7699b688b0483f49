import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from rounds.models import Round

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
