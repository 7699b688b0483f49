from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from learning.interface.options import UserError
from rounds.models import Trigger
from rounds.schedules.triggers import parse_after, parse_at, parse_every

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-12-01 09:00", datetime(2026, 12, 1, 8, 0, tzinfo=UTC)),
        ("2026-07-01T09:00", datetime(2026, 7, 1, 7, 0, tzinfo=UTC)),
        ("2026-12-01T09:00-05:00", datetime(2026, 12, 1, 14, 0, tzinfo=UTC)),
        ("2026-10-25 02:30", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),  # comes twice: the first
        ("2026-10-25 02:30+01:00", datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),  # the second, by its offset
    ],
)
def test_a_time_is_read_in_the_zone_unless_it_names_its_offset(text, instant):
    assert parse_at(text, BERLIN).at == instant


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("tomorrow", "is no time: write 2026-12-01 09:00"),
        ("2026-12-01", "has no time of day"),
        ("2026-03-29 02:30", "no 02:30 on 29 March 2026 in Europe/Berlin: clocks are put forward.* 03:30"),
    ],
)
def test_a_time_that_does_not_exist_is_refused(text, sentence):
    with pytest.raises(UserError, match=sentence):
        parse_at(text, BERLIN)


@pytest.mark.parametrize(
    ("text", "weekday", "at"),
    [
        ("monday 09:00", 0, time(9)),
        ("Sun 23:59", 6, time(23, 59)),
        ("Thursday, 7:05", 3, time(7, 5)),
        ("friday at 00:00", 4, time(0)),
    ],
)
def test_a_time_of_the_week(text, weekday, at):
    when = parse_every(text)
    assert (when.weekday, when.time_of_day, when.repeats) == (weekday, at, True)


@pytest.mark.parametrize(
    "text", ["", "monday", "09:00", "moonday 09:00", "monday 25:00", "monday 9", "mon 09:60"]
)
def test_what_is_no_time_of_the_week_is_refused(text):
    with pytest.raises(UserError, match="write monday 09:00"):
        parse_every(text)


def test_what_a_round_can_wait_for():
    assert parse_after("round").trigger == Trigger.AFTER_ROUND
    assert (parse_after("500").judgments, parse_after("1 judgment", repeats=True).repeats) == (500, True)
    for text in ("0", "soon", "-5", "9999999999"):
        with pytest.raises(UserError):
            parse_after(text)
