"""Which open batches a person may be given tasks of, as SQL over the batch `b`; annotation.queue.search joins it.

A batch without a word about it is for everybody. Named people and members of named groups are its audience; the skills
it asks for come on top. A task that is reserved for a person goes to them whatever the batch says, and what they hold
already stays theirs. Every column is written with its table's alias, as in the search.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Model
from django.utils import timezone
from django.utils.translation import gettext, ngettext

from annotation.errors import AcknowledgementNeeded, DailyLimitReached
from annotation.models import (
    Acknowledgement,
    Assignment,
    Batch,
    BatchAudience,
    ContentOptOut,
    Conversation,
    ConversationTurn,
    DailyLimit,
    DayCount,
    LiveBatch,
    MemberTag,
    Qualification,
    Task,
    TaskCount,
    ToAcknowledge,
    Training,
)
from workspace.models import Membership, Project

ALIASES: dict[str, type[Model]] = {
    "ack": Acknowledgement,
    "aud": BatchAudience,
    "b": Batch,
    "ct": ConversationTurn,
    "cv": Conversation,
    "day": DayCount,
    "held": Assignment,
    "lb": LiveBatch,
    "lim": DailyLimit,
    "m": Membership,
    "mine": TaskCount,
    "must": ToAcknowledge,
    "o": ContentOptOut,
    "ql": Qualification,
    "skill": BatchAudience,
    "tag": MemberTag,
    "tb": Batch,
    "th": Task,
    "tr": Training,
}
_TABLE = {alias: f"{model._meta.db_table} {alias}" for alias, model in ALIASES.items()}

# Nothing that the actor has said they do not want to see.
IS_WANTED = f"""(b.content_warnings IS NULL OR NOT EXISTS (SELECT 1 FROM {_TABLE["o"]}
    WHERE o.annotator_id = %(actor)s AND o.project_id = b.project_id
    AND b.content_warnings LIKE '%%|' || o.name || '|%%'))"""

# Work that asks for a training goes to those who have passed it; the training itself to everybody.
IS_QUALIFIED = f"""(NOT EXISTS (SELECT 1 FROM {_TABLE["tr"]}
    WHERE tr.project_id = b.project_id AND tr.is_on AND (tr.for_everybody OR tr.id = b.required_training_id)
    AND NOT EXISTS (SELECT 1 FROM {_TABLE["ql"]} WHERE ql.training_id = tr.id AND ql.annotator_id = %(actor)s
        AND ql.state IN ('passed', 'let_through')))
    OR EXISTS (SELECT 1 FROM {_TABLE["tr"]} WHERE tr.batch_id = b.id))"""

_OWN_TAG = f"""SELECT 1 FROM {_TABLE["tag"]} JOIN {_TABLE["m"]} ON m.id = tag.membership_id
    WHERE m.project_id = b.project_id AND m.user_id = %(actor)s"""

IS_FOR_ACTOR = f"""(b.for_some IS NULL OR EXISTS (SELECT 1 FROM {_TABLE["aud"]}
        WHERE aud.batch_id = b.id AND (aud.person_id = %(actor)s OR (aud.kind = 'group'
            AND EXISTS ({_OWN_TAG} AND tag.kind = 'group' AND tag.name = aud.name)))))
    AND (b.skills_asked IS NULL
        OR (b.skills_asked = 'any' AND EXISTS (SELECT 1 FROM {_TABLE["aud"]}
            WHERE aud.batch_id = b.id AND aud.kind = 'skill'
            AND EXISTS ({_OWN_TAG} AND tag.kind = 'skill' AND tag.name = aud.name)))
        OR (b.skills_asked = 'all' AND NOT EXISTS (SELECT 1 FROM {_TABLE["skill"]}
            WHERE skill.batch_id = b.id AND skill.kind = 'skill'
            AND NOT EXISTS ({_OWN_TAG} AND tag.kind = 'skill' AND tag.name = skill.name))))"""

# What the actor has judged of the batch, by its counts, and holds of it.
_DONE_OF_BATCH = f"""((SELECT COALESCE(SUM(mine.submitted), 0) FROM {_TABLE["mine"]}
        WHERE mine.batch_id = b.id AND mine.annotator_id = %(actor)s)
    + (SELECT COUNT(*) FROM {_TABLE["held"]} JOIN {_TABLE["th"]} ON th.id = held.task_id
        WHERE held.annotator_id = %(actor)s AND held.state = 'leased' AND th.batch_id = b.id))"""

LEFT_OF_OWN_QUOTA = f"(b.person_quota - {_DONE_OF_BATCH})"

IS_UNLOCKED = f"{IS_WANTED} AND {IS_QUALIFIED}"
HAS_OWN_QUOTA_LEFT = f"(b.person_quota IS NULL OR {LEFT_OF_OWN_QUOTA} > 0)"
IS_OFFERED = f"{IS_FOR_ACTOR} AND {HAS_OWN_QUOTA_LEFT}"

# One row, one column each: the limit, what was judged today, the version to confirm, the one that was confirmed, turns
# of conversations that are being written, which will be the actor's tasks.
STANDING = f"""COALESCE(
        (SELECT lim.tasks FROM {_TABLE["lim"]} JOIN {_TABLE["m"]} ON m.id = lim.membership_id
            WHERE lim.project_id = %(project)s AND m.user_id = %(actor)s),
        (SELECT lim.tasks FROM {_TABLE["lim"]} WHERE lim.project_id = %(project)s AND lim.membership_id IS NULL)),
    (SELECT day.judged FROM {_TABLE["day"]} WHERE day.project_id = %(project)s AND day.annotator_id = %(actor)s
        AND day.day = %(today)s),
    (SELECT MAX(must.version) FROM {_TABLE["must"]} WHERE must.project_id = %(project)s),
    (SELECT MAX(ack.version) FROM {_TABLE["ack"]} WHERE ack.project_id = %(project)s
        AND ack.person_id = %(actor)s),
    (SELECT COUNT(*) FROM {_TABLE["cv"]} JOIN {_TABLE["ct"]} ON ct.conversation_id = cv.id
        JOIN {_TABLE["lb"]} ON lb.id = cv.live_id JOIN {_TABLE["tb"]} ON tb.id = lb.batch_id
        WHERE cv.annotator_id = %(actor)s AND cv.ended_at IS NULL AND ct.outcome = 'open' AND ct.task_id IS NULL
        AND tb.project_id = %(project)s AND tb.state = 'open')"""


def today_in(project: Project) -> date:
    """Of the project's time zone."""
    return timezone.now().astimezone(ZoneInfo(project.time_zone)).date()


@dataclass(frozen=True)
class Standing:
    """What stands between a person and their next task, whatever batch it is of."""

    held: int  # tasks that they have open
    daily_limit: int | None
    judged_today: int
    to_acknowledge: int  # the newest version of the guideline that has to be confirmed; 0: none
    acknowledged: int  # the newest that they confirmed; 0: none
    written: int  # turns of conversations whose answers are being written: tasks in a moment

    @property
    def left_today(self) -> int | None:
        """What they hold included; None without a limit."""
        return None if self.daily_limit is None else max(0, self.daily_limit - self.judged_today)

    @property
    def may_get_more(self) -> bool:
        return self.left_today is None or self.left_today > self.held + self.written

    def require_acknowledged(self) -> None:
        """Raises AcknowledgementNeeded."""
        if self.to_acknowledge > self.acknowledged:
            raise AcknowledgementNeeded(
                gettext("The guideline has changed: read it and confirm it before your next task.")
            )

    def require_more_today(self, project: Project) -> None:
        """Raises DailyLimitReached."""
        if self.may_get_more:
            return
        most = self.daily_limit or 0
        if self.held + self.written:
            sentence = ngettext(
                "Today's one task is done or open; more %(when)s.",
                "Today's %(n)d tasks are done or open; more %(when)s.",
                most,
            )
        else:
            sentence = ngettext(
                "You have done today's one task; more %(when)s.",
                "You have done today's %(n)d tasks; more %(when)s.",
                most,
            )
        raise DailyLimitReached(sentence % {"n": most, "when": next_day_words(project)})


def next_day_words(project: Project) -> str:
    """When a new day begins, which is not at midnight where the clocks are put forward just then."""
    zone = ZoneInfo(project.time_zone)
    begins = datetime.combine(today_in(project) + timedelta(days=1), time(), tzinfo=zone)
    # There and back: a time that the clocks leave out becomes the one that follows.
    begins = datetime.fromtimestamp(begins.timestamp(), zone)
    return gettext("tomorrow from %(time)s (%(zone)s)") % {
        "time": f"{begins:%H:%M}",
        "zone": project.time_zone,
    }


def standing_of(
    held: int,
    limit: int | None,
    judged: int | None,
    to_acknowledge: int | None,
    acknowledged: int | None,
    written: int,
) -> Standing:
    """Of the columns of STANDING."""
    return Standing(held, limit, judged or 0, to_acknowledge or 0, acknowledged or 0, written)
